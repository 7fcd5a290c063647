//! What an application decides before it starts: [`LocalConfig`], [`RemoteConfig`], and what both have in common.

mod local;
#[cfg(feature = "remote")]
mod remote;
mod site;

pub use local::LocalConfig;
#[cfg(feature = "remote")]
pub use remote::RemoteConfig;
pub(crate) use site::Front;
