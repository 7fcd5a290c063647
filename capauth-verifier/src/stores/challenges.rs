//! Challenges that wait for their answer.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use capauth_protocol::{Fingerprint, Nonce};

use super::StoreResult;
use crate::clock::Timestamp;

/// Whose share of a bounded store an address counts against: the IPv4 address, or the IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressPrefix([u8; 9]);

impl AddressPrefix {
    /// The prefix of an address. No address at all is one prefix of its own.
    pub fn of(address: Option<IpAddr>) -> Self {
        let mut prefix = [0; 9];
        match address.map(|a| a.to_canonical()) {
            None => {}
            Some(IpAddr::V4(v4)) => {
                prefix[0] = 4;
                prefix[1..5].copy_from_slice(&v4.octets());
            }
            Some(IpAddr::V6(v6)) => {
                prefix[0] = 6;
                prefix[1..].copy_from_slice(v6.octets().first_chunk::<8>().unwrap_or(&[0; 8]));
            }
        }
        Self(prefix)
    }
}

impl AddressPrefix {
    /// Its bytes, to be hashed under a secret where something durable counts by it.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there was an address at all.
    pub const fn is_known(&self) -> bool {
        self.0[0] != 0
    }

    /// The wider network around it, of which one party often has all: a /24 of IPv4, a /48 of IPv6.
    pub(crate) const fn network(&self) -> Self {
        let mut network = self.0;
        match network[0] {
            4 => network[4] = 0,
            _ => (network[7], network[8]) = (0, 0),
        }
        Self(network)
    }
}

/// A challenge that was given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Its name, and what is used once.
    pub nonce: Nonce,
    /// Who may answer it.
    pub fingerprint: Fingerprint,
    /// What the client sent to recognise its own challenge.
    pub client_nonce: Box<str>,
    /// When it was made.
    pub timestamp: Timestamp,
    /// The service it lets in to.
    pub service: Arc<str>,
    /// From when on it is worthless.
    pub expires: Timestamp,
    /// The web origin it is bound to (V2), if any.
    pub origin: Option<Box<str>>,
    /// Where the request came from.
    pub prefix: AddressPrefix,
}

/// Challenges that wait for their answer. Need not be durable; must be bounded.
#[async_trait]
pub trait ChallengeStore: Send + Sync + 'static {
    /// Keeps a challenge until some time after it expired. When full, makes room at the cost of whichever address
    /// prefix holds most.
    async fn put(&self, challenge: Challenge, now: Timestamp) -> StoreResult<()>;

    /// Reads a challenge without using it up.
    async fn get(&self, nonce: &Nonce) -> StoreResult<Option<Challenge>>;

    /// Takes a challenge away. Of any number of simultaneous calls one gets it.
    async fn take(&self, nonce: &Nonce) -> StoreResult<Option<Challenge>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_neighbours_and_mapped_ipv4_share_a_prefix() {
        let prefix = |text: &str| AddressPrefix::of(Some(text.parse().unwrap()));
        assert_eq!(prefix("2001:db8::1"), prefix("2001:db8::ffff:2"));
        assert_ne!(prefix("2001:db8::1"), prefix("2001:db8:0:1::1"));
        assert_eq!(prefix("192.0.2.1"), prefix("::ffff:192.0.2.1"));
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
        assert_ne!(prefix("0.0.0.0"), AddressPrefix::of(None));
        assert!(prefix("0.0.0.0").is_known() && !AddressPrefix::of(None).is_known());
    }

    #[test]
    fn networks_are_wider_than_prefixes() {
        let network = |text: &str| AddressPrefix::of(Some(text.parse().unwrap())).network();
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:ffff::2"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:2:2::1"));
        assert_eq!(network("192.0.2.1"), network("192.0.2.200"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_ne!(network("0.0.0.0"), AddressPrefix::of(None).network());
    }
}
