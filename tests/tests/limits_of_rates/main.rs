//! How much is let through from where: over HTTP in every framework, at applications of a central service, and at the
//! real one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[macro_use]
#[path = "../life_http/suite.rs"]
mod suite;

mod applications;
mod browsers;
mod failures;
mod numbers;
mod places;
mod service;

#[allow(dead_code, reason = "shared with the suite about the life of a key")]
#[path = "../life_http/people.rs"]
mod people;
#[path = "../life_http/servers.rs"]
mod servers;
#[allow(dead_code, reason = "shared with the suite about the life of a key")]
#[path = "../life_http/world.rs"]
mod world;

use capauth_tests::http::{Answer, CLIENT_NONCE, Challenge, send};
use capauth_tower::{LocalConfig, RateLimits};
use serde_json::{Value, json};

use people::Key;
use servers::Framework;
use world::World;

suite! {
    numbers:
        ten_challenges_a_minute_for_a_key_from_an_address,
        three_hundred_challenges_a_minute_from_an_address,
        twenty_new_keys_an_hour_from_an_address,
        attack_enrolment_by_links,
        the_numbers_can_be_set,
        of_sixty_four_at_once_no_more_than_the_number_pass;
    failures:
        five_failures_a_minute_for_a_key_from_an_address,
        sixty_failures_a_minute_from_an_address,
        whatever_is_refused_counts_and_what_is_not_does_not,
        attack_logins_shut_out_by_bad_refresh_tokens,
        attack_form_of_a_foreign_page_counts_against_nobody,
        attack_administrators_token_guessed,
        attack_enrolment_code_guessed;
    places:
        attack_flooded_fingerprint_itself_signs_in_meanwhile,
        networks_are_addresses_or_slash_64s,
        attack_forwarded_for_gives_no_fresh_bucket,
        attack_client_address_without_the_applications_credential,
        an_application_with_its_credential_speaks_for_its_people,
        attack_application_shuts_out_anothers_people;
    browsers:
        attack_flood_from_the_same_network_and_a_known_browser,
        attack_device_cookie_that_was_not_given_out,
        a_device_cookie_is_no_session,
        a_known_browser_keeps_its_name_and_has_limits_too,
        attack_collected_device_cookies;
}

/// A service that counts, with the usual numbers, behind a proxy that says whose requests it hands on.
async fn limited(framework: Framework) -> World {
    limited_to(framework, RateLimits::default()).await
}

async fn limited_to(framework: Framework, limits: RateLimits) -> World {
    World::with(framework, |config| behind_a_proxy(config).rate_limits(limits)).await
}

fn behind_a_proxy(config: LocalConfig) -> LocalConfig {
    config.trusted_proxies(["127.0.0.0/8".parse().expect("a range")])
}

/// Somebody at an address.
#[derive(Clone, Copy)]
struct Visitor<'a> {
    world: &'a World,
    address: &'a str,
}

impl World {
    fn from<'a>(&'a self, address: &'a str) -> Visitor<'a> {
        Visitor { world: self, address }
    }
}

impl Visitor<'_> {
    /// A request with these headers besides.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut request = self.world.client.request(method, path).header("x-forwarded-for", self.address);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(if body.is_null() { request } else { request.json(body) }).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", &format!("/capauth/v1{path}"), &[], body).await
    }

    async fn ask(&self, fingerprint: &str) -> Answer {
        self.post("/challenge", &json!({"fingerprint": fingerprint, "client_nonce": CLIENT_NONCE})).await
    }

    /// Asks for all the challenges that a key has from here; so many.
    async fn flood(&self, fingerprint: &str) -> usize {
        let mut passed = 0;
        while self.ask(fingerprint).await.status == 200 {
            passed += 1;
        }
        passed
    }

    /// A login, with the certificate where the key is new.
    async fn sign_in(&self, key: &Key) -> Answer {
        let asked = self.ask(&key.fingerprint).await;
        if asked.status != 200 {
            return asked;
        }
        let mut body = key.answer(&Challenge::read(&asked), self.world.now());
        body["public_key"] = key.certificate.as_str().into();
        self.post("/verify", &body).await
    }

    /// An answer to a challenge that was never made.
    async fn fail(&self, fingerprint: &str) -> Answer {
        let nonce = "11111111-1111-4111-8111-111111111111";
        let body = json!({"fingerprint": fingerprint, "nonce": nonce, "nonce_signature": "none"});
        self.post("/verify", &body).await
    }
}

/// Refused for now, and told for how many seconds.
#[track_caller]
fn wait(answer: &Answer, seconds: u64) {
    answer.refused("429 too_many_requests");
    assert_eq!(answer.header("retry-after"), seconds.to_string(), "{}", answer.text());
}

/// A fingerprint that nobody has; each number's is another.
fn nobody(number: usize) -> String {
    format!("{number:040X}")
}
