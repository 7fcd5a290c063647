//! Applications in four frameworks, with keys of their own and with those of a central service.

use std::sync::Arc;

use capauth_tests::http::{Answer, Client, send};
use capauth_tests::keys::now;
use capauth_tests::sites::{Framework, Mode, ORIGIN, Options, SERVICE, Site};
use capauth_tower::{CapAuth, Clock as _, LocalConfig, ManualClock, Secret, ServiceEntry};
use capauth_verifier::memory;
use serde_json::json;
use tokio::net::TcpListener;

use crate::people::Key;
use crate::world::{Desktop, PAGE, Phone};

fn client(site: &Site) -> Client {
    Client::new(&format!("http://{}", site.address()))
}

async fn page(site: &Site) -> Desktop {
    Desktop::at(client(site), PAGE, json!({})).await
}

fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
}

async fn me(site: &Site, cookie: &str) -> Answer {
    send(client(site).request("GET", "/me").header("cookie", cookie)).await
}

/// The same visit everywhere.
async fn visit(site: &Site) {
    let alice = Key::new();
    // The code, and asking now and then.
    let desktop = page(site).await;
    assert_eq!((desktop.get("service"), desktop.get("origin")), (SERVICE, ORIGIN), "{site:?}");
    let callback = format!("{ORIGIN}/auth/capauth/qr-verify/{}", desktop.get("nonce"));
    assert_eq!(desktop.get("callback"), callback, "{site:?}");
    let phone = Phone::scanning(client(site), &desktop);
    assert_eq!(desktop.status().await.ok()["status"], "pending", "{site:?}");
    let at = site.clock().now();
    let wrong = phone.answer_with(&alice, at, desktop.wrong_code(0));
    phone.send(&wrong).await.refused("401 invalid_code");
    let answered = phone.send(&phone.answer_with(&alice, at, desktop.code())).await;
    assert_eq!((&answered.ok()["authenticated"], answered.header("set-cookie")), (&json!(true), ""));
    // Whoever only saw the picture gets nothing.
    client(site).get(&desktop.status_path()).await.refused("400 invalid_nonce");
    assert_eq!(desktop.peek().await, json!({"status": "authenticated", "completed": true}), "{site:?}");
    let signed_in = desktop.status().await;
    let expected = json!({
        "ok": true, "redirect": "/", "status": "authenticated", "completed": true,
        "fingerprint": alice.fingerprint,
    });
    assert_eq!(signed_in.ok(), expected, "{site:?}");
    assert_eq!(me(site, &cookie(&signed_in)).await.ok()["sub"], alice.fingerprint, "{site:?}");
    let cookies: Vec<_> =
        signed_in.headers.get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2, "{site:?}");
    assert!(cookies[1].starts_with("__Host-capauth-device="), "the limits know the browser: {site:?}");
    let again = desktop.status().await;
    let fetched = json!({"status": "expired", "completed": false, "reason": "fetched"});
    assert_eq!((again.ok(), again.header("set-cookie")), (fetched, ""), "{site:?}");

    // The click, and a stream.
    let desktop = page(site).await;
    let mut events = desktop.follow().await;
    assert_eq!(events.hear().await["status"], "pending", "{site:?}");
    let phone = Phone::scanning(client(site), &desktop);
    let mut answer = phone.answer(&alice, at);
    answer.as_object_mut().unwrap().remove("public_key");
    assert_eq!(phone.send(&answer).await.status, 202, "{site:?}");
    assert_eq!(events.hear().await["fingerprint"], alice.fingerprint, "{site:?}");
    phone.send(&phone.answer(&Key::new(), at)).await.refused("409 conflict");
    desktop.confirm(&alice).await.ok();
    assert_eq!(events.hear().await["status"], "authenticated", "{site:?}");
    assert_eq!(events.next().await, None, "{site:?}");
    let signed_in = desktop.status().await;
    assert_eq!(me(site, &cookie(&signed_in)).await.ok()["sub"], alice.fingerprint, "{site:?}");

    // Too late.
    let desktop = page(site).await;
    let phone = Phone::scanning(client(site), &desktop);
    site.advance(120).await;
    let answer = phone.answer_with(&alice, site.clock().now(), desktop.code());
    phone.send(&answer).await.refused("400 expired_nonce");
    assert_eq!(desktop.status().await.ok()["reason"], "time", "{site:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_sign_in_with_their_phone_where_an_application_keeps_keys() {
    for framework in Framework::ALL {
        visit(&Site::start(framework, Mode::Local, Options::default()).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_sign_in_with_their_phone_where_a_central_service_keeps_keys() {
    for framework in Framework::ALL {
        visit(&Site::start(framework, Mode::Remote, Options::default()).await).await;
    }
}

const CREDENTIAL: &str = "the-credential-of-the-application-0123456789";

/// Serves every endpoint for as long as the test runs, and answers where.
async fn serve(capauth: &CapAuth) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    let app = capauth_axum::service_routes_with::<()>(capauth);
    let app = app.into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

/// An application at a central service, otherwise configured, and a client of each.
async fn remote(change: impl FnOnce(LocalConfig) -> LocalConfig) -> (Client, Client, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(now()));
    let entry = ServiceEntry::new(SERVICE).origin(ORIGIN).credential(Secret::from(CREDENTIAL));
    let config = CapAuth::local("auth.example.com")
        .stores(memory::stores().expect("the system has randomness"))
        .clock(clock.clone())
        .service(entry)
        .service(ServiceEntry::new("other.example.com"));
    let central = change(config).build().await.expect("the configuration fits together");
    let url = serve(&central).await;
    let app = CapAuth::remote(&url).service(SERVICE).credential(CREDENTIAL).clock(clock.clone());
    let app = app.build().await.expect("the configuration fits together");
    (Client::new(&serve(&app).await), Client::new(&url), clock)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_central_service_does_not_offer_its_applications_do_not() {
    let (app, _, _) = remote(|config| config.qr(false)).await;
    let refused = app.post("/auth/capauth/qr-challenge", &json!({})).await;
    refused.refused("404 not_found");
    let (app, _, _) = remote(|config| config).await;
    app.post("/auth/capauth/qr-challenge", &json!({})).await.ok();
    // There is no service at an application.
    app.post("/capauth/v1/qr-challenge", &json!({})).await.refused("501 not_configured");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attack_login_to_another_service_shown_at_an_application() {
    let (app, central, clock) = remote(|config| config).await;
    let alice = Key::new();
    // Somebody begins a login to another application, or to the service itself, and has it fetched here.
    for ask in [json!({"requested_service": "other.example.com"}), json!({})] {
        let theirs = Desktop::at(central.clone(), "/capauth/v1", ask).await;
        let phone = Phone::scanning(central.clone(), &theirs);
        let answer = phone.answer_with(&alice, clock.now(), theirs.code());
        central.post(&format!("/capauth/v1/qr-verify/{}", phone.get("nonce")), &answer).await.ok();
        let path = format!("/auth/capauth/qr-status/{}", theirs.get("nonce"));
        let fetched = app.get_as(theirs.get("poll_token"), &path).await;
        assert_eq!((fetched.refusal().as_str(), fetched.header("set-cookie")), ("400 service_mismatch", ""));
    }
    // Its own is taken up.
    let ours = Desktop::at(app.clone(), PAGE, json!({})).await;
    let phone = Phone::scanning(app.clone(), &ours);
    phone.send(&phone.answer_with(&alice, clock.now(), ours.code())).await.ok();
    assert_eq!(ours.status().await.ok()["ok"], true);
}
