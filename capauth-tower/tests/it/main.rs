//! The endpoints and layers as their clients see them, on stores in memory and with real keys.

#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)]

mod admin;
mod admin_page;
mod browsers;
mod faults;
mod guards;
mod http_rules;
mod login;
mod logout;
mod person;
mod service;
mod sign_in_page;
mod site;
