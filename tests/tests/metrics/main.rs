//! What the running service shows of itself: metrics, readiness, spans; and that none of it is anybody's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod attacks;
mod counted;
mod documented;
mod in_process;
mod readiness;
mod spans;

use capauth_tests::http::{Answer, Client, SignIn};
use capauth_tests::scrape::METRICS;
use capauth_tests::sequoia::Key;
use capauth_tests::service::{ADMIN_TOKEN, Service};

/// A service that shows its metrics, with these settings besides.
fn service(settings: &[(&str, &str)]) -> Service {
    let admin = ("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN);
    Service::start(&[&[METRICS, admin], settings].concat())
}

/// A client of the metrics' listener.
fn watcher(service: &Service) -> Client {
    Client::new(&service.metrics_url())
}

/// A login with the certificate along.
async fn enrol(client: &Client, key: &Key) -> Answer {
    let sign = |data: &[u8]| key.detach_sign(data);
    client.sign_in(SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate)).await
}

/// A login of a key that is known.
async fn log_in(client: &Client, key: &Key) -> Answer {
    let sign = |data: &[u8]| key.detach_sign(data);
    client.sign_in(SignIn::new(&key.fingerprint, &sign)).await
}
