//! The Web Key Directory of an address's domain (draft-koch-openpgp-webkey-service), fetched as one fetches from
//! strangers.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Response, StatusCode, Url};
use sequoia_net::wkd::{self, Variant};
use tokio::sync::Semaphore;

use super::public::is_public;
use super::resolver::{Pins, Resolver};
use super::{DirectoryError, DirectoryErrorKind, EmailAddress, KeyDirectory, WebKeyDirectoryBuilder};

/// The longest answer that is read, in bytes.
pub(super) const MAX_ANSWER: usize = 256 * 1024;
/// How many addresses of a host are tried.
const MAX_ADDRESSES: usize = 8;

/// Asks the domain of an address for its certificates: at `openpgpkey.{domain}`, and at `{domain}` itself only if there
/// is no such host. Any other failure there ends the matter, or whoever can cause one could choose the server.
///
/// HTTPS with a certificate that is checked, status 200, at most 256 KiB, five seconds in all, sixteen fetches at once.
/// No redirect is followed; there are no proxies, cookies or referrers, and nothing is decompressed. The host is resolved
/// once, and connected to only at those addresses. If a single one of them is not on the public internet, none is used.
/// That goes for the addresses of NAT64 too, so a machine which has only those reaches hosts with IPv6 alone.
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use capauth_verifier::{EmailAddress, KeyDirectory, WebKeyDirectory};
///
/// let directory = WebKeyDirectory::builder().build()?;
/// let address = EmailAddress::parse("ada@example.org").ok_or("no address")?;
/// let certificates = directory.certificates(&address).await?;
/// # Ok(()) }
/// ```
pub struct WebKeyDirectory {
    pub(super) client: Client,
    pub(super) pins: Arc<Pins>,
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) places: Semaphore,
    pub(super) timeout: Duration,
    pub(super) port: u16,
    pub(super) loopback: bool,
}

fn error(kind: DirectoryErrorKind) -> DirectoryError {
    DirectoryError::new(kind)
}

impl WebKeyDirectory {
    /// Begins the configuration. There need be none.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let directory = capauth_verifier::WebKeyDirectory::builder().build()?;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> WebKeyDirectoryBuilder {
        WebKeyDirectoryBuilder::new()
    }

    async fn fetch(&self, address: &EmailAddress) -> Result<Vec<u8>, DirectoryError> {
        let mut variant = Variant::Advanced;
        let mut host = format!("openpgpkey.{}", address.domain());
        let mut addresses = self.addresses(&host).await?;
        if addresses.is_empty() {
            variant = Variant::Direct;
            address.domain().clone_into(&mut host);
            addresses = self.addresses(&host).await?;
        }
        if addresses.is_empty() {
            return Err(error(DirectoryErrorKind::NotFound));
        }
        let url = self.url(address, variant, &host).ok_or(error(DirectoryErrorKind::Refused))?;
        let _pin = self.pins.pin(&host, addresses);
        let response = self.client.get(url).send().await.map_err(|e| of_client(&e))?;
        read(response).await
    }

    /// Where the host may be connected to. Empty if there is no such host.
    async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, DirectoryError> {
        let found = self.resolver.resolve(host).await?;
        let is_fit = |address: &IpAddr| is_public(*address) || (self.loopback && address.is_loopback());
        if !found.iter().all(is_fit) {
            return Err(error(DirectoryErrorKind::Refused));
        }
        Ok(found.into_iter().take(MAX_ADDRESSES).map(|address| SocketAddr::new(address, self.port)).collect())
    }

    /// `None` if the URL would lead elsewhere than to this very name: an IP address in it is connected to without asking
    /// anybody, past every check.
    fn url(&self, address: &EmailAddress, variant: Variant, host: &str) -> Option<Url> {
        let mapped = wkd::Url::from(address.as_str()).ok()?.build(variant);
        let mut url = Url::parse(&mapped).ok()?;
        url.set_port(Some(self.port)).ok()?;
        let bare = url.username().is_empty() && url.password().is_none();
        (bare && url.scheme() == "https" && url.domain() == Some(host)).then_some(url)
    }
}

#[async_trait]
impl KeyDirectory for WebKeyDirectory {
    async fn certificates(&self, address: &EmailAddress) -> Result<Vec<u8>, DirectoryError> {
        let _place = self.places.try_acquire().map_err(|_| error(DirectoryErrorKind::Busy))?;
        let fetched = tokio::time::timeout(self.timeout, self.fetch(address)).await;
        fetched.unwrap_or(Err(error(DirectoryErrorKind::Timeout)))
    }
}

impl fmt::Debug for WebKeyDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebKeyDirectory").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// The client's error names the URL, and the URL names the person: only the kind goes on.
fn of_client(failure: &reqwest::Error) -> DirectoryError {
    error(if failure.is_timeout() { DirectoryErrorKind::Timeout } else { DirectoryErrorKind::Network })
}

async fn read(mut response: Response) -> Result<Vec<u8>, DirectoryError> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Err(error(DirectoryErrorKind::NotFound)),
        _ => return Err(error(DirectoryErrorKind::Status)),
    }
    let too_large = error(DirectoryErrorKind::TooLarge);
    if response.content_length().is_some_and(|length| length > MAX_ANSWER as u64) {
        return Err(too_large);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| of_client(&e))? {
        if chunk.len() > MAX_ANSWER.saturating_sub(body.len()) {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(address: &str, variant: Variant, host: &str) -> Option<String> {
        let directory = WebKeyDirectory::builder().build().unwrap();
        let address = EmailAddress::parse(address).unwrap();
        directory.url(&address, variant, host).map(String::from)
    }

    /// The example of the draft.
    #[test]
    fn an_address_is_mapped_as_the_draft_says() {
        let mapped = url("Joe.Doe@Example.ORG", Variant::Advanced, "openpgpkey.example.org");
        let hashed = "iy9q119eutrkn8s1mk4r39qejnbu3n5q?l=joe.doe";
        let advanced = "https://openpgpkey.example.org/.well-known/openpgpkey/example.org/hu/";
        assert_eq!(mapped.unwrap(), format!("{advanced}{hashed}"));
        let mapped = url("Joe.Doe@Example.ORG", Variant::Direct, "example.org");
        assert_eq!(mapped.unwrap(), format!("https://example.org/.well-known/openpgpkey/hu/{hashed}"));
    }

    #[test]
    fn attack_a_local_part_adds_nothing_to_the_url() {
        let mapped = url("a&b=c#d/./?%00+x@example.org", Variant::Direct, "example.org").unwrap();
        let (path, query) = mapped.split_once('?').unwrap();
        assert_eq!(path.len(), "https://example.org/.well-known/openpgpkey/hu/".len() + 32);
        assert_eq!(query, "l=a%26b%3Dc%23d%2F.%2F%3F%2500%2Bx");
    }

    #[test]
    fn attack_a_url_for_another_host_is_none() {
        assert_eq!(url("ada@example.org", Variant::Direct, "example.com"), None);
        assert_eq!(url("ada@example.org", Variant::Advanced, "example.org"), None);
    }
}
