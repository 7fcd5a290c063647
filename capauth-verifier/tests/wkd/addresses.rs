//! Addresses that are the same, and those that only look so.

use crate::keys::key;
use crate::server::Reply;
use crate::world::{ADA, ADVANCED, IDN, World, verify};

#[tokio::test]
async fn spellings_of_one_address_are_one() {
    let world = World::start().await;
    for user_id in [ADA, "ADA@EXAMPLE.ORG", "Ada <Ada@Example.org>"] {
        let cert = key(&[user_id]);
        world.serves(ADVANCED, &cert);
        for claim in [ADA, "Ada@Example.Org", "ADA@EXAMPLE.ORG"] {
            let verified = verify(&world.verifier(), claim, &cert).await;
            assert_eq!(verified.as_deref(), Some(ADA), "{user_id} {claim}");
        }
    }
}

#[tokio::test]
async fn a_domain_counts_in_both_its_spellings() {
    let world = World::start().await;
    let claims =
        ["ada@bücher.example", "ada@Bücher.example", "ada@xn--bcher-kva.example", "ada@BÜCHER.EXAMPLE"];
    for user_id in &claims[..3] {
        let cert = key(&[user_id]);
        world.serves(IDN, &cert);
        for claim in claims {
            let verified = verify(&world.verifier(), claim, &cert).await;
            assert_eq!(verified.as_deref(), Some("ada@xn--bcher-kva.example"), "{user_id} {claim}");
        }
    }
}

#[tokio::test]
async fn attack_addresses_that_look_alike() {
    let world = World::start().await;
    let cert = key(&[ADA]);
    world.serves(ADVANCED, &cert);
    // The third letter is Cyrillic; the sign is the full-width one; a letter nobody sees.
    for claim in ["adа@example.org", "ada＠example.org", "ada\u{200b}@example.org", "ａda@example.org"] {
        assert_eq!(verify(&world.verifier(), claim, &cert).await, None, "{claim}");
    }
    assert_eq!((world.names.asked().len(), world.server.connections()), (0, 0));
    // A Cyrillic letter in the domain: another domain, which is asked, and has nothing to say.
    assert_eq!(verify(&world.verifier(), "ada@exаmple.org", &cert).await, None);
    assert_eq!(world.names.asked(), ["openpgpkey.xn--exmple-4nf.org", "xn--exmple-4nf.org"]);
    assert_eq!(verify(&world.verifier(), ADA, &cert).await.as_deref(), Some(ADA));
}

#[tokio::test]
async fn attack_user_ids_that_look_alike() {
    let world = World::start().await;
    for user_id in [
        "adа@example.org",
        "ada@exаmple.org",
        "Ada <adа@example.org>",
        "ada＠example.org",
        "ada+x@example.org",
    ] {
        let cert = key(&[user_id]);
        world.serves(ADVANCED, &cert);
        assert_eq!(world.verify(&cert).await, None, "{user_id}");
    }
    let cert = key(&[ADA]);
    world.serves(ADVANCED, &cert);
    assert!(world.verify(&cert).await.is_some());
}

#[tokio::test]
async fn a_plus_is_kept() {
    let world = World::start().await;
    let cert = key(&["ada+login@example.org"]);
    world.serves(ADVANCED, &cert);
    let verified = verify(&world.verifier(), "Ada+Login@example.org", &cert).await;
    assert_eq!(verified.as_deref(), Some("ada+login@example.org"));
    assert_eq!(verify(&world.verifier(), ADA, &cert).await, None);
    assert!(world.server.asked()[0].target.ends_with("?l=ada%2Blogin"));
}

#[tokio::test]
async fn attack_unusual_addresses_are_not_even_asked_for() {
    let world = World::start().await;
    let cert = key(&[ADA]);
    world.server.always(ADVANCED, Reply::Body(crate::keys::bytes(&cert)));
    for claim in [
        "\"ada\"@example.org",
        "ada(comment)@example.org",
        "ada@example.org(comment)",
        "Ada <ada@example.org>",
        "ada@127.0.0.1",
        "ada@[127.0.0.1]",
        "ada@[IPv6:::1]",
        "ada@2130706433",
        "ada@0x7f.1",
        "ada@localhost",
        "ada@example.org:8443",
        "ada@example.org.",
        "ada@example.org/",
        "ada@x@example.org",
        " ada@example.org",
        "ada@example.org\r\nhost: x",
        "",
        "@",
        "ada",
    ] {
        assert_eq!(verify(&world.verifier(), claim, &cert).await, None, "{claim:?}");
    }
    assert_eq!((world.names.asked().len(), world.server.connections()), (0, 0));
    assert!(verify(&world.verifier(), ADA, &cert).await.is_some());
}
