//! TLS on the port.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::person::Person;
use crate::support::tls::{Authority, Files};
use crate::support::{PATIENCE, Place, Service, exchange};

/// A service that speaks TLS.
fn start(place: &Place, authority: &Authority) -> Service {
    let files = Files::of(place);
    files.put(&authority.issue());
    place.start(&files.settings())
}

#[test]
fn somebody_signs_in_by_tls_in_both_versions() {
    let (place, authority) = (Place::new(), Authority::new());
    let service = start(&place, &authority);
    let person = Person::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = authority.client_of(&[version]);
        let stream = client.connect(service.address);
        assert_eq!(stream.conn.protocol_version(), Some(version.version));
        let login = person.log_in_by(|path, body| client.post(service.address, path, body));
        assert_eq!((login.status, &login.json()["authenticated"]), (200, &true.into()), "{login:?}");
    }
    assert_eq!(service.url, format!("https://{}", service.address));
    let ended = service.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.banner.contains("cert.pem") && !ended.banner.contains("without TLS"), "{}", ended.banner);
    assert!(ended.banner.contains("https://capauth.local"), "{}", ended.banner);
    assert!(!ended.log.contains("MARKER"), "{}", ended.log);
}

#[test]
fn keys_of_every_kind_and_form_are_served() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    let client = authority.client();
    for kind in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519, &rcgen::PKCS_RSA_SHA256] {
        let issued = authority.issue_of_kind(kind);
        files.put(&issued);
        let service = place.start(&files.settings());
        assert_eq!(client.shown(service.address), issued.der);
        service.stop();
    }
    // What openssl makes of a key in its older forms: SEC1 and PKCS#1.
    for kind in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_RSA_SHA256] {
        let issued = authority.issue_of_kind(kind);
        files.put(&issued);
        let output = std::process::Command::new("openssl")
            .args(["pkey", "-traditional", "-in"])
            .arg(&files.key)
            .output()
            .unwrap();
        let key = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(key.contains("BEGIN EC PRIVATE KEY") || key.contains("BEGIN RSA PRIVATE KEY"), "{output:?}");
        std::fs::write(&files.key, key).unwrap();
        let service = place.start(&files.settings());
        assert_eq!(client.shown(service.address), issued.der);
        service.stop();
    }
}

#[test]
fn http_1_1_is_agreed_on_and_nothing_else() {
    let (place, authority) = (Place::new(), Authority::new());
    let service = start(&place, &authority);
    let mut client = authority.client();
    client.0.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = client.connect(service.address);
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    client.0.alpn_protocols = vec![b"h2".to_vec()];
    let refused = client.try_connect(service.address).err().unwrap();
    assert!(refused.to_string().contains("NoApplicationProtocol"), "{refused}");
    service.stop();
}

/// *Attack: a client is talked into speaking in the clear.*
#[test]
fn attack_plain_http_on_the_tls_port_gets_no_answer() {
    let (place, authority) = (Place::new(), Authority::new());
    let service = start(&place, &authority);
    let mut stream = service.connect();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // Closed with what was sent unread, the connection may be reset.
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1"), "{answer:?}");
    assert_eq!(authority.client().get(service.address, "/health").status, 200);
    service.stop();
}

/// *Attack: a client is talked into a version that is broken.* The first flight of a client that knows TLS 1.1 at most.
#[test]
fn attack_versions_before_1_2_are_refused() {
    let (place, authority) = (Place::new(), Authority::new());
    let service = start(&place, &authority);
    for (minor, agreed) in [(2_u8, false), (3, true)] {
        let mut stream = service.connect();
        stream.write_all(&client_hello(minor)).unwrap();
        let mut record = [0; 5];
        stream.read_exact(&mut record).unwrap();
        // A handshake goes on with a record of type 22; 21 is an alert.
        assert_eq!(record[0], if agreed { 22 } else { 21 }, "TLS 1.{}", minor - 1);
    }
    service.stop();
}

/// A hello with version 3.`minor`, cipher suites for all of them, and the extensions that TLS 1.2 needs.
fn client_hello(minor: u8) -> Vec<u8> {
    let with_length = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let extension = |kind: u16, content: &[u8]| [&kind.to_be_bytes(), &*with_length(content)].concat();
    let extensions = [
        extension(10, &with_length(&[0, 0x17, 0, 0x1d])),
        extension(11, &[1, 0]),
        extension(13, &with_length(&[4, 3, 8, 4])),
        extension(23, &[]),
    ]
    .concat();
    let suites = with_length(&[0xc0, 0x2b, 0xc0, 0x2f, 0xc0, 0x09, 0xc0, 0x13, 0, 0x2f]);
    let hello = [&[3, minor], &[7; 32][..], &[0], &suites, &[1, 0], &with_length(&extensions)].concat();
    let length = u32::try_from(hello.len()).unwrap().to_be_bytes();
    let handshake = [&[1], &length[1..], &hello].concat();
    [&[22, 3, 1], &*with_length(&handshake)].concat()
}

/// *Attack: handshakes that are begun and never ended.*
#[test]
fn attack_handshakes_without_end_keep_nobody_out() {
    let (place, authority) = (Place::new(), Authority::new());
    let service = start(&place, &authority);
    let hello = client_hello(3);
    let begun: Vec<TcpStream> = (0..200)
        .map(|sent| {
            let mut stream = service.connect();
            // Nothing, a part of a hello, or a whole one and then silence.
            stream.write_all(&hello[..[0, 1, 20, hello.len()][sent % 4]]).unwrap();
            stream
        })
        .collect();
    assert_eq!(authority.client().get(service.address, "/health").status, 200);
    // In the end each of them is closed, and gives its place back.
    for mut stream in begun {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // An error says the same as the end: it is over.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(authority.client().get(service.address, "/health").status, 200);
    service.stop();
}

#[test]
fn an_unfinished_handshake_does_not_hold_up_the_end() {
    let (place, authority) = (Place::new(), Authority::new());
    let service = start(&place, &authority);
    let mut silent = service.connect();
    let mut half = service.connect();
    half.write_all(&client_hello(3)).unwrap();
    half.read_exact(&mut [0; 1]).unwrap();
    let mut idle = authority.client().connect(service.address);
    assert_eq!(service.stop().code, Some(0));
    // The other ones were cut off; a connection with TLS on it is told properly.
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    let _ = silent.read_to_end(&mut Vec::new());
}

#[test]
fn browsers_are_told_to_stay_with_https_where_the_host_is_the_services_own() {
    const HSTS: &str = "strict-transport-security";
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    files.put(&authority.issue());
    let client = authority.client();
    let socket = place.path("s");
    let [cert, key] = files.settings();
    let with = |url: &str| {
        let by_socket = ("CAPAUTH_SOCKET", socket.to_str().unwrap());
        place.start(&[cert, key, by_socket, ("CAPAUTH_BASE_URL", url)])
    };
    let service = with("https://auth.example.com");
    for path in ["/health", "/nowhere"] {
        assert_eq!(client.get(service.address, path).header(HSTS), Some("max-age=15552000"), "{path}");
    }
    // The socket is for this machine, and for proxies that say it themselves.
    let mut local = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    assert_eq!(exchange(&mut local, "GET", "/health", &[], "").header(HSTS), None);
    service.stop();
    // It would count for what else the host runs, on other ports.
    let service = with("https://nas.example.com:8443");
    assert_eq!(client.get(service.address, "/health").header(HSTS), None);
    service.stop();
    let service = place.start(&[]);
    assert_eq!(service.get("/health").header(HSTS), None);
    service.stop();
}

#[test]
fn several_requests_go_over_one_connection() {
    let (place, authority) = (Place::new(), Authority::new());
    let service = start(&place, &authority);
    let mut stream = authority.client().connect(service.address);
    for _ in 0..3 {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        read_on(&mut stream);
    }
    service.stop();
}

/// Reads the rest of an answer: its head, and the body of the length that the head names.
pub fn read_on(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}
