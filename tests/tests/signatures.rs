//! Attacks with the login signature itself: every one is refused in the same word, and stores nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use std::time::Duration;

use capauth_tests::keys::{self, Back, CREATED, Draft, MINUTE, at, fingerprint_of, now, pair_of};
use capauth_tests::login::{World, kind};
use capauth_tests::signer::{self, Raw, signature};
use capauth_verifier::AuthErrorKind as K;
use sequoia_openpgp::Cert;
use sequoia_openpgp::crypto::KeyPair;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::packet::signature::subpacket::{
    NotationDataFlags, Subpacket, SubpacketTag, SubpacketValue,
};
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::types::{HashAlgorithm, SignatureType};

/// An enrolment with a signature that must not do.
async fn refused(draft: &Draft, sign: impl FnOnce(&str) -> String) {
    let world = World::new().await;
    let outcome = world.log_in(draft.fingerprint(), Some(draft.armored()), sign).await;
    assert_eq!(kind(outcome), K::InvalidNonceSignature);
    assert!(world.stored(draft.fingerprint()).await.is_none());
    assert_eq!(world.count().await, 0);
}

async fn admitted(draft: &Draft, sign: impl FnOnce(&str) -> String) {
    let world = World::new().await;
    let login = world.log_in(draft.fingerprint(), Some(draft.armored()), sign).await;
    assert!(login.expect("an honest login").response.is_new_enrollment);
    assert_eq!(world.count().await, 1);
}

/// A binary signature with a change; refused or admitted.
type Change = Box<dyn Fn(SignatureBuilder) -> SignatureBuilder>;

async fn refused_with(change: Change) {
    let draft = Draft::honest();
    refused(&draft, |text| signer::detached_with(&draft.pair(), text, change)).await;
}

async fn admitted_with(change: Change) {
    let draft = Draft::honest();
    admitted(&draft, |text| signer::detached_with(&draft.pair(), text, change)).await;
}

fn version_6() -> Draft {
    Draft::of(keys::ed25519_v6(CREATED)).direct_key(|b| b)
}

#[tokio::test]
async fn sha1_md5_and_ripemd_login_signatures() {
    for hash in [HashAlgorithm::SHA1, HashAlgorithm::MD5, HashAlgorithm::RipeMD] {
        refused_with(Box::new(move |b| b.set_hash_algo(hash))).await;
    }
    for hash in [HashAlgorithm::SHA256, HashAlgorithm::SHA384, HashAlgorithm::SHA512, HashAlgorithm::SHA3_512]
    {
        admitted_with(Box::new(move |b| b.set_hash_algo(hash))).await;
    }
}

/// Each is mathematically good over the very payload, and of a type that means something else.
#[tokio::test]
async fn signatures_of_wrong_types() {
    use SignatureType as T;
    for typ in [
        T::Standalone,
        T::GenericCertification,
        T::PersonaCertification,
        T::CasualCertification,
        T::PositiveCertification,
        T::CertificationApproval,
        T::SubkeyBinding,
        T::PrimaryKeyBinding,
        T::DirectKey,
        T::KeyRevocation,
        T::SubkeyRevocation,
        T::CertificationRevocation,
        T::Timestamp,
        T::Confirmation,
        T::Unknown(0x03),
        T::Unknown(0x60),
    ] {
        refused_with(Box::new(move |b| b.set_type(typ))).await;
        let draft = Draft::honest();
        let raw = Raw { typ, ..Raw::version(4) };
        refused(&draft, |text| raw.sign(&draft.pair(), text)).await;
    }
    for typ in [T::Binary, T::Text] {
        admitted_with(Box::new(move |b| b.set_type(typ))).await;
    }
}

#[tokio::test]
async fn signatures_from_six_minutes_ago_and_from_the_future() {
    let made =
        |offset: i64| -> Change { Box::new(move |b| b.set_signature_creation_time(at(offset)).unwrap()) };
    for offset in [-6 * MINUTE, 6 * MINUTE, -301, 301, CREATED] {
        refused_with(made(offset)).await;
    }
    for offset in [-4 * MINUTE, 4 * MINUTE, -300, 300] {
        admitted_with(made(offset)).await;
    }
}

#[tokio::test]
async fn signature_older_than_its_key() {
    let made = |offset: i64| move |b: SignatureBuilder| b.set_signature_creation_time(at(offset)).unwrap();
    let young = Draft::of(keys::ed25519(-MINUTE)).user_id("Test", |b| b);
    refused(&young, |text| signer::detached_with(&young.pair(), text, made(-2 * MINUTE))).await;
    admitted(&young, |text| signer::detached_with(&young.pair(), text, made(-MINUTE))).await;
}

#[tokio::test]
async fn signature_without_a_creation_time() {
    refused_with(Box::new(|b| b.suppress_signature_creation_time().unwrap())).await;
    // Nor one that is only noted where nothing is signed.
    refused_with(Box::new(|b| {
        let time = SubpacketValue::SignatureCreationTime(now().try_into().unwrap());
        b.suppress_signature_creation_time()
            .unwrap()
            .modify_unhashed_area(|mut area| {
                area.add(Subpacket::new(time, false)?)?;
                Ok(area)
            })
            .unwrap()
    }))
    .await;
}

#[tokio::test]
async fn expired_signature() {
    let lasting = |seconds: u64| -> Change {
        Box::new(move |b| {
            let b = b.set_signature_creation_time(at(-2 * MINUTE)).unwrap();
            b.set_signature_validity_period(Duration::from_secs(seconds)).unwrap()
        })
    };
    refused_with(lasting(60)).await;
    refused_with(lasting(120)).await;
    admitted_with(lasting(180)).await;
}

#[tokio::test]
async fn unknown_critical_notation() {
    let notation = |critical: bool| -> Change {
        Box::new(move |b| {
            let flags = NotationDataFlags::empty().set_human_readable();
            b.set_notation("only-if@example.org", "the moon is full", Some(flags), critical).unwrap()
        })
    };
    refused_with(notation(true)).await;
    admitted_with(notation(false)).await;
}

#[tokio::test]
async fn unknown_critical_subpacket() {
    let unknown = |critical: bool, tag: SubpacketTag| -> Change {
        Box::new(move |b| {
            let value = SubpacketValue::Unknown { tag, body: vec![1, 2, 3] };
            b.modify_hashed_area(|mut area| {
                area.add(Subpacket::new(value, critical)?)?;
                Ok(area)
            })
            .unwrap()
        })
    };
    for tag in [SubpacketTag::Private(101), SubpacketTag::Unknown(77)] {
        refused_with(unknown(true, tag)).await;
        admitted_with(unknown(false, tag)).await;
    }
}

#[tokio::test]
async fn version_3_signature() {
    let draft = Draft::honest();
    refused(&draft, |text| Raw::version(3).sign(&draft.pair(), text)).await;
    // The same hand writes one of version 4 that is good.
    admitted(&draft, |text| Raw::version(4).sign(&draft.pair(), text)).await;
}

#[tokio::test]
async fn version_4_signature_by_a_version_6_key_and_the_other_way_round() {
    let (v4, v6) = (Draft::honest(), version_6());
    refused(&v6, |text| Raw::version(4).sign(&v6.pair(), text)).await;
    refused(&v4, |text| Raw::version(6).sign(&v4.pair(), text)).await;
    refused(&v4, |text| Raw::version(5).sign(&v4.pair(), text)).await;
    admitted(&v6, |text| Raw::version(6).sign(&v6.pair(), text)).await;
}

#[tokio::test]
async fn salt_of_a_wrong_size() {
    let draft = version_6();
    for size in [0, 16, 31, 33, 64] {
        let raw = Raw { salt: vec![1; size], ..Raw::version(6) };
        refused(&draft, |text| raw.sign(&draft.pair(), text)).await;
    }
    admitted(&draft, |text| Raw { salt: vec![1; 32], ..Raw::version(6) }.sign(&draft.pair(), text)).await;
    let raw = Raw { salt: vec![1; 16], hash: HashAlgorithm::SHA256, ..Raw::version(6) };
    admitted(&draft, |text| raw.sign(&draft.pair(), text)).await;
}

#[tokio::test]
async fn signature_by_another_key_in_our_name() {
    let (draft, stranger) = (Draft::honest(), Draft::honest());
    let name = || draft.primary.parts_as_public().role_as_unspecified().clone();
    refused(&draft, |text| signer::posing_as(&stranger.pair(), &name(), text)).await;
    refused(&draft, |text| signer::detached(&stranger.pair(), text)).await;
    admitted(&draft, |text| signer::posing_as(&draft.pair(), &name(), text)).await;

    let world = World::new().await;
    let (member, _) = world.member().await;
    let name = member.primary.parts_as_public().role_as_unspecified();
    let posing =
        world.log_in(member.fingerprint(), None, |t| signer::posing_as(&stranger.pair(), name, t)).await;
    assert_eq!(kind(posing), K::InvalidNonceSignature);
    world.return_with(member.fingerprint(), &member.pair()).await.expect("the member");
}

/// Another person's own, perfectly good answer does not let anybody else in.
#[tokio::test]
async fn certificate_of_one_person_with_the_signature_of_another() {
    let world = World::new().await;
    let ((alice, _), (bob, _)) = (world.member().await, world.member().await);
    let outcome = world.return_with(alice.fingerprint(), &bob.pair()).await;
    assert_eq!(kind(outcome), K::InvalidNonceSignature);
    world.return_with(bob.fingerprint(), &bob.pair()).await.expect("for himself");
}

#[tokio::test]
async fn issuer_named_by_key_id_alone_and_by_nothing() {
    let draft = Draft::honest();
    admitted(&draft, |text| signer::by_key_id_only(&draft.pair(), text)).await;
    refused(&draft, |text| signer::armor_signatures([signer::anonymous(&draft.pair(), text)])).await;
}

#[tokio::test]
async fn four_signatures_with_one_good_and_five() {
    let (draft, stranger) = (Draft::honest(), Draft::honest());
    let bad = |text: &str| signature(&stranger.pair(), text, |b| b);
    let good = |text: &str| signature(&draft.pair(), text, |b| b);
    for place in 0..4 {
        let sign = |text: &str| {
            let mut all = vec![bad(text), bad(text), bad(text)];
            all.insert(place, good(text));
            signer::armor_signatures(all)
        };
        admitted(&draft, sign).await;
    }
    refused(&draft, |text| signer::armor_signatures([bad(text), bad(text), bad(text), bad(text)])).await;
    refused(&draft, |text| {
        signer::armor_signatures([good(text), bad(text), bad(text), bad(text), bad(text)])
    })
    .await;
    refused(&draft, |text| signer::armor_signatures(vec![good(text); 5])).await;
    refused(&draft, |_| signer::armor_signatures([])).await;
}

#[tokio::test]
async fn text_signature_over_other_line_ends_is_a_binary_one_in_disguise() {
    let draft = Draft::honest();
    admitted(&draft, |text| signer::detached_text(&draft.pair(), text)).await;
    // Made over LF, as a binary signature would be, yet marked as text; and the other way round.
    let raw = Raw { typ: SignatureType::Text, ..Raw::version(4) };
    refused(&draft, |text| raw.sign(&draft.pair(), text)).await;
    let crlf = |text: &str| text.replace('\n', "\r\n");
    refused(&draft, |text| signer::detached(&draft.pair(), &crlf(text))).await;
    admitted(&draft, |text| raw.sign(&draft.pair(), &crlf(text))).await;
}

#[tokio::test]
async fn signature_over_something_nearly_the_same() {
    let draft = Draft::honest();
    let changes: [fn(&str) -> String; 6] = [
        |t| format!("{t}\n"),
        |t| format!(" {t}"),
        |t| t.to_uppercase(),
        |t| t.replacen('\n', "\n\n", 1),
        |t| t.trim_end_matches(|c: char| c != '\n').to_owned(),
        |_| String::new(),
    ];
    for change in changes {
        refused(&draft, |text| signer::detached(&draft.pair(), &change(text))).await;
        refused(&draft, |text| signer::detached_text(&draft.pair(), &change(text))).await;
    }
    admitted(&draft, |text| signer::detached(&draft.pair(), text)).await;
}

/// Mathematics done on numbers that were changed afterwards.
#[tokio::test]
async fn signature_with_a_flipped_bit() {
    let draft = Draft::honest();
    let world = World::new().await;
    let challenge = world.challenge(draft.fingerprint()).await;
    let text = capauth_tests::login::payload(&challenge);
    let bytes = keys::bytes_of(&[signature(&draft.pair(), &text, |b| b).into()]);
    // From the hashed area to the end of the numbers; the unhashed area and the hint of two bytes may be anything.
    let tail = 2 + 2 * (2 + 32);
    let answer = |bytes: &[u8]| {
        let signature = keys::armored(sequoia_openpgp::armor::Kind::Signature, bytes);
        capauth_tests::login::response(draft.fingerprint(), &challenge, signature, Some(draft.armored()))
    };
    for place in (bytes.len() - tail + 2..bytes.len()).chain(3..20) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        assert!(world.answer(&answer(&changed)).await.is_err(), "byte {place} may not change");
    }
    assert_eq!(world.count().await, 0);
    world.answer(&answer(&bytes)).await.expect("unchanged");
}

/// A subkey's signature counts for its own certificate alone, and the subkey's own name in the issuer is enough.
#[tokio::test]
async fn signature_by_a_subkey() {
    let (draft, subkey) = Draft::with_subkey();
    admitted(&draft, |text| signer::detached(&pair_of(&subkey), text)).await;
    let other = Draft::honest();
    refused(&other, |text| signer::detached(&pair_of(&subkey), text)).await;
    assert_ne!(fingerprint_of(&subkey), draft.fingerprint());
    let both = Draft::honest().subkey(&subkey, |b| b, Back::Good);
    let pairs: [KeyPair; 2] = [both.pair(), pair_of(&subkey)];
    for pair in pairs {
        admitted(&both, |text| signer::detached(&pair, text)).await;
    }
}

/// DSA is refused even where everything else about it is in order: its certificate binds it, its mathematics is good.
#[tokio::test]
#[allow(deprecated, reason = "DSA is named to be refused")]
async fn dsa_subkey_signs() {
    // A key for this test alone, made by GnuPG: an Ed25519 primary key, a signing subkey of 2048 bits DSA.
    let cert = Cert::from_bytes(include_bytes!("fixtures/dsa.asc")).unwrap();
    let pair = subkey_pair(&cert);
    assert_eq!(
        capauth_tests::signer::signature(&pair, "x", |b| b).pk_algo(),
        sequoia_openpgp::types::PublicKeyAlgorithm::DSA
    );
    let world = World::new().await;
    let fingerprint = keys::fingerprint_of_cert(&cert);
    let certificate = Some(keys::armored_cert(&cert));
    let outcome = world.log_in(fingerprint, certificate.clone(), |t| signer::detached(&pair, t)).await;
    assert_eq!(kind(outcome), K::InvalidNonceSignature);
    assert_eq!(world.count().await, 0);
    let primary = cert.primary_key().key().clone().parts_into_secret().unwrap().into_keypair().unwrap();
    world.log_in(fingerprint, certificate, |t| signer::detached(&primary, t)).await.expect("its primary key");
}

/// The first secret subkey.
fn subkey_pair(cert: &Cert) -> KeyPair {
    cert.keys().subkeys().secret().next().unwrap().key().clone().into_keypair().unwrap()
}
