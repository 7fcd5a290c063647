//! Which e-mail addresses applications hear of, over HTTP: those that their domain's directory, or an administrator, says
//! are the person's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use capauth_axum::{CapAuth, ManualClock};
use capauth_tests::http::{Client, SignIn, send};
use capauth_tests::sequoia::Key;
use capauth_verifier::{DirectoryError, DirectoryErrorKind, EmailAddress, KeyDirectory, memory};
use sequoia_openpgp::Cert;
use sequoia_openpgp::serialize::MarshalInto as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

const ADMIN_TOKEN: &str = "an-administrators-token-of-some-length";

/// A directory that serves what it is told, and remembers what it was asked.
#[derive(Default)]
struct Directory {
    served: Mutex<HashMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
}

impl Directory {
    fn serves(&self, address: &str, key: &Key) {
        let certificate = Cert::from_str(&key.certificate).unwrap().to_vec().unwrap();
        self.served.lock().unwrap().insert(address.to_owned(), certificate);
    }

    fn times(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

#[async_trait]
impl KeyDirectory for Directory {
    async fn certificates(&self, address: &EmailAddress) -> Result<Vec<u8>, DirectoryError> {
        self.asked.lock().unwrap().push(address.as_str().to_owned());
        let served = self.served.lock().unwrap().get(address.as_str()).cloned();
        served.ok_or(DirectoryError::new(DirectoryErrorKind::NotFound))
    }
}

struct World {
    client: Client,
    directory: Arc<Directory>,
    clock: Arc<ManualClock>,
}

impl World {
    async fn new() -> Self {
        let directory = Arc::new(Directory::default());
        let clock = Arc::new(ManualClock::at(SystemTime::now()));
        let asked: Arc<dyn KeyDirectory> = directory.clone();
        let capauth = CapAuth::local("auth.example.com")
            .stores(memory::stores().unwrap())
            .clock(clock.clone())
            .admin_token(ADMIN_TOKEN)
            .verifier(|verifier| verifier.key_directory(asked))
            .build()
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap()));
        let app = capauth_axum::service_routes_with::<()>(&capauth);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { client, directory, clock }
    }

    /// Signs in with this address, and answers the token.
    async fn token(&self, key: &Key, email: &str) -> String {
        let sign = |data: &[u8]| key.detach_sign(data);
        let claims = json!({"email": email});
        let login = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate).claiming(&claims);
        let answer = self.client.sign_in(login).await.ok();
        assert_eq!(answer["oidc_claims"]["email_verified"], json!(false), "only claimed so far");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn told(&self, token: &str) -> (Value, Value) {
        let told = self.client.get_as(token, "/capauth/v1/userinfo").await.ok();
        (told["email"].clone(), told["email_verified"].clone())
    }
}

const NOTHING: (Value, Value) = (Value::Null, Value::Null);

fn verified(address: &str) -> (Value, Value) {
    (json!(address), json!(true))
}

#[tokio::test]
async fn an_address_is_passed_on_when_its_domain_serves_the_persons_key() {
    let world = World::new().await;
    let ada = Key::ed25519("Ada <ada@example.org>");
    world.directory.serves("ada@example.org", &ada);
    let token = world.token(&ada, "Ada@Example.ORG").await;
    assert_eq!(world.directory.times(), 0, "nobody asked for the address yet");
    for _ in 0..3 {
        assert_eq!(world.told(&token).await, verified("ada@example.org"));
    }
    assert_eq!(world.directory.times(), 1, "the answer is remembered");
}

#[tokio::test]
async fn attack_address_of_somebody_else() {
    let world = World::new().await;
    let (ada, mallory) = (Key::ed25519("Ada <ada@example.org>"), Key::ed25519("Ada <ada@example.org>"));
    world.directory.serves("ada@example.org", &ada);
    world.directory.serves("other@example.org", &mallory);
    for claimed in [
        "ada@example.org",
        "other@example.org",
        "nobody@example.org",
        "ada@[127.0.0.1]",
        "ada",
        "\u{430}da@example.org",
    ] {
        let token = world.token(&mallory, claimed).await;
        assert_eq!(world.told(&token).await, NOTHING, "{claimed}");
    }
    let token = world.token(&ada, "ada@example.org").await;
    assert_eq!(world.told(&token).await, verified("ada@example.org"));
}

#[tokio::test]
async fn a_key_that_its_domain_serves_no_longer_has_no_address() {
    let world = World::new().await;
    let ada = Key::ed25519("Ada <ada@example.org>");
    world.directory.serves("ada@example.org", &ada);
    let token = world.token(&ada, "ada@example.org").await;
    assert_eq!(world.told(&token).await, verified("ada@example.org"));
    world.directory.served.lock().unwrap().clear();
    world.clock.advance(Duration::from_secs(3599));
    assert_eq!(world.told(&token).await, verified("ada@example.org"), "for an hour");
    world.clock.advance(Duration::from_secs(2));
    let sign = |data: &[u8]| ada.detach_sign_at(data, SystemTime::now() + Duration::from_secs(3601));
    let claims = json!({"email": "ada@example.org"});
    let login = SignIn::new(&ada.fingerprint, &sign).claiming(&claims);
    let answer = world.client.sign_in(login).await.ok();
    assert_eq!(world.told(answer["access_token"].as_str().unwrap()).await, NOTHING);
}

#[tokio::test]
async fn an_administrators_word_counts_for_one_identity_and_one_address() {
    let world = World::new().await;
    let (ada, bob) = (Key::ed25519("Ada"), Key::ed25519("Bob"));
    let (hers, his) =
        (world.token(&ada, "ada@example.org").await, world.token(&bob, "ada@example.org").await);
    let confirm = async |method: &str, key: &Key, email: &str| {
        let path = format!("/capauth/v1/keys/{}/email", key.fingerprint);
        let request = world.client.request(method, &path).bearer_auth(ADMIN_TOKEN);
        send(request.json(&json!({"email": email}))).await
    };
    confirm("PUT", &ada, "ADA@example.org").await.ok();
    assert_eq!(world.told(&hers).await, verified("ada@example.org"));
    assert_eq!(world.told(&his).await, NOTHING);
    confirm("PUT", &bob, "ada@example.org").await.refused("409 conflict");
    let other = world.token(&ada, "ada@example.com").await;
    assert_eq!(world.told(&other).await, NOTHING);
    confirm("DELETE", &ada, "ada@example.org").await.ok();
    assert_eq!(world.told(&hers).await, NOTHING);
}
