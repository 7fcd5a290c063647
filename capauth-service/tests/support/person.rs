//! Somebody with a key, who signs in as a deployed client does.

use std::io::Write;

use sequoia_openpgp as openpgp;

use openpgp::cert::CertBuilder;
use openpgp::policy::StandardPolicy;
use openpgp::serialize::SerializeInto;
use openpgp::serialize::stream::{Armorer, Message, Signer};
use serde_json::{Value, json};

use super::{Answer, Service};

pub struct Person {
    pub certificate: openpgp::Cert,
}

impl Person {
    pub fn new() -> Self {
        let builder = CertBuilder::general_purpose(Some("MARKER-NAME <marker@example.com>"));
        Self { certificate: builder.generate().unwrap().0 }
    }

    pub fn fingerprint(&self) -> String {
        self.certificate.fingerprint().to_hex()
    }

    pub fn public(&self) -> String {
        String::from_utf8(self.certificate.armored().to_vec().unwrap()).unwrap()
    }

    pub fn secret(&self) -> String {
        String::from_utf8(self.certificate.as_tsk().armored().to_vec().unwrap()).unwrap()
    }

    pub fn sign(&self, text: &str) -> String {
        let policy = StandardPolicy::new();
        let keys = self.certificate.keys().secret().with_policy(&policy, None).alive();
        let pair = keys.revoked(false).for_signing().next().unwrap().key().clone().into_keypair().unwrap();
        let mut signature = Vec::new();
        let message =
            Armorer::new(Message::new(&mut signature)).kind(openpgp::armor::Kind::Signature).build().unwrap();
        let mut signer = Signer::new(message, pair).unwrap().detached().build().unwrap();
        signer.write_all(text.as_bytes()).unwrap();
        signer.finalize().unwrap();
        String::from_utf8(signature).unwrap()
    }

    pub fn ask(&self, service: &Service) -> Answer {
        self.ask_by(|path, body| service.post(path, body))
    }

    fn ask_by(&self, post: impl Fn(&str, &str) -> Answer) -> Answer {
        let asked = json!({
            "fingerprint": self.fingerprint(), "client_nonce": "dGVzdA==", "requested_service": "127.0.0.1",
        });
        post("/capauth/v1/challenge", &asked.to_string())
    }

    /// Signs in, and answers what the server said.
    pub fn log_in(&self, service: &Service) -> Answer {
        self.log_in_by(|path, body| service.post(path, body))
    }

    /// Signs in, by whatever `post` connects with.
    pub fn log_in_by(&self, post: impl Fn(&str, &str) -> Answer) -> Answer {
        let challenge = self.ask_by(&post).json();
        let nonce = challenge["nonce"].as_str().unwrap();
        let claims = r#"{"email":"marker@example.com","name":"MARKER-NAME"}"#;
        let claims_payload =
            format!("CAPAUTH_CLAIMS_V1\nfingerprint={}\nnonce={nonce}\nclaims={claims}", self.fingerprint());
        let answer = json!({
            "fingerprint": self.fingerprint(),
            "nonce": nonce,
            "nonce_signature": self.sign(&payload(&challenge)),
            "claims": serde_json::from_str::<Value>(claims).unwrap(),
            "claims_signature": self.sign(&claims_payload),
            "public_key": self.public(),
        });
        post("/capauth/v1/verify", &answer.to_string())
    }

    /// Signs in, which has to work, and answers the access token.
    pub fn token(&self, service: &Service) -> String {
        let login = self.log_in(service);
        assert_eq!(login.status, 200, "{login:?}");
        login.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// The text of a V1 challenge that both sides sign.
pub fn payload(challenge: &Value) -> String {
    let field = |name: &str| challenge[name].as_str().unwrap();
    format!(
        "CAPAUTH_NONCE_V1\nnonce={}\nclient_nonce={}\ntimestamp={}\nservice={}\nexpires={}",
        field("nonce"),
        field("client_nonce_echo"),
        field("timestamp"),
        field("service"),
        field("expires")
    )
}
