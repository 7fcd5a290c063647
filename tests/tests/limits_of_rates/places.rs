//! Where something comes from: addresses, networks, proxies, applications.

use capauth_tests::http::{CLIENT_NONCE, Challenge, send};
use capauth_tower::{RateLimits, ServiceEntry};
use serde_json::{Value, json};

use crate::people::Key;
use crate::servers::Framework;
use crate::world::World;
use crate::{behind_a_proxy, limited, nobody, wait};

const CREDENTIAL: &str = "the-credential-of-the-application-0123456789";
const OTHER_CREDENTIAL: &str = "the-credential-of-another-application-012345";

/// The very key that is flooded, from very many addresses, signs in meanwhile.
pub(crate) async fn attack_flooded_fingerprint_itself_signs_in_meanwhile(framework: Framework) {
    let world = limited(framework).await;
    let (alice, home) = (Key::new(), world.from("192.0.2.7"));
    home.sign_in(&alice).await.ok();
    for number in 0..20 {
        let address = format!("2001:db8:0:{number:x}::1");
        let flood = world.from(&address);
        assert_eq!(flood.flood(&alice.fingerprint).await, 10);
        for _ in 0..5 {
            flood.fail(&alice.fingerprint).await.refused("400 invalid_nonce");
        }
        wait(&flood.fail(&alice.fingerprint).await, 12);
        if number % 5 == 0 {
            home.sign_in(&alice).await.ok();
        }
    }
    home.sign_in(&alice).await.ok();
}

pub(crate) async fn networks_are_addresses_or_slash_64s(framework: Framework) {
    let world = limited(framework).await;
    let flooded = ["192.0.2.1", "2001:db8:0:1::1"];
    for address in flooded {
        world.from(address).flood(&nobody(1)).await;
    }
    for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:0:1::2", "2001:db8:0:1:ffff:ffff:ffff:ffff"] {
        wait(&world.from(same).ask(&nobody(1)).await, 6);
    }
    for other in ["192.0.2.2", "2001:db8:0:2::1", "2001:db8:0:0::1"] {
        world.from(other).ask(&nobody(1)).await.ok();
    }
}

pub(crate) async fn attack_forwarded_for_gives_no_fresh_bucket(framework: Framework) {
    let world = limited(framework).await;
    for number in 0..10 {
        // What the client wrote stands left of what the proxy did.
        let forged = format!("198.51.100.{number}, 10.0.0.{number}, 203.0.113.9");
        world.from(&forged).ask(&nobody(1)).await.ok();
    }
    wait(&world.from("198.51.100.77, 203.0.113.9").ask(&nobody(1)).await, 6);
    wait(&world.from("203.0.113.9, 127.0.0.1, 127.9.9.9").ask(&nobody(1)).await, 6);
    let body = json!({"fingerprint": nobody(1), "client_nonce": CLIENT_NONCE});
    let two_lines = world.client.request("POST", "/capauth/v1/challenge");
    let two_lines =
        two_lines.header("x-forwarded-for", "198.51.100.78").header("x-forwarded-for", "203.0.113.9");
    wait(&send(two_lines.json(&body)).await, 6);
    world.from("203.0.113.9, 198.51.100.79").ask(&nobody(1)).await.ok();

    // Where no proxy is trusted, nobody's word is.
    let world = World::with(framework, |config| config.rate_limits(RateLimits::default())).await;
    for number in 0..10 {
        world.from(&format!("198.51.100.{number}")).ask(&nobody(1)).await.ok();
    }
    wait(&world.from("198.51.100.99").ask(&nobody(1)).await, 6);
}

async fn with_an_application(framework: Framework) -> World {
    World::with(framework, |config| {
        let application = ServiceEntry::new("app.example.com").credential(CREDENTIAL.into());
        let other = ServiceEntry::new("other.example.com").credential(OTHER_CREDENTIAL.into());
        let limits = RateLimits::default().enrollments_per_hour(1);
        behind_a_proxy(config).rate_limits(limits).service(application).service(other)
    })
    .await
}

pub(crate) async fn attack_client_address_without_the_applications_credential(framework: Framework) {
    let world = with_an_application(framework).await;
    let here = world.from("203.0.113.9");
    let body = json!({"fingerprint": nobody(1), "client_nonce": CLIENT_NONCE});
    let wrong = format!("Bearer {}", CREDENTIAL.replace("application", "applicatiom"));
    for number in 0..12 {
        let (address, device) = (format!("198.51.100.{number}"), format!("{number:032x}"));
        let mut headers = vec![("capauth-client-address", &*address), ("capauth-client-device", &*device)];
        if number % 2 == 0 {
            headers.push(("authorization", &*wrong));
        }
        let answer = here.send("POST", "/capauth/v1/challenge", &headers, &body).await;
        if number < 10 {
            answer.ok();
        } else {
            wait(&answer, 6);
        }
    }
}

pub(crate) async fn an_application_with_its_credential_speaks_for_its_people(framework: Framework) {
    let world = with_an_application(framework).await;
    let application = world.from("203.0.113.9");
    let bearer = format!("Bearer {CREDENTIAL}");
    let ask = async |more: &[(&str, &str)]| {
        let body = json!({"fingerprint": nobody(1), "client_nonce": CLIENT_NONCE});
        let headers = [&[("authorization", &*bearer)][..], more].concat();
        application.send("POST", "/capauth/v1/challenge", &headers, &body).await
    };
    let person = ("capauth-client-address", "198.51.100.1");
    for _ in 0..10 {
        ask(&[person]).await.ok();
    }
    wait(&ask(&[person]).await, 6);
    // A neighbour, and a browser that it knows.
    ask(&[("capauth-client-address", "198.51.100.2")]).await.ok();
    ask(&[person, ("capauth-client-device", "0123456789abcdef0123456789abcdef")]).await.ok();
    wait(&ask(&[person, ("capauth-client-device", "0123")]).await, 6);
    // The same person when they come here themselves.
    world.from("198.51.100.1").ask(&nobody(1)).await.ok();
    // Whose people it does not know: none of them shuts the others out.
    for _ in 0..20 {
        ask(&[]).await.ok();
    }
}

/// An application whose credential somebody has can name any address: that costs its own people alone.
pub(crate) async fn attack_application_shuts_out_anothers_people(framework: Framework) {
    let world = with_an_application(framework).await;
    let (alice, victim) = (Key::new(), "198.51.100.1");
    let by = async |credential: &str, address: &str, path: &str, body: &Value| {
        let bearer = format!("Bearer {credential}");
        let headers = [("authorization", &*bearer), ("capauth-client-address", address)];
        world.from("203.0.113.9").send("POST", &format!("/capauth/v1{path}"), &headers, body).await
    };
    let sign_in = async |credential: &str, address: &str, key: &Key| {
        let body = json!({"fingerprint": key.fingerprint, "client_nonce": CLIENT_NONCE});
        let asked = by(credential, address, "/challenge", &body).await;
        if asked.status != 200 {
            return asked;
        }
        let mut body = key.answer(&Challenge::read(&asked), world.now());
        body["public_key"] = key.certificate.as_str().into();
        by(credential, address, "/verify", &body).await
    };
    sign_in(OTHER_CREDENTIAL, victim, &alice).await.ok();
    let nonce = "11111111-1111-4111-8111-111111111111";
    let fail = async |number: usize| {
        let body = json!({"fingerprint": nobody(number), "nonce": nonce, "nonce_signature": "none"});
        by(CREDENTIAL, victim, "/verify", &body).await
    };
    for number in 0..60 {
        fail(number).await.refused("400 invalid_nonce");
    }
    wait(&fail(60).await, 1);
    sign_in(OTHER_CREDENTIAL, victim, &alice).await.ok();
    world.from(victim).sign_in(&alice).await.ok();
    // Nor does it let in any number of keys, whatever addresses it names.
    for number in 0..50 {
        sign_in(CREDENTIAL, &format!("192.0.2.{number}"), &Key::new()).await.ok();
    }
    wait(&sign_in(CREDENTIAL, "192.0.2.99", &Key::new()).await, 72);
    sign_in(CREDENTIAL, "192.0.2.99", &alice).await.ok();
    sign_in(OTHER_CREDENTIAL, "192.0.2.99", &Key::new()).await.ok();
}
