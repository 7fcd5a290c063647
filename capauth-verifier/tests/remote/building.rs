//! Configurations: what cannot work does not start, and says what to do.

use capauth_verifier::{AuthErrorKind, RemoteVerifier, Verifier as _};
use serde_json::json;

use crate::central::{CREDENTIAL, Central, FEED, JWKS, OWN, PERSON, STATUS, WELL_KNOWN, whose};
use crate::http::Reply;

async fn refused(builder: capauth_verifier::RemoteBuilder) -> String {
    builder.build().await.unwrap_err().to_string()
}

#[tokio::test]
async fn urls() {
    for (url, words) in [
        ("auth.example.com", "cannot be read"),
        ("", "cannot be read"),
        ("ftp://auth.example.com", "of the web"),
        ("file:///etc/passwd", "of the web"),
        ("https://user:hunter2@auth.example.com", "user name"),
        ("https://auth.example.com/?x=1", "query"),
        ("https://auth.example.com/#x", "fragment"),
        ("http://auth.example.com", ".plain_http(true)"),
        ("http://10.0.0.1:8420", ".plain_http(true)"),
        ("http://localhost.evil.example", ".plain_http(true)"),
        ("http://127.0.0.1.evil.example", ".plain_http(true)"),
    ] {
        let error = refused(RemoteVerifier::builder(url).service(OWN)).await;
        assert!(error.contains(words), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let central = Central::start().await;
    let builder = RemoteVerifier::builder(format!("{}/", central.server.url));
    let verifier = builder.service(OWN).build().await.unwrap();
    assert_eq!(verifier.url(), central.server.url);
    assert_eq!(verifier.issuer().as_deref(), Some(&*central.server.url));
    assert!(verifier.notices().join(" ").contains("plain HTTP"));
    let port = central.server.url.rsplit_once(':').unwrap().1;
    let by_name = RemoteVerifier::builder(format!("http://localhost:{port}")).service(OWN);
    let verifier = by_name.build().await.unwrap();
    assert!(verifier.notices().join(" ").contains(&central.server.url), "the issuer is another than the URL");
}

#[tokio::test]
async fn a_path_before_the_protocols_own_is_kept() {
    let central = Central::start().await;
    let mut said = central.well_known();
    said["issuer"] = json!("");
    central.server.always("GET /sso/capauth/v1/well-known", Reply::json(200, &said));
    let url = format!("{}/sso/", central.server.url);
    let verifier = RemoteVerifier::builder(url).service(OWN).build().await.unwrap();
    assert_eq!(verifier.issuer().unwrap(), format!("{}/sso", central.server.url));
}

#[tokio::test]
async fn the_own_name_is_given_or_expressly_shared() {
    let central = Central::start().await;
    let builder = || RemoteVerifier::builder(&*central.server.url);
    let error = refused(builder()).await;
    assert!(error.contains("CAPAUTH_SERVICES") && error.contains(".service(\"app.example.com\")"), "{error}");
    assert!(refused(builder().service("not a name")).await.contains("not a name"));
    let verifier = builder().service("App.Example.com").build().await.unwrap();
    assert_eq!(verifier.service(), OWN);
    let verifier = builder().shared_service(true).build().await.unwrap();
    assert_eq!(verifier.service(), "auth.example.com");
    let verifier = builder().shared_service(true).service(OWN).build().await.unwrap();
    assert_eq!(verifier.service(), OWN);
    // *Attack: an application that bears the service's own name, whose tokens would open the service.*
    let error = refused(builder().service("auth.example.com")).await;
    assert!(error.contains("central service's own name"), "{error}");
    assert!(builder().shared_service(true).service("auth.example.com").build().await.is_ok());
    // A name that nobody says cannot be waited for.
    central.server.set_down(true);
    assert!(builder().shared_service(true).build().await.is_err());
    assert!(builder().service(OWN).build().await.is_ok());
}

#[tokio::test]
async fn settings_that_cannot_work() {
    let central = Central::start().await;
    assert!(refused(central.builder().credential("short".into())).await.contains("32"));
    let odd = format!("{CREDENTIAL}\r\nx: y");
    assert!(refused(central.builder().credential(odd.as_str().into())).await.contains("ASCII"));
    assert!(refused(central.builder().ca_certificate("garbage")).await.contains(".ca_certificate"));
    assert!(refused(central.builder().issuer("")).await.contains(".issuer"));
    let none = std::time::Duration::ZERO;
    assert!(refused(central.builder().timeout(none)).await.contains(".timeout"));
    assert!(refused(central.builder().session_lifetime(none)).await.contains(".session_lifetime"));
}

#[tokio::test]
async fn attack_a_service_that_is_not_the_one_that_is_configured() {
    let central = Central::start().await;
    let html = Reply::raw("HTTP/1.1 200 X\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi");
    let redirect = Reply::raw(
        "HTTP/1.1 301 X\r\nlocation: https://login.example.com/?secret=1\r\ncontent-length: 0\r\n\r\n",
    );
    for (reply, words) in [
        (html, "CapAuth service"),
        (redirect, "https://login.example.com/"),
        (Reply::Json(200, String::from("{}")), "not a CapAuth service"),
        (Reply::Json(200, String::from("x")), "not a CapAuth service"),
        (Reply::Json(403, String::from("{}")), "not a CapAuth service"),
    ] {
        central.server.always(WELL_KNOWN, reply.clone());
        let error = refused(central.builder()).await;
        assert!(error.contains(words) && !error.contains("secret"), "{reply:?}: {error}");
    }
    for (name, value) in [
        ("capauth_version", json!("2.0")),
        ("service", json!("")),
        ("service", json!("a b")),
        ("service", json!("x".repeat(300))),
        ("issuer", json!("https://a\nb")),
    ] {
        central.says(name, value.clone());
        assert!(refused(central.builder()).await.contains("not a CapAuth service"), "{name}: {value}");
    }
    central.server.always(WELL_KNOWN, Reply::Json(404, String::from("{}")));
    central.server.always(STATUS, Reply::Json(404, String::from("{}")));
    assert!(refused(central.builder()).await.contains("not a CapAuth service"));
    central.says("service", "auth.example.com");
    assert!(central.builder().build().await.is_ok());
}

#[tokio::test]
async fn the_issuer_is_the_configured_one_or_the_first_that_was_heard_of() {
    let central = Central::start().await;
    central.says("issuer", "https://auth.example.com");
    let error = refused(central.builder().issuer("https://other.example.com")).await;
    assert!(
        error.contains("https://auth.example.com") && error.contains("https://other.example.com"),
        "{error}"
    );
    let verifier = central.verifier().await;
    assert_eq!(verifier.issuer().as_deref(), Some("https://auth.example.com"));
    assert!(verifier.notices().join(" ").contains("https://auth.example.com"));
    let token = central.token_with("iss", "https://auth.example.com");
    assert!(whose(&verifier, &token).await.is_ok());
    assert!(whose(&verifier, &central.token()).await.is_err(), "the URL is not the issuer");

    // Later words do not change it.
    central.says("issuer", "https://evil.example");
    central.advance(301);
    verifier.refresh().await.unwrap_err();
    assert_eq!(verifier.issuer().as_deref(), Some("https://auth.example.com"));
    let evil = central.token_with("iss", "https://evil.example");
    assert_eq!(whose(&verifier, &evil).await.unwrap_err(), AuthErrorKind::InvalidToken);
    assert!(whose(&verifier, &central.token_with("iss", "https://auth.example.com")).await.is_ok());

    // A service that does not say leaves it to the configuration.
    central.says("issuer", "");
    let verifier = central.builder().issuer("https://mine.example").build().await.unwrap();
    assert_eq!(verifier.issuer().as_deref(), Some("https://mine.example"));
}

#[tokio::test]
async fn a_pinned_key_is_the_services() {
    let central = Central::start().await;
    let pinned = || central.builder().pin_server_key(PERSON.parse().unwrap());
    assert!(refused(pinned()).await.contains(".pin_server_key"));
    central.says("server_fingerprint", "89ABCDEF0123456789ABCDEF0123456789ABCDEF");
    assert!(refused(pinned()).await.contains("89ABCDEF0123456789ABCDEF0123456789ABCDEF"));
    central.says("server_fingerprint", PERSON.to_lowercase());
    assert!(pinned().build().await.is_ok());
}

#[tokio::test]
async fn a_credential_that_the_service_does_not_know_stops_the_start() {
    let central = Central::start().await;
    for status in [401, 403, 501] {
        central.server.always(FEED, Reply::Json(status, String::from("{}")));
        let error = refused(central.builder().credential(CREDENTIAL.into())).await;
        assert!(error.contains(".credential(") && error.contains(&status.to_string()), "{error}");
    }
    let other = "another-credential-of-more-than-32-characters";
    let central = Central::start().await;
    assert!(refused(central.builder().credential(other.into())).await.contains(".credential("));
    assert!(central.builder().credential(CREDENTIAL.into()).build().await.is_ok());
}

#[tokio::test]
async fn a_service_that_is_away_stops_nothing_and_is_found_when_it_comes() {
    let central = Central::start().await;
    central.server.set_down(true);
    let verifier = central.verifier().await;
    assert!(verifier.notices().join(" ").contains("does not answer"));
    assert_eq!(verifier.issuer(), None);
    assert_eq!(whose(&verifier, &central.token()).await.unwrap_err(), AuthErrorKind::Unavailable);
    verifier.refresh().await.unwrap_err();
    assert_eq!(whose(&verifier, &central.token()).await.unwrap_err(), AuthErrorKind::Unavailable);
    central.server.set_down(false);
    central.advance(10);
    verifier.refresh().await.unwrap();
    assert!(whose(&verifier, &central.token()).await.is_ok());
    assert!(!verifier.notices().join(" ").contains("does not answer"));

    // Its description comes, and its keys do not.
    central.server.always(JWKS, Reply::Json(500, String::from("{}")));
    let verifier = central.verifier().await;
    assert_eq!(whose(&verifier, &central.token()).await.unwrap_err(), AuthErrorKind::Unavailable);
    central.publish(&[&central.signer]);
    verifier.refresh().await.unwrap();
    assert!(whose(&verifier, &central.token()).await.is_ok());
}

#[tokio::test]
async fn nothing_answers_at_the_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let verifier = RemoteVerifier::builder(&*url).service(OWN).build().await.unwrap();
    assert!(verifier.notices().join(" ").contains(&url));
    assert_eq!(whose(&verifier, "some.token").await.unwrap_err(), AuthErrorKind::Unavailable);
}
