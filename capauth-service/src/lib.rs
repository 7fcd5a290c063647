//! The CapAuth service as a library, so that tests and other binaries can start it.
//!
//! [`Config::load`] reads what the operator decided, [`Server::bind`] takes the port and opens the stores,
//! [`Server::run`] answers until it is told to stop.

pub mod banner;
pub mod config;
pub mod logging;
mod requests;
pub mod server;

pub use config::{Config, ConfigError, LoadError, LogFormat};
pub use server::{Server, StartError};
