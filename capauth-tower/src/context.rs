//! What an adapter knows of a request and hands in through its extensions.

use std::net::IpAddr;

use http::Uri;

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
