//! Certificates that are replaced while the service runs.

use std::io::{Read, Write};

use crate::support::tls::{Authority, Files, replace, shown};
use crate::support::{Answer, Over, Place};
use crate::tls::read_on;

const REPLACED: &str = "new connections get the certificate";
const KEPT: &str = "the TLS certificate stays";

#[test]
fn a_replaced_certificate_is_shown_to_new_connections_and_open_ones_go_on() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    let (first, second) = (authority.issue(), authority.issue());
    files.put(&first);
    let service = place.start(&files.settings());
    let client = authority.client();

    // One connection that is kept, and one with a request under way: the server has asked for its body.
    let mut kept = client.connect(service.address);
    kept.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    read_on(&mut kept);
    let mut under_way = client.connect(service.address);
    let head = "POST /capauth/v1/challenge HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
        content-type: application/json\r\nconnection: close\r\ncontent-length: 2\r\n\r\n";
    under_way.write_all(head.as_bytes()).unwrap();
    under_way.read_exact(&mut [0; 25]).unwrap();

    files.put(&second);
    service.logs(REPLACED);
    assert_eq!(client.shown(service.address), second.der);

    under_way.write_all(b"{}").unwrap();
    assert_eq!(Answer::read(&mut under_way).status, 400);
    kept.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    assert!(read_on(&mut kept).contains("ok"));
    assert_eq!((shown(&kept), shown(&under_way)), (first.der.clone(), first.der));
    service.stop();
}

#[test]
fn ten_replacements_drop_no_request() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    files.put(&authority.issue());
    let service = place.start(&files.settings());
    let (address, over) = (service.address, Over::default());
    let answered: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                // Each with its own memory of sessions, which it tries to resume.
                let client = authority.client();
                scope.spawn(|| {
                    let (client, mut answered) = (client, 0);
                    while !over.is() {
                        assert_eq!(client.get(address, "/health").status, 200);
                        answered += 1;
                    }
                    answered
                })
            })
            .collect();
        let ending = over.at_the_end();
        for round in 0..10 {
            let issued = authority.issue();
            files.put(&issued);
            // Every other time somebody asks for it.
            if round % 2 == 0 {
                service.signal("HUP");
            }
            service.logs(REPLACED);
            assert_eq!(authority.client().shown(address), issued.der);
        }
        drop(ending);
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    assert!(answered > 30, "{answered}");
    let ended = service.stop();
    assert_eq!(ended.code, Some(0));
}

/// *Attack, or mishap: a certificate's files are damaged, and the service with them.*
#[test]
fn attack_files_that_do_not_fit_change_nothing() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    let (first, second, third) = (authority.issue(), authority.issue(), authority.issue());
    files.put(&first);
    let service = place.start(&files.settings());
    let client = authority.client();
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let secret = second.key.lines().nth(1).unwrap().to_owned();

    let wrong = [
        (second.chain.clone(), third.key.clone(), "CAPAUTH_TLS_KEY"),
        (half(&second.chain), second.key.clone(), "CAPAUTH_TLS_CERT"),
        (second.chain.clone(), half(&second.key), "CAPAUTH_TLS_KEY"),
        (String::new(), second.key.clone(), "CAPAUTH_TLS_CERT"),
        ("MARKER".repeat(100_000), second.key.clone(), "CAPAUTH_TLS_CERT"),
        (second.key.clone(), second.chain.clone(), "CAPAUTH_TLS_CERT"),
    ];
    for (chain, key, named) in wrong {
        replace(&files.cert, &chain);
        replace(&files.key, &key);
        service.signal("HUP");
        let line = service.logs(KEPT);
        assert!(line.contains(named) && line.contains(place.folder.path().to_str().unwrap()), "{line}");
        assert_eq!(client.shown(service.address), first.der);
    }
    std::fs::remove_file(&files.key).unwrap();
    service.signal("HUP");
    assert!(service.logs(KEPT).contains("cannot be read"));
    assert_eq!(client.shown(service.address), first.der);

    // Nobody asks: the right files are found by themselves.
    files.put(&second);
    service.logs(REPLACED);
    assert_eq!(client.shown(service.address), second.der);
    let log = service.stop().log;
    assert!(!log.contains(&secret) && !log.contains("BEGIN") && !log.contains("MARKER"), "{log}");
}

#[test]
fn what_does_not_fit_is_noticed_without_being_asked_and_said_once() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    files.put(&authority.issue());
    let service = place.start(&files.settings());
    // Renewed, but for the key.
    let renewed = authority.issue();
    replace(&files.cert, &renewed.chain);
    assert!(service.logs(KEPT).contains("CAPAUTH_TLS_KEY"));
    replace(&files.key, &renewed.key);
    service.logs(REPLACED);
    let log = service.stop().log;
    assert_eq!(log.matches(KEPT).count(), 1, "{log}");
}

/// *Attack: a session that began under a certificate which was taken out of use goes on under the next.*
#[test]
fn attack_sessions_of_a_replaced_certificate_are_not_resumed() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    files.put(&authority.issue());
    let service = place.start(&files.settings());
    let client = authority.client();
    let kind = || {
        let mut stream = client.connect(service.address);
        // With the answer come the tickets of TLS 1.3.
        crate::support::exchange(&mut stream, "GET", "/health", &[], "");
        stream.conn.handshake_kind().unwrap()
    };
    kind();
    assert_eq!(kind(), rustls::HandshakeKind::Resumed);
    files.put(&authority.issue());
    service.logs(REPLACED);
    assert_eq!(kind(), rustls::HandshakeKind::Full);
    service.stop();
}
