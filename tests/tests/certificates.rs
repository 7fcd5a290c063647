//! Attacks with certificates: whatever is wrong with one, its key is not let in, and nothing is stored.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use capauth_tests::keys::{
    self, Back, CREATED, DAY, Draft, MINUTE, at, bytes_of, certify_and_sign, fingerprint_of, new_subkey,
    pair_of,
};
use capauth_tests::login::{World, kind, words};
use capauth_tests::signer;
use capauth_verifier::AuthErrorKind as K;
use sequoia_openpgp::armor::Kind;
use sequoia_openpgp::crypto::KeyPair;
use sequoia_openpgp::packet::UserID;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::types::{HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType};

/// An enrolment that must fail: it answers why, after making sure that nothing is stored.
async fn refusal(draft: &Draft, pair: &KeyPair) -> K {
    let world = World::new().await;
    let outcome = world.enrol(draft, pair).await;
    assert!(world.stored(draft.fingerprint()).await.is_none(), "something was stored");
    assert_eq!(world.count().await, 0);
    kind(outcome)
}

/// The same for a certificate as text; answers the words, too.
async fn refused_text(draft: &Draft, armored: String) -> (K, String) {
    let world = World::new().await;
    let sign = |text: &str| signer::detached(&draft.pair(), text);
    let outcome = world.log_in(draft.fingerprint(), Some(armored.clone()), sign).await;
    assert_eq!(world.count().await, 0);
    let again = world.log_in(draft.fingerprint(), Some(armored), sign).await;
    (kind(outcome), words(again))
}

/// The acceptance twin.
async fn admitted(draft: &Draft, pair: &KeyPair) {
    let world = World::new().await;
    let login = world.enrol(draft, pair).await.expect("an honest login");
    assert!(login.response.authenticated && login.response.is_new_enrollment);
    assert_eq!(login.who.fingerprint(), draft.fingerprint());
    assert_eq!(world.stored(draft.fingerprint()).await.unwrap().fingerprint, draft.fingerprint());
    assert_eq!(world.count().await, 1);
}

fn flags(set: impl FnOnce(KeyFlags) -> KeyFlags) -> impl FnOnce(SignatureBuilder) -> SignatureBuilder {
    move |b| b.set_key_flags(set(KeyFlags::empty())).unwrap()
}

#[tokio::test]
async fn an_honest_key_is_let_in() {
    let draft = Draft::honest();
    admitted(&draft, &draft.pair()).await;
}

#[tokio::test]
async fn unbound_subkey_signs() {
    let subkey = new_subkey();
    let draft = Draft::honest().unbound(&subkey);
    assert_eq!(refusal(&draft, &pair_of(&subkey)).await, K::InvalidNonceSignature);
    // The certificate is none the worse for it, and bound it would do.
    admitted(&draft, &draft.pair()).await;
    admitted(&Draft::honest().subkey(&subkey, |b| b, Back::Good), &pair_of(&subkey)).await;
}

#[tokio::test]
async fn subkey_bound_by_a_stranger() {
    let (subkey, stranger) = (new_subkey(), Draft::honest());
    let victim = Draft::honest();
    let foreign = stranger.subkey_binding(&subkey, |b| b, Back::Good);
    let draft = victim.clone().unbound(&subkey).push(foreign);
    assert_eq!(refusal(&draft, &pair_of(&subkey)).await, K::InvalidNonceSignature);

    // The stranger writes the victim's name into the binding's issuer, and makes the back-signature fit.
    let back = victim.back_signature(&subkey, |b| b);
    let posing = |b: SignatureBuilder| {
        let primary = victim.primary.parts_as_public();
        b.set_issuer_fingerprint(primary.fingerprint()).unwrap().set_issuer(primary.keyid()).unwrap()
    };
    let forged = stranger.subkey_binding(&subkey, posing, Back::These(vec![back]));
    let draft = victim.clone().unbound(&subkey).push(forged);
    assert_eq!(refusal(&draft, &pair_of(&subkey)).await, K::InvalidNonceSignature);
    admitted(&victim.subkey(&subkey, |b| b, Back::Good), &pair_of(&subkey)).await;
}

#[tokio::test]
async fn adopted_subkey_without_its_own_consent() {
    // Somebody binds another person's signing key to their certificate, to pass that person's signatures for theirs.
    let stolen = new_subkey();
    let adopted = Draft::certifying().subkey(&stolen, |b| b, Back::Missing);
    assert_eq!(refusal(&adopted, &pair_of(&stolen)).await, K::InvalidPublicKey);
    let beside_a_good_key = Draft::honest().subkey(&stolen, |b| b, Back::Missing);
    assert_eq!(refusal(&beside_a_good_key, &pair_of(&stolen)).await, K::InvalidNonceSignature);

    // A consent to belong to somebody else, and one in the thief's own hand.
    let owner = Draft::certifying();
    let elsewhere = owner.back_signature(&stolen, |b| b);
    let thief = Draft::certifying();
    let own = thief.back_signature(&new_subkey(), |b| b);
    for back in [elsewhere, own] {
        let draft = thief.clone().subkey(&stolen, |b| b, Back::These(vec![back]));
        assert_eq!(refusal(&draft, &pair_of(&stolen)).await, K::InvalidPublicKey);
    }
    admitted(&thief.subkey(&stolen, |b| b, Back::Good), &pair_of(&stolen)).await;
}

#[tokio::test]
async fn back_signature_expired_while_a_bogus_one_is_alive() {
    let subkey = new_subkey();
    let draft = Draft::certifying();
    let day = std::time::Duration::from_secs(86_400);
    let expired = || draft.back_signature(&subkey, |b| b.set_signature_validity_period(day).unwrap());
    let bogus = || draft.back_signature(&new_subkey(), |b| b);
    let good = || draft.back_signature(&subkey, |b| b);
    for back in [vec![expired()], vec![expired(), bogus()], vec![bogus(), expired()]] {
        let draft = draft.clone().subkey(&subkey, |b| b, Back::These(back));
        assert_eq!(refusal(&draft, &pair_of(&subkey)).await, K::InvalidPublicKey);
    }
    let draft = draft.clone().subkey(&subkey, |b| b, Back::These(vec![bogus(), expired(), good()]));
    admitted(&draft, &pair_of(&subkey)).await;
}

#[tokio::test]
async fn back_signature_of_a_forbidden_hash() {
    let subkey = new_subkey();
    let draft = Draft::certifying();
    let weak = draft.back_signature(&subkey, |b| b.set_hash_algo(HashAlgorithm::SHA1));
    let weakly_bound = draft.clone().subkey(&subkey, |b| b, Back::These(vec![weak]));
    assert_eq!(refusal(&weakly_bound, &pair_of(&subkey)).await, K::InvalidPublicKey);
    admitted(&draft.subkey(&subkey, |b| b, Back::Good), &pair_of(&subkey)).await;
}

#[tokio::test]
async fn authentication_only_encryption_only_and_certification_only_primary_keys_sign() {
    let cases: [fn(KeyFlags) -> KeyFlags; 4] = [
        KeyFlags::set_authentication,
        KeyFlags::set_transport_encryption,
        KeyFlags::set_storage_encryption,
        KeyFlags::set_certification,
    ];
    for set in cases {
        let draft = Draft::bare().user_id("Test", flags(set));
        assert_eq!(refusal(&draft, &draft.pair()).await, K::InvalidPublicKey);
    }
    let draft = Draft::bare().user_id("Test", flags(KeyFlags::set_signing));
    admitted(&draft, &draft.pair()).await;
}

#[tokio::test]
async fn authentication_only_encryption_only_and_certification_only_subkeys_sign() {
    let cases: [fn(KeyFlags) -> KeyFlags; 3] =
        [KeyFlags::set_authentication, KeyFlags::set_transport_encryption, KeyFlags::set_certification];
    for set in cases {
        let subkey = new_subkey();
        let draft = Draft::honest().subkey(&subkey, flags(set), Back::Good);
        assert_eq!(refusal(&draft, &pair_of(&subkey)).await, K::InvalidNonceSignature);
        admitted(&draft, &draft.pair()).await;
    }
}

#[tokio::test]
async fn certification_only_primary_with_a_signing_subkey() {
    let (draft, subkey) = Draft::with_subkey();
    admitted(&draft, &pair_of(&subkey)).await;
    assert_eq!(refusal(&draft, &draft.pair()).await, K::InvalidNonceSignature);
}

#[tokio::test]
async fn expired_key_is_told_so_and_let_in_before() {
    let lifetime = std::time::Duration::from_secs((401 * DAY).unsigned_abs());
    let draft = Draft::bare().user_id("Test", |b| b.set_key_validity_period(lifetime).unwrap());
    let world = World::new().await;
    world.enrol(&draft, &draft.pair()).await.expect("a day before it expires");
    // Signatures from now on are made then.
    let sign = |pair: &KeyPair, text: &str, offset| {
        signer::detached_with(pair, text, |b| b.set_signature_creation_time(at(offset)).unwrap())
    };
    world.advance(86_400 - 1);
    let sent = Some(draft.armored());
    let at_the_last_second =
        world.log_in(draft.fingerprint(), sent.clone(), |t| sign(&draft.pair(), t, DAY - 1)).await;
    assert!(at_the_last_second.is_ok());
    world.advance(1);
    let enrolled = world.log_in(draft.fingerprint(), None, |t| sign(&draft.pair(), t, DAY)).await;
    assert_eq!(kind(enrolled), K::KeyExpired);

    let other =
        world.beside("other.example.com", |b| b.stores(capauth_verifier::memory::stores().unwrap())).await;
    let unknown = other.log_in(draft.fingerprint(), sent, |t| sign(&draft.pair(), t, DAY)).await;
    assert_eq!(kind(unknown), K::KeyExpired);
}

#[tokio::test]
async fn signature_backdated_to_before_the_key_expired() {
    let lifetime = std::time::Duration::from_secs((400 * DAY - MINUTE).unsigned_abs());
    let draft = Draft::bare().user_id("Test", |b| b.set_key_validity_period(lifetime).unwrap());
    let world = World::new().await;
    let backdated = |text: &str| {
        let made = at(-2 * MINUTE);
        signer::detached_with(&draft.pair(), text, |b| b.set_signature_creation_time(made).unwrap())
    };
    let outcome = world.log_in(draft.fingerprint(), Some(draft.armored()), backdated).await;
    assert_eq!(kind(outcome), K::KeyExpired);
    assert_eq!(world.count().await, 0);
    let draft = Draft::honest();
    let backdated = |text: &str| {
        let made = at(-2 * MINUTE);
        signer::detached_with(&draft.pair(), text, |b| b.set_signature_creation_time(made).unwrap())
    };
    world
        .log_in(draft.fingerprint(), Some(draft.armored()), backdated)
        .await
        .expect("two minutes are nothing");
}

#[tokio::test]
async fn revoked_certificates_hard_and_soft() {
    use ReasonForRevocation as R;
    for reason in [R::KeyCompromised, R::Unspecified, R::KeySuperseded, R::KeyRetired] {
        let draft = Draft::honest().revoked(reason, -DAY);
        assert_eq!(refusal(&draft, &draft.pair()).await, K::KeyRevoked, "{reason:?}");
    }
    // A hard one reaches back, and a date in the future is no reprieve: whoever stole the key could have chosen it.
    for offset in [CREATED, DAY] {
        let draft = Draft::honest().revoked(R::KeyCompromised, offset);
        assert_eq!(refusal(&draft, &draft.pair()).await, K::KeyRevoked);
    }
    let weak = Draft::honest();
    let sha1 = weak.revocation_with(R::KeyCompromised, -DAY, |b| b.set_hash_algo(HashAlgorithm::SHA1));
    let mut weak = weak;
    weak.packets.insert(1, sha1.into());
    assert_eq!(refusal(&weak, &weak.pair()).await, K::KeyRevoked, "a weak hash is good enough to revoke");
}

#[tokio::test]
async fn soft_revocation_is_lifted_by_a_later_self_signature_and_a_hard_one_is_not() {
    let renewed = |reason, offset: i64| {
        let draft = Draft::bare().user_id("Test", |b| b.set_signature_creation_time(at(offset)).unwrap());
        draft.revoked(reason, -10 * DAY)
    };
    let lifted = renewed(ReasonForRevocation::KeyRetired, -5 * DAY);
    admitted(&lifted, &lifted.pair()).await;
    let earlier = renewed(ReasonForRevocation::KeyRetired, -20 * DAY);
    assert_eq!(refusal(&earlier, &earlier.pair()).await, K::KeyRevoked);
    let hard = renewed(ReasonForRevocation::KeyCompromised, -5 * DAY);
    assert_eq!(refusal(&hard, &hard.pair()).await, K::KeyRevoked);
}

#[tokio::test]
async fn revoked_subkey_signs() {
    use ReasonForRevocation as R;
    for reason in [R::KeyCompromised, R::KeyRetired] {
        let subkey = new_subkey();
        let draft = Draft::honest().subkey(&subkey, |b| b, Back::Good).subkey_revoked(&subkey, reason, -DAY);
        assert_eq!(refusal(&draft, &pair_of(&subkey)).await, K::KeyRevoked, "{reason:?}");
        admitted(&draft, &draft.pair()).await;
    }
}

#[tokio::test]
async fn forged_revocation_of_somebody_elses_key() {
    let (victim, attacker) = (Draft::honest(), Draft::honest());
    let foreign = attacker.revocation(ReasonForRevocation::KeyCompromised, -DAY);
    let posing = attacker.revocation_with(ReasonForRevocation::KeyCompromised, -DAY, |b| {
        let primary = victim.primary.parts_as_public();
        b.set_issuer_fingerprint(primary.fingerprint()).unwrap().set_issuer(primary.keyid()).unwrap()
    });
    for forged in [foreign, posing] {
        let mut draft = victim.clone();
        draft.packets.insert(1, forged.into());
        admitted(&draft, &draft.pair()).await;
    }
}

#[tokio::test]
async fn two_certificates_in_one_armour() {
    let (mine, victim) = (Draft::honest(), Draft::honest());
    let both = |a: &Draft, b: &Draft| {
        keys::armored(Kind::PublicKey, &bytes_of(&[&a.packets[..], &b.packets].concat()))
    };
    for text in [both(&mine, &victim), both(&victim, &mine), both(&mine, &mine)] {
        assert_eq!(refused_text(&mine, text).await.0, K::InvalidPublicKey);
    }
    let blocks = format!("{}{}", mine.armored(), victim.armored());
    assert_eq!(refused_text(&mine, blocks).await.0, K::InvalidPublicKey);
    admitted(&mine, &mine.pair()).await;
}

#[tokio::test]
async fn junk_around_the_armour() {
    let draft = Draft::honest();
    let honest = draft.armored();
    for text in
        [format!("hello\n{honest}"), format!("{honest}\nhello"), honest.replace("PUBLIC KEY", "MESSAGE")]
    {
        assert_eq!(refused_text(&draft, text).await.0, K::InvalidPublicKey);
    }
    let truncated: String = honest.chars().take(honest.len() / 2).collect();
    let hollow = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----".to_owned();
    for text in [truncated, hollow, "x".to_owned()] {
        assert_eq!(refused_text(&draft, text).await.0, K::InvalidPublicKey);
    }
    let world = World::new().await;
    for text in [format!("\r\n \t{honest}\n\n"), honest.replace('\n', "\r\n")] {
        let sign = |text: &str| signer::detached(&draft.pair(), text);
        world
            .log_in(draft.fingerprint(), Some(text), sign)
            .await
            .expect("white space and line ends are nothing");
    }
}

#[tokio::test]
async fn secret_key_pasted() {
    let draft = Draft::honest();
    let plain = keys::armored_secret(&draft);
    assert!(plain.starts_with("-----BEGIN PGP PRIVATE KEY BLOCK-----"));
    let disguised = keys::armored(Kind::PublicKey, &bytes_of(&draft.secret_packets()));
    let subkey = new_subkey();
    let mut with_secret_subkey = Draft::honest().subkey(&subkey, |b| b, Back::Good);
    let place = with_secret_subkey.packets.len() - 2;
    with_secret_subkey.packets[place] = subkey.into();
    let cases = [(&draft, plain), (&draft, disguised), (&with_secret_subkey, with_secret_subkey.armored())];
    for (draft, text) in cases {
        let (kind, words) = refused_text(draft, text).await;
        assert_eq!(kind, K::InvalidPublicKey);
        assert!(words.to_lowercase().contains("secret"), "the person must hear what they just did: {words}");
    }
    admitted(&draft, &draft.pair()).await;
}

#[tokio::test]
async fn version_4_without_user_ids_needs_a_direct_key_signature() {
    let stripped = Draft::bare();
    assert_eq!(refusal(&stripped, &stripped.pair()).await, K::InvalidPublicKey);
    let (_, words) = refused_text(&stripped, stripped.armored()).await;
    assert!(words.contains("keyring"), "{words}");
    let subkey = new_subkey();
    let stripped = Draft::bare().subkey(&subkey, |b| b, Back::Good);
    assert_eq!(refusal(&stripped, &pair_of(&subkey)).await, K::InvalidPublicKey);
    let direct = Draft::bare().direct_key(|b| b);
    admitted(&direct, &direct.pair()).await;
}

#[tokio::test]
async fn another_persons_certificate() {
    let (mine, other) = (Draft::honest(), Draft::honest());
    let world = World::new().await;
    for pair in [mine.pair(), other.pair()] {
        let outcome = world
            .log_in(mine.fingerprint(), Some(other.armored()), |text| signer::detached(&pair, text))
            .await;
        assert_eq!(kind(outcome), K::FingerprintMismatch);
    }
    // Not even a certificate that carries the claimed key as a subkey.
    let mut adopting = Draft::honest();
    let as_subkey = mine.primary.clone().role_into_subordinate();
    adopting = adopting.subkey(&as_subkey, |b| b, Back::Good);
    let sign = |text: &str| signer::detached(&mine.pair(), text);
    let outcome = world.log_in(mine.fingerprint(), Some(adopting.armored()), sign).await;
    assert_eq!(kind(outcome), K::FingerprintMismatch);
    assert_eq!(world.count().await, 0);
    world.enrol(&mine, &mine.pair()).await.expect("one's own");
}

#[tokio::test]
async fn fingerprint_of_a_subkey_is_nobody() {
    let (draft, subkey) = Draft::with_subkey();
    let world = World::new().await;
    let claimed = fingerprint_of(&subkey);
    let sign = |text: &str| signer::detached(&pair_of(&subkey), text);
    assert_eq!(kind(world.log_in(claimed, Some(draft.armored()), sign).await), K::FingerprintMismatch);
    assert_eq!(world.count().await, 0);
    world
        .log_in(draft.fingerprint(), Some(draft.armored()), sign)
        .await
        .expect("under the certificate's name");
}

#[tokio::test]
async fn key_from_the_future() {
    let world = World::new().await;
    let from = async |ahead: i64| {
        let draft = Draft::of(keys::ed25519(ahead)).user_id("Test", |b| b);
        let sign = |text: &str| {
            signer::detached_with(&draft.pair(), text, |b| b.set_signature_creation_time(at(ahead)).unwrap())
        };
        let outcome = world.log_in(draft.fingerprint(), Some(draft.armored()), sign).await;
        assert_eq!(world.stored(draft.fingerprint()).await.is_some(), outcome.is_ok());
        outcome
    };
    from(90).await.expect("a client's clock may be ahead");
    assert_eq!(kind(from(4 * MINUTE).await), K::InvalidPublicKey);
    assert_eq!(kind(from(10 * MINUTE).await), K::InvalidNonceSignature);
}

#[tokio::test]
async fn certificate_bound_by_sha1_or_md5() {
    for hash in [HashAlgorithm::SHA1, HashAlgorithm::MD5] {
        let draft = Draft::bare().user_id("Test", |b| b.set_hash_algo(hash));
        assert_eq!(refusal(&draft, &draft.pair()).await, K::InvalidPublicKey, "{hash}");
        let direct = Draft::bare().direct_key(|b| b.set_hash_algo(hash));
        assert_eq!(refusal(&direct, &direct.pair()).await, K::InvalidPublicKey, "{hash}");
        let subkey = new_subkey();
        let draft = Draft::honest().subkey(&subkey, |b| b.set_hash_algo(hash), Back::Good);
        assert_eq!(refusal(&draft, &pair_of(&subkey)).await, K::InvalidNonceSignature, "{hash}");
    }
    let draft = Draft::bare().user_id("Test", |b| b.set_hash_algo(HashAlgorithm::SHA256));
    admitted(&draft, &draft.pair()).await;
}

#[tokio::test]
async fn user_id_bound_by_another_key_binds_nothing() {
    let stranger = Draft::honest();
    let bare = Draft::bare();
    let user_id = UserID::from("Test");
    let certification = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_signature_creation_time(at(CREATED))
        .unwrap()
        .set_key_flags(certify_and_sign())
        .unwrap()
        .sign_userid_binding(&mut stranger.pair(), bare.primary.parts_as_public(), &user_id)
        .unwrap();
    let draft = bare.clone().push(user_id).push(certification);
    assert_eq!(refusal(&draft, &draft.pair()).await, K::InvalidPublicKey);
    let draft = bare.user_id("Test", |b| b);
    admitted(&draft, &draft.pair()).await;
}
