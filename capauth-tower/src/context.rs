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

/// The URI as it arrived, before a framework took a mount point off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalUri(pub Uri);

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
