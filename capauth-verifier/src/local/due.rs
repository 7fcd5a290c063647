//! What happens by itself when its time comes: looked at on the way of whatever is asked.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::LocalVerifier;
use super::key_cache::millis;
use crate::clock::Timestamp;
use crate::error::AuthError;
use crate::stores::{Actor, Note};

/// For how many milliseconds nobody looks again.
const EVERY: u64 = 5_000;

impl LocalVerifier {
    /// Rotations whose wait is over, new keys that waited too long, codes, tokens and sessions past their time. Costs
    /// nothing but a look at the clock, except once in a few seconds. What fails is nobody's fault who asks: it is logged,
    /// and tried again.
    pub(super) async fn do_what_is_due(&self) {
        let now = self.clock.now();
        let (due, at) = (self.next_look.load(Ordering::Relaxed), millis(now));
        // A clock that was set back must not put it off.
        if at < due && due - at <= EVERY {
            return;
        }
        if self.next_look.compare_exchange(due, at + EVERY, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        if let Err(error) = Box::pin(self.do_it_now(now)).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause, "what is due is not done; trying again");
        }
    }

    async fn do_it_now(&self, now: SystemTime) -> Result<(), AuthError> {
        let now = Timestamp::from(now);
        let since = Timestamp::from_unix(now.as_unix().saturating_sub(self.pending_lifetime.as_secs()));
        if self.stores.keys.do_what_is_due(since, &Note::new(now, Actor::Server)).await? {
            self.known.changed();
        }
        // What a command beside the service did stands in its file, too.
        self.write_audit_file().await;
        self.forget_expired().await
    }

    /// Somebody does something now.
    pub(super) fn note(&self, who: Actor, address: Option<IpAddr>) -> Note {
        let network = address.filter(|_| self.audit_network).map(network);
        Note { network, ..Note::new(self.now(), who) }
    }
}

/// The network of an address: as much of it as a log may hold.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_cut_to_its_network() {
        let cut = |text: &str| network(text.parse().unwrap());
        assert_eq!(cut("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(cut("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(cut("2001:db8:12:3456::1"), "2001:db8:12::/48");
    }
}
