//! What an adapter knows of a request and hands in through its extensions.

use std::net::IpAddr;
use std::sync::OnceLock;

use http::request::Parts;
use http::{Extensions, Uri};

/// The path under which the endpoints are mounted, without a trailing slash (`/app`); absent or empty at the root.
///
/// Frameworks take it off the URI before the endpoints see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mount(pub String);

/// The address at the other end of the connection: the transport's word, no header's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Instead of [`Peer`], where the other end is a process on this machine, connected by a Unix socket: it has no address,
/// and says whose request it hands on only where that was configured
/// ([`LocalConfig::trusted_unix_peers`](crate::LocalConfig::trusted_unix_peers)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnixPeer;

/// The URI as it arrived, before a framework took a mount point off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalUri(pub Uri);

/// Somebody has opened a span for this request: the endpoints open none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traced;

/// The request's `Origin` is one whose pages may call the protocol's endpoints: whoever answers CORS preflights has looked.
/// A form from any other origin than the own ones is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmittedOrigin;

/// How a framework's own note of it is found: see [`OriginalUri::found_by`]. A fact about the program, and no state.
static FINDER: OnceLock<fn(&Extensions) -> Option<&Uri>> = OnceLock::new();

impl OriginalUri {
    /// For the adapter of a framework that notes the original URI in the extensions itself, under a type of its own:
    /// says how to find it there. The layers of this crate, which know no framework, then send people back to the whole
    /// path. The first caller in a process counts.
    pub fn found_by(find: fn(&Extensions) -> Option<&Uri>) {
        let _ = FINDER.set(find);
    }

    /// The URI as it arrived, as far as anybody says.
    pub(crate) fn of(parts: &Parts) -> &Uri {
        let noted = FINDER.get().and_then(|find| find(&parts.extensions));
        noted.or(parts.extensions.get::<Self>().map(|original| &original.0)).unwrap_or(&parts.uri)
    }
}
