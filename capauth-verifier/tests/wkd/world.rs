//! The usual: `example.org` and its `openpgpkey.example.org` on this machine. Each test then bends what it is about.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capauth_protocol::Fingerprint;
use capauth_verifier::{
    DirectoryErrorKind, EmailAddress, EmailVerifier, KeyDirectory, ManualClock, MasterKey, WebKeyDirectory,
    WebKeyDirectoryBuilder,
};
use sequoia_openpgp::Cert;

use crate::keys::{bytes, fingerprint};
use crate::names::{Found, Names};
use crate::server::{Authority, Reply, Server, Speech};

pub(crate) const ADVANCED: &str = "openpgpkey.example.org";
pub(crate) const DIRECT: &str = "example.org";
pub(crate) const IDN: &str = "openpgpkey.xn--bcher-kva.example";
pub(crate) const HERE: &str = "127.0.0.1";
pub(crate) const ADA: &str = "ada@example.org";
const HOSTS: &[&str] = &[ADVANCED, DIRECT, IDN];

pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) server: Server,
    pub(crate) names: Arc<Names>,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::speaking(Speech::Tls(HOSTS)).await
    }

    pub(crate) async fn speaking(speech: Speech) -> Self {
        let authority = Authority::new();
        let server = Server::start(&authority, speech, "127.0.0.1:0").await;
        let names = Names::default();
        for host in HOSTS {
            names.always(host, Found::at(&[HERE]));
        }
        // What a test signs now is a moment old.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(10);
        let clock = Arc::new(ManualClock::at(UNIX_EPOCH + now));
        Self { authority, server, names: Arc::new(names), clock }
    }

    pub(crate) fn builder(&self) -> WebKeyDirectoryBuilder {
        WebKeyDirectory::builder()
            .resolver(Arc::clone(&self.names) as _)
            .root_certificate(self.authority.pem())
            .port(self.server.address.port())
            .allow_loopback(true)
            .timeout(Duration::from_secs(30))
    }

    pub(crate) fn verifier(&self) -> EmailVerifier {
        self.asking(self.builder().build().unwrap())
    }

    pub(crate) fn asking(&self, directory: WebKeyDirectory) -> EmailVerifier {
        EmailVerifier::new(Arc::new(directory), Arc::clone(&self.clock) as _, MasterKey::generate().unwrap())
    }

    pub(crate) fn serves(&self, host: &str, cert: &Cert) {
        self.server.always(host, Reply::Body(bytes(cert)));
    }

    /// What a fetch of ada's certificates gives, with the usual settings.
    pub(crate) async fn fetch(&self) -> Result<Vec<u8>, DirectoryErrorKind> {
        fetch(&self.builder().build().unwrap()).await
    }

    /// What a fresh verifier makes of ada's address and this certificate.
    pub(crate) async fn verify(&self, cert: &Cert) -> Option<String> {
        verify(&self.verifier(), ADA, cert).await
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub(crate) async fn fetch(directory: &WebKeyDirectory) -> Result<Vec<u8>, DirectoryErrorKind> {
    directory.certificates(&EmailAddress::parse(ADA).unwrap()).await.map_err(|error| error.kind())
}

pub(crate) async fn verify(verifier: &EmailVerifier, claim: &str, cert: &Cert) -> Option<String> {
    verify_as(verifier, claim, &fingerprint(cert), cert).await
}

pub(crate) async fn verify_as(
    verifier: &EmailVerifier,
    claim: &str,
    sub: &Fingerprint,
    cert: &Cert,
) -> Option<String> {
    let verified = verifier.verify(claim, sub, &fingerprint(cert)).await;
    verified.map(|address| address.as_str().to_owned())
}
