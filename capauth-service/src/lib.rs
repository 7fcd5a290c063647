//! The CapAuth service as a library, so that tests and other binaries can start it.
//!
//! [`Config::load`] reads what the operator decided, [`Server::bind`] takes the port and opens the stores,
//! [`Server::run`] answers until it is told to stop.

pub mod banner;
pub mod commands;
pub mod config;
pub mod listen;
pub mod logging;
mod metrics;
mod requests;
pub mod server;

pub use commands::CommandLine;
pub use config::{Config, ConfigError, Data, LoadError, LogFormat, Sources};
pub use listen::HandedOver;
pub use server::{Server, StartError};
