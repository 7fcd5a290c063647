//! Which address a request came from, behind proxies that the operator names.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use http::request::Parts;

use crate::context::{Peer, UnixPeer};

/// Hops looked at in `X-Forwarded-For`, from the right. No real chain is longer.
const MAX_HOPS: usize = 32;

/// A range of addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
///
/// IPv4 addresses mapped into IPv6 (`::ffff:192.0.2.1`) count as the IPv4 address.
///
/// ```
/// use capauth_tower::IpRange;
///
/// let range: IpRange = "10.0.0.0/8".parse()?;
/// assert!(range.contains("10.1.2.3".parse()?));
/// assert!(!range.contains("11.1.2.3".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpRange {
    network: IpAddr,
    bits: u8,
}

impl IpRange {
    /// Whether the address is in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for IpRange {
    type Err = IpRangeError;

    fn from_str(text: &str) -> Result<Self, IpRangeError> {
        let text = text.trim();
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let network: IpAddr = address.parse().map_err(|_| IpRangeError)?;
        let most: u8 = if network.is_ipv4() { 32 } else { 128 };
        let digits = |bits: &str| bits.len() <= 3 && bits.bytes().all(|byte| byte.is_ascii_digit());
        let bits: u8 = match bits {
            None => most,
            Some(bits) if digits(bits) => bits.parse().map_err(|_| IpRangeError)?,
            Some(_) => return Err(IpRangeError),
        };
        if bits > most {
            return Err(IpRangeError);
        }
        match network.to_canonical() {
            canonical @ IpAddr::V4(_) if network.is_ipv6() => {
                let bits = bits.checked_sub(96).ok_or(IpRangeError)?;
                Ok(Self { network: canonical, bits })
            }
            canonical => Ok(Self { network: canonical, bits }),
        }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.bits)
    }
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpRangeError;

impl fmt::Display for IpRangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a range of addresses looks like 10.0.0.0/8, 2001:db8::/32 or 192.0.2.1")
    }
}

impl std::error::Error for IpRangeError {}

/// The proxies whose word about the client's address is taken.
#[derive(Debug, Default)]
pub(crate) struct TrustedProxies {
    ranges: Vec<IpRange>,
    /// Whether a peer at the other end of a Unix socket is one.
    unix: bool,
    /// Whether it was said that one is missing.
    warned: AtomicBool,
}

impl TrustedProxies {
    pub(crate) fn new(ranges: Vec<IpRange>, unix: bool) -> Self {
        Self { ranges, unix, warned: AtomicBool::new(false) }
    }

    /// The client's address: the peer, or behind trusted proxies the first address in `X-Forwarded-For`, from the
    /// right, that is none of theirs. A peer without an address has one only by the word of a trusted proxy.
    pub(crate) fn client(&self, parts: &Parts) -> Option<IpAddr> {
        match parts.extensions.get::<Peer>() {
            Some(Peer(peer)) => {
                let peer = peer.to_canonical();
                let unnamed = is_of_this_place(peer) && !self.trusts(peer);
                if unnamed && parts.headers.contains_key("x-forwarded-for") {
                    self.warn();
                }
                self.walk(Some(peer), &parts.headers)
            }
            None if self.unix && parts.extensions.get::<UnixPeer>().is_some() => {
                self.walk(None, &parts.headers)
            }
            None => None,
        }
    }

    /// Goes left from the peer; `None` is one that is trusted and has no address.
    fn walk(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer;
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops.take(MAX_HOPS) {
            if client.is_some_and(|client| !self.trusts(client)) {
                break;
            }
            // What a trusted proxy wrote and we do not understand ends the walk: nothing left of it is its word.
            let Some(address) = std::str::from_utf8(hop).ok().and_then(address) else { break };
            client = Some(address);
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(address))
    }

    /// Says once that a proxy stands in front which nobody named.
    fn warn(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                target: "capauth::limits",
                "a proxy on this machine or network hands requests on that nobody named, so all people look like one and \
                 share one limit: name it in CAPAUTH_TRUSTED_PROXIES, or with .trusted_proxies(…)"
            );
        }
    }
}

/// Whether an address is this machine's, or a private network's: where proxies are.
fn is_of_this_place(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// An address as proxies write one: alone, with a port, or in brackets.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let alone = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    alone().or_else(with_port).or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(forwarded: &[&str]) -> Parts {
        let mut request = http::Request::builder();
        for line in forwarded {
            request = request.header("x-forwarded-for", *line);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn proxies(trusted: &[&str], unix: bool) -> TrustedProxies {
        TrustedProxies::new(trusted.iter().map(|range| range.parse().unwrap()).collect(), unix)
    }

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut parts = parts(forwarded);
        parts.extensions.insert(Peer(peer.parse().unwrap()));
        // Whether Unix peers are trusted says nothing of peers with an address.
        let clients = [false, true].map(|unix| proxies(trusted, unix).client(&parts).unwrap().to_string());
        assert_eq!(clients[0], clients[1]);
        clients[0].clone()
    }

    #[test]
    fn attack_a_unix_peer_names_an_address_only_where_that_was_configured() {
        let client = |trusted: &[&str], unix, forwarded: &[&str]| {
            let mut parts = parts(forwarded);
            parts.extensions.insert(UnixPeer);
            proxies(trusted, unix).client(&parts).map(|address| address.to_string())
        };
        assert_eq!(client(&["0.0.0.0/0"], false, &["203.0.113.9"]), None);
        assert_eq!(client(&[], true, &["127.0.0.1, 203.0.113.9"]).as_deref(), Some("203.0.113.9"));
        let behind = ["203.0.113.9, 10.0.0.7"];
        assert_eq!(client(&["10.0.0.0/8"], true, &behind).as_deref(), Some("203.0.113.9"));
        assert_eq!(client(&[], true, &["203.0.113.9, unknown"]), None);
        assert_eq!(client(&[], true, &[]), None);
        // Nothing is known of a peer that the transport says nothing of.
        assert_eq!(proxies(&["0.0.0.0/0"], true).client(&parts(&["203.0.113.9"])), None);
    }

    #[test]
    fn attack_forged_forwarded_for_is_not_believed() {
        assert_eq!(client(&[], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        // The client wrote the left one, in the same line or in a line of its own; the proxy the right one.
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["127.0.0.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["127.0.0.1", "203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "10.0.0.1", &["10.9.9.9, 203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn the_walk_passes_trusted_proxies_and_stops_at_what_it_does_not_understand() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"];
        assert_eq!(client(&trusted, "10.0.0.1", &["203.0.113.9, 10.0.0.7"]), "203.0.113.9");
        assert_eq!(client(&trusted, "10.0.0.1", &["[2001:db8::1]:443, 10.0.0.7:80"]), "2001:db8::1");
        assert_eq!(client(&trusted, "10.0.0.1", &["203.0.113.9, unknown, 10.0.0.7"]), "10.0.0.7");
        assert_eq!(client(&trusted, "::ffff:10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&trusted, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client(&trusted, "10.0.0.1", &["10.0.0.2", ""]), "10.0.0.1");
    }

    #[test]
    fn ranges_are_read_strictly() {
        for good in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "192.0.2.1", "::1/128", "::ffff:10.0.0.0/104"] {
            assert!(good.parse::<IpRange>().is_ok(), "{good}");
        }
        for bad in
            ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "x", "::ffff:10.0.0.0/8"]
        {
            assert_eq!(bad.parse::<IpRange>(), Err(IpRangeError), "{bad}");
        }
        let everything: IpRange = "0.0.0.0/0".parse().unwrap();
        assert!(everything.contains("203.0.113.9".parse().unwrap()));
        assert!(!everything.contains("::1".parse().unwrap()));
        let mapped: IpRange = "::ffff:10.0.0.0/104".parse().unwrap();
        assert!(mapped.contains("10.1.1.1".parse().unwrap()));
    }
}
