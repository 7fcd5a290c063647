//! An authority that issues certificates, and clients that trust it.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SignatureAlgorithm};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::{Answer, PATIENCE, Place, exchange};

pub type Stream = StreamOwned<ClientConnection, TcpStream>;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate for `localhost` and 127.0.0.1, and its key.
pub struct Issued {
    /// The certificate and the authority's, in PEM form.
    pub chain: String,
    pub key: String,
    /// The certificate as clients see it.
    pub der: CertificateDer<'static>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn issue(&self) -> Issued {
        self.issue_until(2099)
    }

    pub fn issue_until(&self, year: i32) -> Issued {
        self.issue_for(&KeyPair::generate().unwrap(), year)
    }

    pub fn issue_of_kind(&self, kind: &'static SignatureAlgorithm) -> Issued {
        self.issue_for(&KeyPair::generate_for(kind).unwrap(), 2099)
    }

    fn issue_for(&self, key: &KeyPair, year: i32) -> Issued {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(key, &self.0).unwrap();
        Issued {
            chain: certificate.pem() + &self.0.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
        }
    }

    /// A client that trusts this authority, and speaks these versions.
    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Client(config)
    }

    pub fn client(&self) -> Client {
        self.client_of(rustls::ALL_VERSIONS)
    }
}

/// The files of a certificate in a place.
pub struct Files {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Files {
    pub fn of(place: &Place) -> Self {
        Self { cert: place.path("cert.pem"), key: place.path("key.pem") }
    }

    /// Puts a certificate there, each file at once, as careful programs do.
    pub fn put(&self, issued: &Issued) {
        replace(&self.cert, &issued.chain);
        replace(&self.key, &issued.key);
    }

    pub fn settings(&self) -> [(&str, &str); 2] {
        [("CAPAUTH_TLS_CERT", self.cert.to_str().unwrap()), ("CAPAUTH_TLS_KEY", self.key.to_str().unwrap())]
    }
}

pub fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// A client by TLS.
#[derive(Clone)]
pub struct Client(pub ClientConfig);

impl Client {
    /// A connection on which TLS is agreed.
    pub fn try_connect(&self, address: SocketAddr) -> Result<Stream, std::io::Error> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        self.agree(stream)
    }

    /// Agrees on TLS on a connection.
    pub fn agree(&self, mut stream: TcpStream) -> Result<Stream, std::io::Error> {
        let name = ServerName::try_from("localhost").unwrap();
        let mut connection = ClientConnection::new(Arc::new(self.0.clone()), name).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(StreamOwned::new(connection, stream))
    }

    pub fn connect(&self, address: SocketAddr) -> Stream {
        self.try_connect(address).unwrap()
    }

    pub fn get(&self, address: SocketAddr, path: &str) -> Answer {
        exchange(&mut self.connect(address), "GET", path, &[], "")
    }

    pub fn post(&self, address: SocketAddr, path: &str, body: &str) -> Answer {
        exchange(&mut self.connect(address), "POST", path, &[("content-type", "application/json")], body)
    }

    /// Which certificate a new connection gets.
    pub fn shown(&self, address: SocketAddr) -> CertificateDer<'static> {
        shown(&self.connect(address))
    }
}

pub fn shown(stream: &Stream) -> CertificateDer<'static> {
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}
