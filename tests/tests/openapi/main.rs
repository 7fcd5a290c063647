//! The OpenAPI description: it says what the routes are, what they answer, and the service does what it says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod another_device;
mod answers;
mod description;
mod examples;
mod generated;
mod told;

// The two devices of the suite about logins from another one.
#[allow(dead_code, reason = "that suite uses all of it")]
#[path = "../qr/world.rs"]
mod devices;
// The browser of the suite about the login page's form.
#[allow(dead_code, reason = "that suite uses all of it")]
#[path = "../form/browser.rs"]
mod browser;
// The people and the service of the suite about the life of a key.
#[allow(dead_code, reason = "that suite uses all of it")]
#[path = "../life_http/people.rs"]
mod people;
#[allow(dead_code, reason = "that suite uses all of it")]
#[path = "../life_http/servers.rs"]
mod servers;
#[allow(dead_code, reason = "that suite uses all of it")]
#[path = "../life_http/world.rs"]
mod world;
