//! How much of the room one address may take, and how many handshakes run at once.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use capauth_tower::IpRange;
use capauth_verifier::AddressPrefix;

/// How many there may be at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Clients by TCP; more wait until one leaves.
    pub(super) tcp: usize,
    /// Clients at Unix sockets, likewise. Nobody who comes by TCP takes this room.
    pub(super) unix: usize,
    /// Connections of one address prefix. A school behind one address has to fit.
    pub(super) of_prefix: usize,
    /// TLS handshakes.
    pub(super) handshakes: usize,
    /// TLS handshakes of one address prefix.
    pub(super) handshakes_of_prefix: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        // Together fewer than the files that the unit in `contrib/systemd` lets the service open. One address gets a
        // sixteenth.
        Self { tcp: 4_096, unix: 2_048, of_prefix: 256, handshakes: 1_024, handshakes_of_prefix: 64 }
    }
}

/// Those who came by TCP, by where they come from.
#[derive(Debug)]
pub(super) struct Crowd {
    sizes: Sizes,
    /// Each of them holds connections of many clients.
    proxies: Vec<IpRange>,
    counts: Arc<Mutex<Counts>>,
}

/// A prefix is in here while it has a connection, so there are no more of them than there is room.
#[derive(Debug, Default)]
struct Counts {
    handshakes: usize,
    by_prefix: HashMap<AddressPrefix, Held>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held {
    connections: usize,
    handshakes: usize,
}

/// Why somebody may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Address,
    AddressHandshakes,
    Handshakes,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "its address has as many connections as one may have",
            Self::AddressHandshakes => "its address has as many TLS handshakes under way as one may have",
            Self::Handshakes => "as many TLS handshakes are under way as there may be",
        })
    }
}

/// A connection that is counted, until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    counts: Arc<Mutex<Counts>>,
    /// `None` for one that does not count against its address.
    prefix: Option<AddressPrefix>,
    /// Whether its handshake is under way.
    handshake: bool,
}

impl Crowd {
    pub(super) fn new(sizes: Sizes, proxies: Vec<IpRange>) -> Self {
        Self { sizes, proxies, counts: Arc::default() }
    }

    /// Counts one more, which begins with a handshake or does not.
    pub(super) fn enter(&self, peer: IpAddr, handshake: bool) -> Result<Seat, Full> {
        let prefix = (!self.is_exempt(peer)).then(|| AddressPrefix::of(Some(peer)));
        // What does not count takes no lock.
        if prefix.is_some() || handshake {
            self.count(prefix, handshake)?;
        }
        Ok(Seat { counts: Arc::clone(&self.counts), prefix, handshake })
    }

    /// A proxy holds everybody's connections. Who comes over the loopback is on this machine already, or is a proxy on
    /// it that nobody named.
    fn is_exempt(&self, peer: IpAddr) -> bool {
        peer.to_canonical().is_loopback() || self.proxies.iter().any(|range| range.contains(peer))
    }

    fn count(&self, prefix: Option<AddressPrefix>, handshake: bool) -> Result<(), Full> {
        let mut counts = lock(&self.counts);
        if handshake && counts.handshakes >= self.sizes.handshakes {
            return Err(Full::Handshakes);
        }
        if let Some(prefix) = prefix {
            let held = counts.by_prefix.get(&prefix).copied().unwrap_or_default();
            if held.connections >= self.sizes.of_prefix {
                return Err(Full::Address);
            }
            if handshake && held.handshakes >= self.sizes.handshakes_of_prefix {
                return Err(Full::AddressHandshakes);
            }
            let one_more = Held {
                connections: held.connections + 1,
                handshakes: held.handshakes + usize::from(handshake),
            };
            counts.by_prefix.insert(prefix, one_more);
        }
        counts.handshakes += usize::from(handshake);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn handshakes(&self) -> usize {
        lock(&self.counts).handshakes
    }
}

impl Seat {
    /// Its handshake is over.
    pub(super) fn handshake_is_over(&mut self) {
        if std::mem::take(&mut self.handshake) {
            let mut counts = lock(&self.counts);
            counts.end_handshake(self.prefix.as_ref());
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.prefix.is_none() && !self.handshake {
            return;
        }
        let mut counts = lock(&self.counts);
        if self.handshake {
            counts.end_handshake(self.prefix.as_ref());
        }
        if let Some(prefix) = &self.prefix {
            counts.leave(prefix);
        }
    }
}

impl Counts {
    fn end_handshake(&mut self, prefix: Option<&AddressPrefix>) {
        self.handshakes = self.handshakes.saturating_sub(1);
        if let Some(held) = prefix.and_then(|prefix| self.by_prefix.get_mut(prefix)) {
            held.handshakes = held.handshakes.saturating_sub(1);
        }
    }

    fn leave(&mut self, prefix: &AddressPrefix) {
        if let Some(held) = self.by_prefix.get_mut(prefix) {
            held.connections = held.connections.saturating_sub(1);
            if held.connections == 0 {
                self.by_prefix.remove(prefix);
            }
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIEF: &str = "192.0.2.66";

    fn crowd(proxies: &[&str]) -> Crowd {
        Crowd::new(Sizes::default(), proxies.iter().map(|range| range.parse().unwrap()).collect())
    }

    fn enter(crowd: &Crowd, peer: &str, handshake: bool) -> Result<Seat, Full> {
        crowd.enter(peer.parse().unwrap(), handshake)
    }

    /// Connects from there until nobody is let in any more, or `most` are.
    fn fill(crowd: &Crowd, most: usize, handshake: bool, peer: impl Fn(usize) -> String) -> Vec<Seat> {
        (0..most).map_while(|number| enter(crowd, &peer(number), handshake).ok()).collect()
    }

    /// *Attack: one stranger connects as often as there is room, and stays.*
    #[test]
    fn attack_one_address_holds_all_connections() {
        let crowd = crowd(&[]);
        let Sizes { tcp, of_prefix, .. } = Sizes::default();
        let held = fill(&crowd, tcp, false, |_| THIEF.to_owned());
        assert_eq!(held.len(), of_prefix);
        assert_eq!(enter(&crowd, THIEF, false).unwrap_err(), Full::Address);
        // Nor by writing it in another way.
        assert_eq!(enter(&crowd, "::ffff:192.0.2.66", false).unwrap_err(), Full::Address);
        // All addresses of one IPv6 network are one.
        let network = fill(&crowd, tcp, false, |number| format!("2001:db8::{number:x}"));
        assert_eq!(network.len(), of_prefix);
        assert!(of_prefix * 16 <= tcp);
    }

    #[test]
    fn others_get_in_meanwhile_and_places_are_given_back() {
        let crowd = crowd(&[]);
        let mut held = fill(&crowd, usize::MAX, false, |_| THIEF.to_owned());
        for peer in ["192.0.2.67", "2001:db8::1"] {
            assert!(enter(&crowd, peer, false).is_ok() && enter(&crowd, peer, true).is_ok());
        }
        held.pop();
        held.push(enter(&crowd, THIEF, false).unwrap());
        assert_eq!(enter(&crowd, THIEF, false).unwrap_err(), Full::Address);
        assert_eq!(lock(&crowd.counts).by_prefix.len(), 1, "who left is forgotten");
        drop(held);
        assert!(lock(&crowd.counts).by_prefix.is_empty());
    }

    #[test]
    fn a_proxy_and_this_machine_hold_as_many_as_there_is_room_for() {
        let crowd = crowd(&["198.51.100.7", "2001:db8:1::/64"]);
        let Sizes { tcp, handshakes, .. } = Sizes::default();
        for peer in ["198.51.100.7", "::ffff:198.51.100.7", "2001:db8:1::7", "127.0.0.1", "127.8.9.1", "::1"]
        {
            assert_eq!(fill(&crowd, tcp, false, |_| peer.to_owned()).len(), tcp, "{peer}");
        }
        assert!(lock(&crowd.counts).by_prefix.is_empty());
        // A handshake costs as much, whoever's it is.
        let held = fill(&crowd, tcp, true, |_| "127.0.0.1".to_owned());
        assert_eq!((held.len(), crowd.handshakes()), (handshakes, handshakes));
        // A neighbour of the proxy is none.
        let held = fill(&crowd, tcp, false, |_| "198.51.100.8".to_owned());
        assert_eq!(held.len(), Sizes::default().of_prefix);
    }

    /// *Attack: handshakes are begun and never ended, to keep others from theirs.*
    #[test]
    fn attack_handshakes_that_never_end() {
        let crowd = crowd(&[]);
        let Sizes { handshakes, handshakes_of_prefix, .. } = Sizes::default();
        let mut held = fill(&crowd, handshakes, true, |_| THIEF.to_owned());
        assert_eq!(held.len(), handshakes_of_prefix);
        assert_eq!(enter(&crowd, THIEF, true).unwrap_err(), Full::AddressHandshakes);
        let mut other = enter(&crowd, "192.0.2.67", true).unwrap();
        // One that is over makes room for the next, though the connection goes on; and none counts twice.
        for _ in 0..2 {
            held.iter_mut().take(1).for_each(Seat::handshake_is_over);
        }
        held.push(enter(&crowd, THIEF, true).unwrap());
        assert_eq!(enter(&crowd, THIEF, true).unwrap_err(), Full::AddressHandshakes);
        other.handshake_is_over();
        assert_eq!(crowd.handshakes(), handshakes_of_prefix);
        // From many addresses they reach the bound of all.
        held.extend(fill(&crowd, handshakes, true, |number| {
            format!("10.0.{}.{}", number / 256, number % 256)
        }));
        assert_eq!(crowd.handshakes(), handshakes);
        assert_eq!(enter(&crowd, "192.0.2.67", true).unwrap_err(), Full::Handshakes);
        assert!(enter(&crowd, "192.0.2.67", false).is_ok(), "without one there is room");
        drop((held, other));
        let counts = lock(&crowd.counts);
        assert!(counts.handshakes == 0 && counts.by_prefix.is_empty());
    }
}
