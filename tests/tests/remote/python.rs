//! The real Python service as the central one: what works, and what it costs.

use std::net::TcpListener;
use std::process::{Child, Stdio};

use capauth_tests::foreign;
use capauth_tests::http::{Challenge, Client};
use capauth_tests::sequoia::Key;
use capauth_tower::CapAuth;
use serde_json::json;
use tempfile::TempDir;

use crate::app::App;

const NAME: &str = "python.example.com";

/// PyPI's `capauth.service`, killed when dropped.
struct PythonService {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl PythonService {
    async fn start(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // It cannot tell which port it chose, so one is chosen for it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = foreign::python_module("capauth.service.server")
            .args(["--port", &port.to_string()])
            .current_dir(&folder)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", folder.path())
            .env("CAPAUTH_DB_PATH", folder.path().join("keys.db"))
            .env("CAPAUTH_SERVICE_ID", NAME)
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python can be started");
        let mut service = Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder };
        while reqwest::get(format!("{}/capauth/v1/status", service.url)).await.is_err() {
            let ended = service.child.try_wait().unwrap();
            assert!(ended.is_none(), "the Python service ended: {ended:?}");
            tokio::task::yield_now().await;
        }
        service
    }
}

impl Drop for PythonService {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_to_an_application_at_the_python_service() {
    let service = PythonService::start(&[]).await;
    let app = App::start(&service.url, |config| config.service(NAME).origin(crate::app::ORIGIN)).await;
    let notices = app.capauth.notices().join("\n");
    assert!(
        notices.contains("no names and no groups") && notices.contains("a question a second"),
        "{notices}"
    );

    let (alice, bob) = (Key::ed25519("Alice"), Key::ed25519("Bob"));
    let cookie = app.cookie(&alice).await;
    assert_eq!(app.with_cookie("/me", &cookie).await.text(), alice.fingerprint);
    assert_eq!(app.with_cookie("/maybe", &cookie).await.text(), alice.fingerprint);
    let me = app.with_cookie("/auth/capauth/me", &cookie).await.ok();
    assert_eq!(
        me,
        json!({"sub": alice.fingerprint, "capauth_fingerprint": alice.fingerprint, "amr": ["pgp"]})
    );

    // Its refusals, however they are nested, become the protocol's.
    let challenge = Challenge::read(&app.challenge(&bob).await);
    let mut forged = bob.clone();
    forged.fingerprint.clone_from(&alice.fingerprint);
    app.answer(&forged, &Challenge::read(&app.challenge(&alice).await))
        .await
        .refused("401 fingerprint_mismatch");
    app.answer(&bob, &challenge).await.ok();
    app.answer(&bob, &challenge).await.refused("400 invalid_nonce");
    app.client.get_as("not.a.token", "/me").await.refused("401 invalid_token");
    app.client.get("/me").await.refused("401 invalid_token");

    // It ends no session; here the session ends all the same.
    let origin = ("origin", crate::app::ORIGIN);
    let signed_out = app
        .client
        .request("POST", "/auth/capauth/logout")
        .header("cookie", &cookie)
        .header(origin.0, origin.1);
    capauth_tests::http::send(signed_out).await.ok();
    app.with_cookie("/me", &cookie).await.refused("401 invalid_token");

    drop(service);
    app.challenge(&bob).await.refused("503 server_error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_service_that_asks_for_approval_is_understood() {
    let service =
        PythonService::start(&[("CAPAUTH_REQUIRE_APPROVAL", "true"), ("CAPAUTH_ADMIN_TOKEN", "admin")]).await;
    let app = App::start(&service.url, |config| config.service(NAME)).await;
    let alice = Key::ed25519("Alice");
    let pending = app.sign_in(&alice).await;
    pending.refused("403 enrollment_pending");
    assert_eq!(pending.json()["status"], "enrollment_pending");
    let body = json!({"fingerprint": alice.fingerprint});
    Client::new(&service.url).post_as("admin", "/capauth/v1/keys/approve", &body).await.ok();
    assert_eq!(app.with_cookie("/me", &app.cookie(&alice).await).await.text(), alice.fingerprint);
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_name_that_the_python_service_gives_to_everybody() {
    let service = PythonService::start(&[]).await;
    // Its tokens do not say for whom they are: an application of another name would take anybody's.
    let error =
        CapAuth::remote(&service.url).service("app.example.com").build().await.unwrap_err().to_string();
    assert!(error.contains(NAME) && error.contains(".service("), "{error}");
}
