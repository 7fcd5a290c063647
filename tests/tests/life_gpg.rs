//! The life of keys made by the real gpg, at the real service.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use capauth_tests::gpg::Gpg;
use capauth_tests::http::{Answer, Challenge, Client, SignIn};
use capauth_tests::service::Service;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

struct Person {
    client: Client,
    gpg: Gpg,
}

impl Person {
    fn sign(&self, fingerprint: &str, text: &str) -> String {
        self.gpg.detach_sign(fingerprint, text.as_bytes())
    }

    async fn sign_in(&self, fingerprint: &str, certificate: Option<&str>) -> Answer {
        let sign = |data: &[u8]| self.gpg.detach_sign(fingerprint, data);
        let login = SignIn::new(fingerprint, &sign);
        self.client.sign_in(certificate.map_or(login, |certificate| login.enrolling(certificate))).await
    }

    async fn challenge(&self, fingerprint: &str) -> Challenge {
        self.client.challenge(fingerprint).await
    }

    async fn rotate(&self, old: &str, new: &str) -> Answer {
        let challenge = self.challenge(old).await;
        let (nonce, service, timestamp) =
            (challenge.get("nonce"), challenge.get("service"), challenge.get("timestamp"));
        let certificate = self.gpg.export(new);
        let hash = hex::encode(Sha256::digest(certificate.as_bytes()));
        let text = format!(
            "CAPAUTH_ROTATION_V1\nnonce={nonce}\nservice={service}\nold_fingerprint={old}\nnew_fingerprint={new}\n\
             new_public_key_sha256={hash}\ntimestamp={timestamp}"
        );
        let body = json!({
            "nonce": nonce, "old_fingerprint": old, "new_fingerprint": new, "new_public_key": certificate,
            "timestamp": timestamp, "rotation_signature": self.sign(old, &text), "new_signature": self.sign(new, &text),
        });
        self.client.post("/capauth/v1/rotate", &body).await
    }

    /// Links (or parts) two keys; both sign.
    async fn link(&self, path: &str, primary: &str, secondary: &str) -> Answer {
        let challenge = self.challenge(primary).await;
        let (nonce, service, timestamp) =
            (challenge.get("nonce"), challenge.get("service"), challenge.get("timestamp"));
        let text = format!(
            "CAPAUTH_LINK_V1\nnonce={nonce}\nservice={service}\nprimary={primary}\nsecondary={secondary}\n\
             timestamp={timestamp}"
        );
        let body = json!({
            "nonce": nonce, "primary_fingerprint": primary, "secondary_fingerprint": secondary,
            "timestamp": timestamp, "primary_signature": self.sign(primary, &text),
            "secondary_signature": self.sign(secondary, &text), "secondary_public_key": self.gpg.export(secondary),
        });
        self.client.post(path, &body).await
    }
}

#[tokio::test]
async fn a_person_with_gpg_replaces_their_key_and_links_another() {
    let service = Service::start(&[]);
    let person = Person { client: Client::new(service.url()), gpg: Gpg::new() };
    let [first, second, third] = ["first", "second", "third"]
        .map(|name| person.gpg.generate(&format!("{name}@example.org"), "ed25519"));
    let sub = |answer: &Value| answer["oidc_claims"]["sub"].clone();

    let enrolled = person.sign_in(&first, Some(&person.gpg.export(&first))).await.ok();
    assert_eq!(sub(&enrolled), json!(first));
    let token = enrolled["access_token"].as_str().unwrap();
    let rotated = person.rotate(&first, &second).await.ok();
    assert_eq!((&rotated["rotated"], &rotated["sub"]), (&json!(true), &json!(first)));
    person.client.get_as(token, "/capauth/v1/userinfo").await.refused("401 invalid_token");
    person.sign_in(&first, None).await.refused("401 key_revoked");
    assert_eq!(sub(&person.sign_in(&second, None).await.ok()), json!(first), "the identity stays");
    // The same once more says that the old key is nobody's to give away any longer.
    person.rotate(&first, &third).await.refused("401 key_revoked");

    person.link("/capauth/v1/link", &second, &third).await.ok();
    assert_eq!(sub(&person.sign_in(&third, None).await.ok()), json!(first));
    let parted = person.link("/capauth/v1/unlink", &second, &third).await.ok();
    assert_eq!((&parted["linked"], &parted["sub"]), (&json!(false), &json!(third)));
    assert_eq!(sub(&person.sign_in(&third, None).await.ok()), json!(third), "its own again");
}

#[tokio::test]
async fn a_replaced_key_that_gpg_revokes_holds_the_identity_up() {
    let service = Service::start(&[]);
    let person = Person { client: Client::new(service.url()), gpg: Gpg::new() };
    let [old, new] =
        ["old", "new"].map(|name| person.gpg.generate(&format!("{name}@example.org"), "ed25519"));
    person.sign_in(&old, Some(&person.gpg.export(&old))).await.ok();
    person.rotate(&old, &new).await.ok();
    person.sign_in(&new, None).await.ok();
    person.gpg.revoke(&old);
    let revoked = person.gpg.export(&old);
    // Whoever brings it, and whatever else they say.
    let stranger = |_: &[u8]| person.gpg.detach_sign(&new, b"something else");
    let login = SignIn::new(&old, &stranger).enrolling(&revoked);
    assert_eq!(person.client.sign_in(login).await.status, 401);
    person.sign_in(&new, None).await.refused("403 key_suspended");
}
