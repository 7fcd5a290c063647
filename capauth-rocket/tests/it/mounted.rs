//! Where the endpoints are, and what is beside them.

use capauth_rocket::capauth_tower::{Part, Route};
use capauth_rocket::{Authenticated, CapAuth};
use capauth_verifier::memory;
use rocket::fairing::AdHoc;
use rocket::http::{Cookie, CookieJar, Method};
use rocket::{Build, Request, Rocket, async_trait, get, post, routes};
use serde_json::json;

use crate::client::{Client, ORIGIN, error, rocket};
use crate::person::Person;
use crate::stores::capauth;

#[get("/.well-known/acme-challenge/<_>")]
fn acme() -> &'static str {
    "the application's own"
}

#[get("/me")]
fn me(user: Authenticated) -> String {
    user.sub().to_string()
}

async fn with_login() -> Rocket<Build> {
    rocket().attach(capauth_rocket::fairing(capauth().await)).mount("/auth/capauth", capauth_rocket::routes())
}

async fn with_service() -> Rocket<Build> {
    rocket().attach(capauth_rocket::fairing(capauth().await)).mount("/", capauth_rocket::service_routes())
}

#[tokio::test]
async fn every_path_of_the_service_is_there_and_nothing_beside() {
    let client = Client::of(with_service().await.mount("/", routes![acme])).await;
    for route in Route::of(Part::Service) {
        let path = route.path().replace("{fingerprint}", &"AB".repeat(20));
        for method in ["DELETE", "PATCH", "TRACE", "OPTIONS", "PUT", "POST", "GET"] {
            let answer = client.send(method, &path, &[], "").await;
            let known = route.methods().iter().any(|known| known == method);
            assert_eq!(answer.status == 405, !known, "{method} {path}");
            // An asset of another version is not there.
            assert!(answer.status != 404 || path.contains("{version}"), "{method} {path}");
            if !known {
                assert_eq!(answer.error(), error(405, "method_not_allowed"), "{method} {path}");
                assert_eq!(answer.all("allow").len(), 1, "{method} {path}");
            }
        }
    }
    for path in ["/auth/capauth", "/auth/capauth/", "/auth/capauth/other", "/capauth/v1/keys/a/b/groups", "/"]
    {
        assert_eq!(client.get(path, &[]).await.status, 404, "{path}");
    }
    assert_eq!(client.get("/.well-known/acme-challenge/x", &[]).await.text, "the application's own");
    assert_eq!(client.get("/health", &[]).await.json(), json!({"status": "ok"}));
}

#[tokio::test]
async fn an_application_mounts_the_login_alone() {
    let client = Client::of(with_login().await).await;
    for path in ["/auth/capauth", "/auth/capauth/", "/auth/capauth/other", "/auth/capauth/a/b/c?d"] {
        assert_eq!(client.get(path, &[]).await.error(), error(404, "not_found"), "{path}");
        assert_eq!(client.send("DELETE", path, &[], "").await.error(), error(404, "not_found"), "{path}");
    }
    for path in ["/capauth/v1/keys", "/health", "/auth", "/"] {
        let answer = client.get(path, &[]).await;
        assert!(answer.status == 404 && answer.text.contains("<small>Rocket</small>"), "{path}");
    }
    for method in ["DELETE", "PATCH", "TRACE", "OPTIONS", "PUT", "POST"] {
        let answer = client.send(method, "/auth/capauth/me", &[], "").await;
        assert_eq!(answer.error(), error(405, "method_not_allowed"), "{method}");
        assert_eq!(answer.all("allow"), ["GET, HEAD"], "{method}");
    }
}

#[tokio::test]
async fn head_is_answered_as_get_is_without_the_body() {
    let client = Client::of(with_service().await.mount("/", routes![me])).await;
    for path in ["/health", "/auth/capauth/me", "/auth/capauth/other", "/me"] {
        let (get, head) = (client.get(path, &[]).await, client.send("HEAD", path, &[], "").await);
        assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        assert_eq!(head.all("content-length"), [get.text.len().to_string()], "{path}");
    }
}

#[derive(Clone)]
struct CatchAll;

#[async_trait]
impl rocket::route::Handler for CatchAll {
    async fn handle<'r>(&self, request: &'r Request<'_>, _: rocket::Data<'r>) -> rocket::route::Outcome<'r> {
        rocket::route::Outcome::from(request, "the application's own")
    }
}

fn catch_all(rank: impl Into<Option<isize>> + Copy) -> Vec<rocket::Route> {
    let methods = [Method::Get, Method::Post, Method::Put, Method::Delete, Method::Head, Method::Options];
    methods.map(|method| rocket::Route::ranked(rank, method, "/<path..>", CatchAll)).to_vec()
}

#[get("/<_..>")]
fn everything() -> &'static str {
    "the application's own"
}

#[post("/<_..>")]
fn posted() -> &'static str {
    "the application's own"
}

#[tokio::test]
async fn a_catch_all_of_the_applications_neither_hides_nor_collides() {
    let mut apps = vec![];
    for rank in [None, Some(20), Some(0), Some(-12), Some(-19)] {
        apps.push(with_login().await.mount("/", catch_all(rank)));
        apps.push(with_service().await.mount("/", catch_all(rank)));
        let before = rocket().mount("/", catch_all(rank)).mount("/auth/capauth", capauth_rocket::routes());
        apps.push(before.attach(capauth_rocket::fairing(capauth().await)));
    }
    apps.push(with_login().await.mount("/", routes![everything, posted]));
    apps.push(with_service().await.mount("/", routes![everything, posted]));
    for app in apps {
        let client = Client::of(app).await;
        assert_eq!(client.get("/auth/capauth/me", &[]).await.error(), error(401, "invalid_token"));
        let challenge = json!({"fingerprint": "AB".repeat(20)});
        assert_eq!(client.post("/auth/capauth/challenge", &[], &challenge).await.status, 200);
        assert_eq!(client.post("/auth/capauth/me", &[], &json!({})).await.status, 405);
        for path in ["/", "/auth", "/somewhere/else", "/.well-known/x"] {
            assert_eq!(client.get(path, &[]).await.text, "the application's own", "{path}");
            assert_eq!(client.post(path, &[], &json!({})).await.text, "the application's own", "{path}");
        }
    }
}

#[tokio::test]
async fn the_host_is_known_in_both_versions_of_http() {
    let client = Client::of(with_service().await).await;
    let ask = json!({
        "fingerprint": "AB".repeat(20),
        "client_nonce": "AAAAAAAAAAAAAAAAAAAAAA==",
        "requested_service": "elsewhere.example",
        "origin": ORIGIN,
    });
    for http2 in [false, true] {
        for (host, status) in [("elsewhere.example", 200), ("nowhere.example", 400)] {
            let answered = client.post_to_host(http2, host, "/capauth/v1/challenge", &ask).await;
            assert_eq!(answered, status, "{host}, HTTP/2: {http2}");
        }
    }
}

#[tokio::test]
async fn an_application_below_a_path_of_its_own() {
    let stores = memory::stores().unwrap();
    let config = CapAuth::local("app.example.com").stores(stores).mounted_at("/app");
    let app = rocket()
        .attach(capauth_rocket::fairing(config.build().await.unwrap()))
        .mount("/app/auth/capauth", capauth_rocket::routes())
        .mount("/app", routes![me]);
    let mut client = Client::of(app).await;
    client.mount = "/app";
    let alice = Person::new("alice");
    let cookie = client.cookie(&alice, &json!({})).await;
    assert_eq!(client.get("/app/me", &[("cookie", &cookie)]).await.text, alice.fingerprint());
    let me = client.get("/app/auth/capauth/me", &[("cookie", &cookie)]).await;
    assert_eq!(me.json()["sub"], alice.fingerprint());
    let browser = client.get("/app/me?x", &[("accept", "text/html")]).await;
    assert_eq!(browser.all("location"), ["/app/auth/capauth/login?redirect=/app/me%3Fx"]);
    assert_eq!(client.get(&browser.all("location")[0], &[]).await.status, 200);
    for path in ["/auth/capauth/me", "/app/app/auth/capauth/me", "/app/auth/capauth/%6de"] {
        assert_eq!(client.get(path, &[("cookie", &cookie)]).await.status, 404, "{path}");
    }
}

#[post("/visit")]
fn visit(jar: &CookieJar<'_>, _user: Authenticated) {
    jar.add(("late", "1"));
}

#[tokio::test]
async fn our_cookie_stands_beside_the_applications() {
    let visits = AdHoc::on_request("counts visits", |request, _| {
        Box::pin(async move { request.cookies().add(Cookie::new("visits", "1")) })
    });
    let client = Client::of(with_login().await.mount("/", routes![visit]).attach(visits)).await;
    let login = client.login(&Person::new("alice"), &json!({})).await;
    let mut names: Vec<_> =
        login.all("set-cookie").iter().map(|cookie| cookie.split('=').next().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["__Host-capauth", "__Host-capauth-device", "visits"]);
    // Rocket drops an application's cookies where a catcher answers; the one that clears a session stays.
    let stale = [("cookie", "__Host-capauth=c3RhbGU"), ("origin", ORIGIN)];
    let refused = client.send("POST", "/visit", &stale, "").await;
    assert_eq!((refused.status, refused.all("set-cookie").len()), (401, 1));
    assert_eq!(refused.cookie, "__Host-capauth=");
}

#[tokio::test]
async fn shield_adds_headers_and_replaces_none() {
    let client = Client::of(with_login().await).await;
    let page = client.get("/auth/capauth/login", &[("accept", "text/html")]).await;
    assert_eq!((page.status, page.all("x-frame-options")), (200, vec!["DENY".to_owned()]));
    for answer in [page, client.get("/auth/capauth/me", &[]).await] {
        for (name, value) in [("x-content-type-options", "nosniff"), ("cache-control", "no-store")] {
            assert_eq!(answer.all(name), [value]);
        }
        assert_eq!((answer.all("permissions-policy").len(), answer.all("content-length").len()), (1, 1));
    }
}
