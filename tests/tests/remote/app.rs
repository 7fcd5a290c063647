//! An application whose keys are at a central service.

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use capauth_axum::{Authenticated, CapAuth, MaybeAuthenticated};
use capauth_tests::http::{Answer, Challenge, Client, SignIn, send};
use capauth_tests::sequoia::Key;
use capauth_tower::RemoteConfig;
use serde_json::json;
use tokio::net::TcpListener;

/// Where browsers know it.
pub(crate) const ORIGIN: &str = "https://app.example.com";

/// Serves a router on a free port for as long as the test runs.
pub(crate) async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// An application that asks a service.
pub(crate) struct App {
    pub(crate) client: Client,
    pub(crate) capauth: CapAuth,
}

impl App {
    pub(crate) async fn start(url: &str, configure: impl FnOnce(RemoteConfig) -> RemoteConfig) -> Self {
        let config = configure(CapAuth::remote(url));
        let capauth = config.build().await.expect("the configuration fits together");
        let app = Router::new()
            .route("/me", get(async |who: Authenticated| who.sub().to_string()))
            .route(
                "/maybe",
                get(async |who: MaybeAuthenticated| {
                    who.map_or("nobody".to_owned(), |who| who.sub().to_string())
                }),
            )
            .merge(capauth_axum::routes())
            .with_state(capauth.clone());
        Self { client: Client::new(&format!("http://{}", serve(app).await)), capauth }
    }

    pub(crate) async fn challenge(&self, key: &Key) -> Answer {
        let body = json!({"fingerprint": key.fingerprint, "origin": ORIGIN});
        self.client.post("/auth/capauth/challenge", &body).await
    }

    pub(crate) async fn answer(&self, key: &Key, challenge: &Challenge) -> Answer {
        let sign = |data: &[u8]| key.detach_sign(data);
        let body = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate).answer_to(challenge);
        self.client.post("/auth/capauth/verify", &body).await
    }

    pub(crate) async fn sign_in(&self, key: &Key) -> Answer {
        self.answer(key, &Challenge::read(&self.challenge(key).await)).await
    }

    /// Signs in and answers the `Cookie` header from then on.
    pub(crate) async fn cookie(&self, key: &Key) -> String {
        let answer = self.sign_in(key).await;
        answer.ok();
        answer.header("set-cookie").split(';').next().unwrap().to_owned()
    }

    pub(crate) async fn with_cookie(&self, path: &str, cookie: &str) -> Answer {
        send(self.client.request("GET", path).header("cookie", cookie)).await
    }

    /// Waits until the application hears from its service again.
    pub(crate) async fn recovers(&self) {
        let remote = self.capauth.remote_verifier().expect("it asks a service");
        while remote.refresh().await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
