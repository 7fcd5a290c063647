//! What browsers do at `/auth/capauth`, and what other sites make them do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use capauth_tests::http::{Answer, Challenge, Client, SignIn, send};
use capauth_tests::sequoia::Key;
use capauth_tests::service::{ADMIN_TOKEN, Service};
use serde_json::{Value, json};

const ORIGIN: &str = "https://auth.example.com";

/// A browser with one key, at one service.
struct Browser {
    service: Service,
    client: Client,
    key: Key,
    origin: String,
}

type Headers<'a> = &'a [(&'a str, &'a str)];

impl Browser {
    fn at(settings: &[(&str, &str)]) -> Self {
        let settings = [&[("CAPAUTH_SERVICE_ID", "auth.example.com")], settings].concat();
        let service = Service::start(&settings);
        let client = Client::new(service.url());
        Self { service, client, key: Key::ed25519("Alice"), origin: ORIGIN.to_owned() }
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>, headers: Headers<'_>) -> Answer {
        let mut request = self.client.request(method, path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        send(request).await
    }

    /// A signed answer to a challenge for this origin; none makes the older kind of challenge.
    async fn answer(&self, origin: Option<&str>) -> Value {
        let mut ask = json!({"fingerprint": self.key.fingerprint});
        if let Some(origin) = origin {
            ask["origin"] = origin.into();
        }
        let challenge =
            self.send("POST", "/auth/capauth/challenge", Some(&ask), &[("origin", &self.origin)]).await;
        let sign = |data: &[u8]| self.key.detach_sign(data);
        let login = SignIn::new(&self.key.fingerprint, &sign).enrolling(&self.key.certificate);
        login.answer_to(&Challenge::read(&challenge))
    }

    async fn verify(&self, body: &Value) -> Answer {
        self.send("POST", "/auth/capauth/verify", Some(body), &[("origin", &self.origin)]).await
    }

    /// Signs in and answers the cookie, as it is sent back.
    async fn cookie(&self) -> String {
        let answer = self.verify(&self.answer(Some(&self.origin)).await).await;
        assert_eq!(answer.ok(), json!({"ok": true, "redirect": "/"}));
        answer.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    async fn me(&self, cookie: &str) -> Answer {
        self.send("GET", "/auth/capauth/me", None, &[("cookie", cookie)]).await
    }
}

#[tokio::test]
async fn a_session_from_login_to_logout() {
    let browser = Browser::at(&[]);
    let answer = browser.verify(&browser.answer(Some(ORIGIN)).await).await;
    let set = answer.header("set-cookie");
    let attributes: Vec<_> = set.split("; ").skip(1).map(str::to_ascii_lowercase).collect();
    assert!(set.starts_with("__Host-capauth="), "{set}");
    for demanded in ["path=/", "httponly", "secure", "samesite=lax"] {
        assert!(attributes.iter().any(|attribute| attribute == demanded), "{demanded} in {set}");
    }
    assert!(!attributes.iter().any(|attribute| attribute.starts_with("domain")), "{set}");
    assert!(set.len() <= 4096);
    let cookie = set.split(';').next().unwrap();
    assert_eq!(browser.me(cookie).await.ok()["sub"], browser.key.fingerprint);
    let out =
        browser.send("POST", "/auth/capauth/logout", None, &[("cookie", cookie), ("origin", ORIGIN)]).await;
    out.ok();
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{:?}", out.headers);
    // A copy of the cookie is worth nothing any more.
    browser.me(cookie).await.refused("401 invalid_token");
}

#[tokio::test]
async fn who_is_not_signed_in_hears_so_and_a_stale_cookie_is_cleared() {
    let browser = Browser::at(&[]);
    let good = browser.cookie().await;
    browser.me(&good).await.ok();
    let nobody = browser.client.get("/auth/capauth/me").await;
    nobody.refused("401 invalid_token");
    assert_eq!(nobody.header("set-cookie"), "");
    let (name, value) = good.split_once('=').unwrap();
    let flipped = format!("{}{}", if value.starts_with('A') { 'B' } else { 'A' }, &value[1..]);
    for bad in [
        format!("{name}={flipped}"),
        format!("{name}={}", &value[..value.len() - 4]),
        format!("{name}=AAAA"),
        format!("{name}="),
        format!("{good}; {name}={flipped}"),
    ] {
        let answer = browser.me(&bad).await;
        answer.refused("401 invalid_token");
        assert!(answer.header("set-cookie").contains("Max-Age=0"), "{bad}: {:?}", answer.headers);
    }
    // The value under any other name is no session.
    for other in ["capauth-insecure", "capauth", "__host-capauth", "__Secure-capauth"] {
        browser.me(&format!("{other}={value}")).await.refused("401 invalid_token");
    }
}

#[tokio::test]
async fn a_bad_bearer_decides_against_a_good_cookie() {
    let browser = Browser::at(&[]);
    let cookie = browser.cookie().await;
    let headers = [("cookie", cookie.as_str()), ("authorization", "Bearer x")];
    browser.send("GET", "/auth/capauth/me", None, &headers).await.refused("401 invalid_token");
    let headers = [("cookie", cookie.as_str()), ("authorization", "Basic YTpi")];
    browser.send("GET", "/auth/capauth/me", None, &headers).await.ok();
}

#[tokio::test]
async fn sessions_survive_a_restart_and_die_with_their_key() {
    let browser = Browser::at(&[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN)]);
    let cookie = browser.cookie().await;
    let folder = browser.service.folder();
    browser.service.kill9();
    let settings = [("CAPAUTH_SERVICE_ID", "auth.example.com"), ("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN)];
    let service = Service::start_in(&folder, &settings);
    let client = Client::new(service.url());
    let browser = Browser { service, client, ..browser };
    browser.me(&cookie).await.ok();
    let body = json!({"fingerprint": browser.key.fingerprint});
    browser.client.post_as(ADMIN_TOKEN, "/capauth/v1/keys/revoke", &body).await.ok();
    browser.me(&cookie).await.refused("401 invalid_token");
}

#[tokio::test]
async fn development_without_tls_uses_a_cookie_of_its_own() {
    let service = Service::start(&[("CAPAUTH_SERVICE_ID", "localhost"), ("CAPAUTH_INSECURE_HTTP", "true")]);
    for host in ["localhost", "127.0.0.1"] {
        let origin = format!("http://{host}:{}", service.port());
        let client = Client::new(service.url());
        let folder = service.folder();
        let ask = json!({"fingerprint": FOREIGN, "origin": origin});
        let request = client.request("POST", "/auth/capauth/challenge").header("origin", &origin).json(&ask);
        assert_eq!(send(request).await.ok()["origin"], origin);
        drop(folder);
    }
    let origin = format!("http://localhost:{}", service.port());
    let client = Client::new(service.url());
    let browser = Browser { service, client, key: Key::ed25519("Alice"), origin };
    let answer = browser.verify(&browser.answer(Some(&browser.origin)).await).await;
    answer.ok();
    let set = answer.header("set-cookie");
    assert!(set.starts_with("capauth-insecure=") && !set.contains("Secure"), "{set}");
    browser.me(set.split(';').next().unwrap()).await.ok();
    // Another port of this machine is another program.
    let ask = json!({"fingerprint": FOREIGN, "origin": "http://localhost:1"});
    let answer = browser.send("POST", "/auth/capauth/challenge", Some(&ask), &[]).await;
    answer.refused("400 invalid_origin");
}

const FOREIGN: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

#[tokio::test]
async fn attack_login_by_another_site() {
    let browser = Browser::at(&[]);
    let ask = json!({"fingerprint": browser.key.fingerprint});
    let body = browser.answer(Some(ORIGIN)).await;
    for bad in [
        &[("origin", "null")][..],
        &[("origin", "https://evil.example")],
        &[("origin", "http://auth.example.com")],
        &[("origin", "https://auth.example.com.evil.example")],
        &[("origin", "")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "same-origin")],
        &[("origin", "https://evil.example"), ("host", "evil.example"), ("x-forwarded-host", "evil.example")],
    ] {
        for (path, body) in [("/auth/capauth/challenge", &ask), ("/auth/capauth/verify", &body)] {
            let answer = browser.send("POST", path, Some(body), bad).await;
            assert_eq!(answer.refusal(), "403 forbidden", "{path} {bad:?}: {}", answer.text());
            assert_eq!(answer.header("set-cookie"), "");
        }
    }
    // With neither header and no cookie it is no browser.
    browser.send("POST", "/auth/capauth/challenge", Some(&ask), &[]).await.ok();
    browser
        .send("POST", "/auth/capauth/challenge", Some(&ask), &[("sec-fetch-site", "same-origin")])
        .await
        .ok();
    browser.verify(&body).await.ok();
}

#[tokio::test]
async fn attack_requests_with_the_victims_cookie() {
    let browser = Browser::at(&[]);
    let cookie = browser.cookie().await;
    for path in ["/auth/capauth/logout", "/capauth/v1/logout", "/capauth/v1/challenge"] {
        for bad in [
            &[][..],
            &[("origin", "null")],
            &[("origin", "https://evil.example")],
            &[("sec-fetch-site", "cross-site")],
        ] {
            let headers = [&[("cookie", cookie.as_str())], bad].concat();
            let answer = browser.send("POST", path, Some(&json!({})), &headers).await;
            assert_eq!(answer.refusal(), "403 forbidden", "{path} {bad:?}: {}", answer.text());
        }
    }
    // A link on another site leads to a question, not to the end of the session.
    let by_link = [("cookie", cookie.as_str()), ("sec-fetch-site", "cross-site")];
    let asked = browser.send("GET", "/capauth/v1/logout", None, &by_link).await;
    assert!(asked.header("content-type").starts_with("text/html"));
    browser.me(&cookie).await.ok();
    browser.send("POST", "/capauth/v1/logout", None, &[("cookie", &cookie), ("origin", ORIGIN)]).await.ok();
    browser.me(&cookie).await.refused("401 invalid_token");
}

/// A link to our own login page, which goes on to the way out once somebody has signed in.
#[tokio::test]
async fn attack_login_that_leads_on_to_logout() {
    const LOGOUT: &str = "/capauth/v1/logout";
    let browser = Browser::at(&[]);
    let mut body = browser.answer(Some(ORIGIN)).await;
    body["redirect"] = LOGOUT.into();
    let login = browser.verify(&body).await;
    assert_eq!(login.ok()["redirect"], LOGOUT, "it is a path of the site");
    let cookie = login.header("set-cookie").split(';').next().unwrap().to_owned();
    let follow = async |dest| {
        let says = [("cookie", &*cookie), ("sec-fetch-site", "same-origin"), ("sec-fetch-dest", dest)];
        browser.send("GET", LOGOUT, None, &says).await
    };
    let asked = follow("document").await;
    assert!(asked.header("content-type").starts_with("text/html") && asked.text().contains("<form"));
    assert_eq!(asked.header("set-cookie"), "");
    browser.me(&cookie).await.ok();
    // A script of the site asks nobody.
    follow("empty").await.ok();
    browser.me(&cookie).await.refused("401 invalid_token");
}

#[tokio::test]
async fn attack_open_redirect() {
    let browser = Browser::at(&[]);
    for (wanted, followed) in [
        ("/reports?year=2026#top", "/reports?year=2026#top"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/%2f/evil.example", "/"),
        ("/%5cevil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("evil.example", "/"),
    ] {
        let mut body = browser.answer(Some(ORIGIN)).await;
        body["redirect"] = wanted.into();
        assert_eq!(browser.verify(&body).await.ok()["redirect"], followed, "{wanted}");
    }
    // A tab, which browsers drop, does not even get that far.
    let mut body = browser.answer(Some(ORIGIN)).await;
    body["redirect"] = "/\t/evil.example".into();
    browser.verify(&body).await.refused("400 invalid_request");
}

#[tokio::test]
async fn a_failed_login_says_that_it_is_not_ok() {
    let browser = Browser::at(&[]);
    let mut body = browser.answer(Some(ORIGIN)).await;
    body["nonce_signature"] = "no signature".into();
    let answer = browser.verify(&body).await;
    answer.refused("401 invalid_nonce_signature");
    assert_eq!(answer.json()["ok"], false);
    assert_eq!(answer.header("set-cookie"), "");
}

#[tokio::test]
async fn attack_answer_for_another_application() {
    let browser = Browser::at(&[("CAPAUTH_SERVICES", "wiki.example.com")]);
    let ask = json!({
        "fingerprint": browser.key.fingerprint, "client_nonce": "AAAA", "requested_service": "wiki.example.com",
    });
    let challenge = Challenge::read(&browser.client.post("/capauth/v1/challenge", &ask).await);
    let sign = |data: &[u8]| browser.key.detach_sign(data);
    let login = SignIn::new(&browser.key.fingerprint, &sign).enrolling(&browser.key.certificate);
    let answer = browser.verify(&login.answer_to(&challenge)).await;
    assert!((400..500).contains(&answer.status), "{}", answer.text());
    assert_eq!(answer.header("set-cookie"), "");
    // The page's own challenge names the page's own service, whatever was asked for.
    let asked = browser.send("POST", "/auth/capauth/challenge", Some(&ask), &[("origin", ORIGIN)]).await.ok();
    assert_eq!(asked["service"], "auth.example.com");
}

#[tokio::test]
async fn administrators_sign_in_with_their_key() {
    let key = Key::ed25519("Root");
    let browser = Browser::at(&[("CAPAUTH_ADMIN_FINGERPRINTS", &key.fingerprint)]);
    let browser = Browser { key, ..browser };
    let cookie = browser.cookie().await;
    let own = ("cookie", cookie.as_str());
    let keys = browser.send("GET", "/capauth/v1/keys", None, &[own]).await.ok();
    assert_eq!(keys[0]["fingerprint"], browser.key.fingerprint);
    let path = format!("/capauth/v1/keys/{}/groups", browser.key.fingerprint);
    let body = json!({"groups": ["admins"]});
    for bad in [&[own][..], &[own, ("origin", "https://evil.example")], &[own, ("origin", "null")]] {
        browser.send("PUT", &path, Some(&body), bad).await.refused("403 forbidden");
    }
    browser.send("PUT", &path, Some(&body), &[own, ("origin", ORIGIN)]).await.ok();
    browser.client.get("/capauth/v1/keys").await.refused("401 invalid_token");
}

#[tokio::test]
async fn attack_administration_by_the_wrong_login() {
    let root = Key::ed25519("Root");
    let mut browser = Browser::at(&[("CAPAUTH_ADMIN_FINGERPRINTS", &root.fingerprint)]);
    // Somebody else's session.
    let cookie = browser.cookie().await;
    browser.send("GET", "/capauth/v1/keys", None, &[("cookie", &cookie)]).await.refused("403 forbidden");
    // The administrator's own, from a challenge that names no page: it could have been relayed.
    browser.key = root;
    let answer = browser.verify(&browser.answer(None).await).await;
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    browser.send("GET", "/capauth/v1/keys", None, &[("cookie", &cookie)]).await.refused("403 forbidden");
    // The administrator's token, which applications get to see.
    let sign = |data: &[u8]| browser.key.detach_sign(data);
    let login = browser.client.sign_in(SignIn::new(&browser.key.fingerprint, &sign)).await.ok();
    let token = login["access_token"].as_str().unwrap();
    browser.client.get_as(token, "/capauth/v1/keys").await.refused("403 forbidden");
    // The same key, signed in on the page.
    let cookie = browser.cookie().await;
    browser.send("GET", "/capauth/v1/keys", None, &[("cookie", &cookie)]).await.ok();
}

async fn preflight(browser: &Browser, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,authorization"),
    ];
    browser.send("OPTIONS", "/capauth/v1/challenge", None, &headers).await
}

#[tokio::test]
async fn scripts_of_configured_origins_may_call_the_api() {
    let app = "https://app.example.com";
    let browser = Browser::at(&[("CAPAUTH_CORS_ORIGINS", app)]);
    let ask = json!({"fingerprint": FOREIGN, "client_nonce": "AAAA"});
    let allowed = preflight(&browser, app).await;
    assert!([200, 204].contains(&allowed.status), "{} {}", allowed.status, allowed.text());
    assert_eq!(allowed.header("access-control-allow-origin"), app);
    assert!(allowed.header("access-control-allow-methods").contains("POST"), "{:?}", allowed.headers);
    let headers = allowed.header("access-control-allow-headers").to_ascii_lowercase();
    assert!(headers.contains("content-type") && headers.contains("authorization"), "{headers}");
    // Scripts get no session along: a cross-origin page is not a page of ours.
    assert_eq!(allowed.header("access-control-allow-credentials"), "");
    let answer = browser.send("POST", "/capauth/v1/challenge", Some(&ask), &[("origin", app)]).await;
    answer.ok();
    assert_eq!(answer.header("access-control-allow-origin"), app);
    for other in
        ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"]
    {
        assert_eq!(preflight(&browser, other).await.header("access-control-allow-origin"), "", "{other}");
        let answer = browser.send("POST", "/capauth/v1/challenge", Some(&ask), &[("origin", other)]).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{other}");
    }
    // It is no login origin either.
    let signing = json!({"fingerprint": FOREIGN, "client_nonce": "AAAA", "origin": app});
    browser.client.post("/capauth/v1/challenge", &signing).await.refused("400 invalid_origin");
    let cookie = browser.cookie().await;
    let headers = [("cookie", cookie.as_str()), ("origin", app)];
    browser.send("POST", "/auth/capauth/logout", None, &headers).await.refused("403 forbidden");
}

#[tokio::test]
async fn without_configuration_no_other_origin_may_read() {
    let browser = Browser::at(&[]);
    for origin in ["https://app.example.com", ORIGIN, "null"] {
        let answer = preflight(&browser, origin).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        let ask = json!({"fingerprint": FOREIGN, "client_nonce": "AAAA"});
        let answer = browser.send("POST", "/capauth/v1/challenge", Some(&ask), &[("origin", origin)]).await;
        answer.ok();
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
}
