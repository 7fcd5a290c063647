//! Which host is asked, and at which address.

use capauth_verifier::DirectoryErrorKind as Kind;

use crate::keys::key;
use crate::names::Found;
use crate::server::{Reply, Server, Speech};
use crate::world::{ADA, ADVANCED, DIRECT, HERE, World, fetch};

/// What only a machine inside may see.
const INSIDE: &[u8] = b"inside";

#[tokio::test]
async fn the_domain_itself_is_asked_where_there_is_no_host_for_keys() {
    let world = World::start().await;
    let cert = key(&[ADA]);
    world.serves(DIRECT, &cert);
    assert_eq!(world.verify(&cert).await, None);
    world.names.forget(ADVANCED);
    assert_eq!(world.verify(&cert).await.as_deref(), Some(ADA));
    let asked = world.server.asked();
    assert!(asked.last().unwrap().target.starts_with("/.well-known/openpgpkey/hu/"), "{asked:?}");
    assert_eq!(world.names.asked(), [ADVANCED, ADVANCED, DIRECT]);
    world.names.forget(DIRECT);
    assert_eq!(world.fetch().await, Err(Kind::NotFound));
}

#[tokio::test]
async fn attack_a_disturbed_host_for_keys_hands_over_to_a_domain_that_lies() {
    let world = World::start().await;
    let cert = key(&[ADA]);
    world.serves(DIRECT, &cert);
    for (what, reply) in [
        ("500", Reply::status(500, "")),
        ("404", Reply::status(404, "")),
        ("301", Reply::status(301, &format!("location: https://{DIRECT}/\r\n"))),
        ("hangs up", Reply::Raw(Vec::new())),
        ("no HTTP", Reply::Raw(b"\0\0\0\0".to_vec())),
        ("too large", Reply::Body(vec![0; 256 * 1024 + 1])),
        ("nothing", Reply::Body(Vec::new())),
    ] {
        world.server.always(ADVANCED, reply);
        assert_eq!(world.verify(&cert).await, None, "{what}");
    }
    // A refused connection; name servers that fail; an address inside.
    let refused = Found::at(&["127.0.0.9"]);
    for found in [refused, Found::Fails(Kind::Network), Found::Fails(Kind::Busy), Found::at(&["10.0.0.1"])] {
        world.names.always(ADVANCED, found);
        assert_eq!(world.verify(&cert).await, None);
    }
    assert_eq!(world.server.times(DIRECT), 0);
    assert!(!world.names.asked().contains(&DIRECT.to_owned()));
    world.names.forget(ADVANCED);
    assert!(world.verify(&cert).await.is_some());
}

#[tokio::test]
async fn attack_a_certificate_error_hands_over_to_a_domain_that_lies() {
    let world = World::speaking(Speech::Tls(&[DIRECT])).await;
    let cert = key(&[ADA]);
    world.serves(DIRECT, &cert);
    assert_eq!(world.verify(&cert).await, None);
    assert_eq!(world.server.times(DIRECT), 0);
    world.names.forget(ADVANCED);
    assert!(world.verify(&cert).await.is_some());
}

#[tokio::test]
async fn attack_a_domain_that_leads_inside() {
    let world = World::start().await;
    for host in [ADVANCED, DIRECT] {
        world.server.always(host, Reply::Body(INSIDE.to_vec()));
    }
    let strict = world.builder().allow_loopback(false).build().unwrap();
    for address in [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        world.names.always(ADVANCED, Found::at(&[address]));
        assert_eq!(fetch(&strict).await, Err(Kind::Refused), "{address}");
        // The domain itself, too.
        world.names.forget(ADVANCED);
        world.names.always(DIRECT, Found::at(&[address]));
        assert_eq!(fetch(&strict).await, Err(Kind::Refused), "{address}");
    }
    assert_eq!(world.server.connections(), 0);
    // What tests allow opens nothing but this machine.
    for address in ["10.1.2.3", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "0.0.0.0", "::"] {
        world.names.always(ADVANCED, Found::at(&[address]));
        assert_eq!(world.fetch().await, Err(Kind::Refused), "{address}");
    }
    world.names.always(ADVANCED, Found::at(&[HERE]));
    assert_eq!(world.fetch().await.unwrap(), INSIDE);
}

#[tokio::test]
async fn attack_an_address_inside_among_public_ones() {
    let world = World::start().await;
    world.server.always(ADVANCED, Reply::Body(INSIDE.to_vec()));
    for addresses in [[HERE, "10.0.0.1"], ["10.0.0.1", HERE], [HERE, "fd00::1"]] {
        world.names.always(ADVANCED, Found::at(&addresses));
        assert_eq!(world.fetch().await, Err(Kind::Refused), "{addresses:?}");
    }
    // The ninth is not tried any more, and looked at all the same.
    let mut many = vec![HERE; 9];
    many.push("10.0.0.1");
    world.names.always(ADVANCED, Found::at(&many));
    assert_eq!(world.fetch().await, Err(Kind::Refused));
    assert_eq!(world.server.connections(), 0);
    world.names.always(ADVANCED, Found::at(&[HERE, HERE]));
    assert!(world.fetch().await.is_ok());
}

#[tokio::test]
async fn attack_a_name_that_leads_outside_first_and_inside_then() {
    let world = World::start().await;
    let inside_at = format!("127.0.0.2:{}", world.server.address.port());
    let inside = Server::start(&world.authority, Speech::Tls(&[ADVANCED, DIRECT]), &inside_at).await;
    inside.always(ADVANCED, Reply::Body(INSIDE.to_vec()));
    inside.always(DIRECT, Reply::Body(INSIDE.to_vec()));
    world.server.always(ADVANCED, Reply::Body(b"outside".to_vec()));
    world.server.always(DIRECT, Reply::Body(b"outside".to_vec()));
    let turns = || [Found::at(&[HERE]), Found::at(&["127.0.0.2"])];
    // Both addresses may be connected to here; what keeps the second one out is that nobody asks again.
    world.names.in_turn(ADVANCED, turns());
    assert_eq!(world.fetch().await.unwrap(), b"outside");
    assert_eq!((world.names.asked().len(), inside.connections()), (1, 0));
    // No host for keys when asked first, and one inside then.
    world.names.in_turn(ADVANCED, [Found::at(&[]), Found::at(&["127.0.0.2"])]);
    world.names.in_turn(DIRECT, turns());
    assert_eq!(world.fetch().await.unwrap(), b"outside");
    assert_eq!((world.names.asked().len(), inside.connections()), (3, 0));
    // The next fetch asks anew, and looks anew.
    world.names.in_turn(ADVANCED, [Found::at(&[HERE]), Found::at(&["10.0.0.1"])]);
    let directory = world.builder().build().unwrap();
    assert_eq!(fetch(&directory).await.unwrap(), b"outside");
    assert_eq!(fetch(&directory).await, Err(Kind::Refused));
    // It would have been there.
    world.names.always(ADVANCED, Found::at(&["127.0.0.2"]));
    assert_eq!(world.fetch().await.unwrap(), INSIDE);
}

#[tokio::test]
async fn attack_nothing_but_the_resolver_finds_a_host() {
    let world = World::start().await;
    world.names.forget(ADVANCED);
    world.names.forget(DIRECT);
    assert_eq!(world.fetch().await, Err(Kind::NotFound));
    assert_eq!(world.server.connections(), 0);
    world.names.always(ADVANCED, Found::at(&[HERE]));
    world.server.always(ADVANCED, Reply::Body(Vec::new()));
    assert!(world.fetch().await.is_ok());
}
