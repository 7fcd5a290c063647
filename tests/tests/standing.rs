//! What an administrator decides, and what nobody gets round: approval, revocation, erasure, groups; the server's own key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use std::sync::Arc;

use capauth_protocol::Fingerprint;
use capauth_tests::keys::{self, Back, Draft, armored_secret, fingerprint_of, now, pair_of};
use capauth_tests::login::{SERVICE, World, json, kind, payload, request, response, words};
use capauth_tests::signer;
use capauth_verifier::{
    Audience, AuthErrorKind as K, EnrollmentMode, LocalVerifier, Login, ManualClock, Secret, Verifier as _,
    memory,
};

/// Whether a login's token and session both still count. They must never differ.
async fn alive(world: &World, login: &Login) -> bool {
    let token = world.verifier.authenticate(&login.response.access_token, Audience::Own).await;
    let session = world.verifier.resume(login.who.session()).await;
    assert_eq!(token.is_ok(), session.is_ok());
    for error in [token.err(), session.err()].into_iter().flatten() {
        assert_eq!(error.kind(), K::InvalidToken);
    }
    world.verifier.authenticate(&login.response.access_token, Audience::Own).await.is_ok()
}

#[tokio::test]
async fn approval_is_asked_for_after_proof_only() {
    let world = World::with(|b| b.enrollment(EnrollmentMode::Approval)).await;
    let (draft, stranger) = (Draft::honest(), Draft::honest());
    let fingerprint = draft.fingerprint();
    assert_eq!(kind(world.enrol(&draft, &stranger.pair()).await), K::InvalidNonceSignature);
    assert_eq!(world.count().await, 0, "nothing waits for whoever proved nothing");
    assert_eq!(kind(world.enrol(&draft, &draft.pair()).await), K::EnrollmentPending);
    let stored = world.stored(fingerprint).await.expect("it waits");
    assert!(!stored.identity.approved);
    for _ in 0..3 {
        assert_eq!(kind(world.return_with(fingerprint, &draft.pair()).await), K::EnrollmentPending);
    }
    // That it waits is nobody else's business.
    assert_eq!(kind(world.return_with(fingerprint, &stranger.pair()).await), K::InvalidNonceSignature);
    world.verifier.approve(&fingerprint).await.unwrap();
    let login = world.return_with(fingerprint, &draft.pair()).await.expect("approved");
    assert!(!login.response.is_new_enrollment);
    assert!(alive(&world, &login).await);
    let unknown = Draft::honest().fingerprint();
    assert_eq!(kind(world.verifier.approve(&unknown).await), K::NotFound);
}

#[tokio::test]
async fn new_keys_where_enrolment_is_closed() {
    let open = World::new().await;
    let (member, _) = open.member().await;
    let closed = open.beside(SERVICE, |b| b.enrollment(EnrollmentMode::Closed)).await;
    let draft = Draft::honest();
    assert_eq!(kind(closed.enrol(&draft, &Draft::honest().pair()).await), K::InvalidNonceSignature);
    assert_eq!(kind(closed.enrol(&draft, &draft.pair()).await), K::EnrollmentClosed);
    assert!(closed.stored(draft.fingerprint()).await.is_none());
    assert_eq!(closed.count().await, 1);
    closed.return_with(member.fingerprint(), &member.pair()).await.expect("who is enrolled comes in");
    open.enrol(&draft, &draft.pair()).await.expect("where it is open");
}

#[tokio::test]
async fn key_revoked_by_an_administrator_stays_out_and_cannot_enrol_again() {
    let world = World::new().await;
    let ((member, login), (other, others_login)) = (world.member().await, world.member().await);
    let fingerprint = member.fingerprint();
    assert!(alive(&world, &login).await);
    world.verifier.revoke(&fingerprint).await.unwrap();
    assert!(!alive(&world, &login).await, "at once");
    for certificate in
        [None, Some(member.armored()), Some(member.clone().user_id("Another", |b| b).armored())]
    {
        let sign = |text: &str| signer::detached(&member.pair(), text);
        assert_eq!(kind(world.log_in(fingerprint, certificate, sign).await), K::KeyRevoked);
    }
    assert!(world.stored(fingerprint).await.unwrap().revoked.is_some());
    // Approval is not a pardon, nor are new groups.
    world.verifier.approve(&fingerprint).await.unwrap();
    world.verifier.set_groups(&fingerprint, &["admins".to_owned()]).await.unwrap();
    assert_eq!(kind(world.return_with(fingerprint, &member.pair()).await), K::KeyRevoked);
    assert!(!alive(&world, &login).await);
    // Who proves nothing does not hear of it.
    assert_eq!(kind(world.return_with(fingerprint, &other.pair()).await), K::InvalidNonceSignature);
    assert!(alive(&world, &others_login).await);
    world.return_with(other.fingerprint(), &other.pair()).await.expect("somebody else");
}

#[tokio::test]
async fn key_erased_after_revocation_does_not_come_back() {
    let world = World::new().await;
    let (member, login) = world.member().await;
    world.verifier.revoke(&member.fingerprint()).await.unwrap();
    world.verifier.erase(&member.fingerprint()).await.unwrap();
    assert!(world.stored(member.fingerprint()).await.is_none());
    assert!(!alive(&world, &login).await);
    assert_eq!(kind(world.enrol(&member, &member.pair()).await), K::Conflict);
    assert_eq!(kind(world.enrol(&member, &Draft::honest().pair()).await), K::InvalidNonceSignature);
    assert_eq!(world.count().await, 0);
    // A node that starts later knows it, too; and nobody else is kept out.
    let node = world.beside(SERVICE, |b| b).await;
    assert_eq!(kind(node.enrol(&member, &member.pair()).await), K::Conflict);
    node.member().await;
    assert_eq!(kind(world.verifier.erase(&member.fingerprint()).await), K::NotFound);
}

#[tokio::test]
async fn key_erased_after_its_own_revocation_does_not_come_back() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let revoked = member.clone().revoked(sequoia_openpgp::types::ReasonForRevocation::KeyCompromised, 0);
    assert_eq!(kind(world.enrol(&revoked, &member.pair()).await), K::KeyRevoked);
    world.verifier.erase(&member.fingerprint()).await.unwrap();
    assert_eq!(kind(world.enrol(&member, &member.pair()).await), K::Conflict);
    assert_eq!(world.count().await, 0);
}

#[tokio::test]
async fn erased_key_that_was_in_order_may_come_again_and_its_old_token_does_not() {
    let world = World::new().await;
    let (member, login) = world.member().await;
    world.verifier.erase(&member.fingerprint()).await.unwrap();
    assert!(!alive(&world, &login).await);
    assert_eq!(kind(world.return_with(member.fingerprint(), &member.pair()).await), K::UnknownFingerprint);
    let again = world.enrol(&member, &member.pair()).await.expect("a new beginning");
    assert!(again.response.is_new_enrollment);
    assert!(alive(&world, &again).await);
    assert!(!alive(&world, &login).await, "what was erased stays ended");
}

/// Groups as a person claims them, after a login that signs those claims.
async fn groups_with(world: &World, member: &Draft, claims: Option<&str>) -> Vec<String> {
    let challenge = world.challenge(member.fingerprint()).await;
    let signature = signer::detached(&member.pair(), &payload(&challenge));
    let mut answer = response(member.fingerprint(), &challenge, signature, None);
    if let Some(claims) = claims {
        answer.claims = Some(json(claims));
        let text = capauth_tests::login::claims_text(&answer, &json(claims).to_canonical());
        answer.claims_signature = signer::detached(&member.pair(), &text);
    }
    let login = world.answer(&answer).await.expect("a login");
    let who = world.verifier.authenticate(&login.response.access_token, Audience::Own).await.unwrap();
    assert_eq!(who.groups(), login.who.groups());
    assert_eq!(login.response.oidc_claims.groups, login.who.groups());
    who.groups().to_vec()
}

#[tokio::test]
async fn claimed_groups_narrow_what_is_granted_and_never_widen_it() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    assert!(
        groups_with(&world, &member, Some(r#"{"groups":["admins","staff"]}"#)).await.is_empty(),
        "claimed only"
    );
    let granted = ["readers".to_owned(), "staff".to_owned()];
    world.verifier.set_groups(&member.fingerprint(), &granted).await.unwrap();
    assert_eq!(groups_with(&world, &member, None).await, granted);
    assert_eq!(groups_with(&world, &member, Some(r#"{"name":"x"}"#)).await, granted);
    for (claims, expected) in [
        (r#"{"groups":["staff","admins"]}"#, &["staff"][..]),
        (r#"{"groups":"staff"}"#, &["staff"]),
        (r#"{"groups":"admins"}"#, &[]),
        (r#"{"groups":["STAFF"," staff","staff "]}"#, &[]),
        (r#"{"groups":[]}"#, &[]),
        (r#"{"groups":null}"#, &[]),
        (r#"{"groups":{"staff":true}}"#, &[]),
        (r#"{"groups":[["staff"],1]}"#, &[]),
    ] {
        assert_eq!(groups_with(&world, &member, Some(claims)).await, expected, "{claims}");
    }
}

#[tokio::test]
async fn claimed_groups_count_only_where_the_administrator_believes_them() {
    let world = World::with(|b| b.asserted_groups(true)).await;
    let (member, _) = world.member().await;
    assert_eq!(groups_with(&world, &member, Some(r#"{"groups":["staff"]}"#)).await, ["staff"]);
    let strict = world.beside(SERVICE, |b| b).await;
    assert!(groups_with(&strict, &member, Some(r#"{"groups":["staff"]}"#)).await.is_empty());
}

#[tokio::test]
async fn group_taken_away_ends_older_tokens_and_one_given_reaches_them() {
    let world = World::new().await;
    let (member, first) = world.member().await;
    let fingerprint = member.fingerprint();
    let groups = async |login: &Login| {
        let who = world.verifier.authenticate(&login.response.access_token, Audience::Own).await;
        who.map(|who| who.groups().to_vec()).map_err(|e| e.kind())
    };
    let grant = async |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        world.verifier.set_groups(&fingerprint, &names).await.unwrap();
    };
    assert_eq!(groups(&first).await, Ok(Vec::new()));
    grant(&["staff"]).await;
    assert_eq!(groups(&first).await, Ok(vec!["staff".to_owned()]), "authority is read at each use");
    grant(&["readers", "staff"]).await;
    assert_eq!(groups(&first).await.unwrap().len(), 2);
    let generation = world.stored(fingerprint).await.unwrap().identity.generation;
    grant(&["readers"]).await;
    assert_eq!(groups(&first).await, Err(K::InvalidToken));
    assert!(world.stored(fingerprint).await.unwrap().identity.generation > generation);
    assert!(!alive(&world, &first).await);
    let second = world.return_with(fingerprint, &member.pair()).await.unwrap();
    assert_eq!(groups(&second).await, Ok(vec!["readers".to_owned()]));
    grant(&["readers", "staff"]).await;
    assert!(!alive(&world, &first).await, "what ended does not come back with the group");
}

fn armor(draft: &Draft) -> Secret {
    Secret::new(armored_secret(draft))
}

#[tokio::test]
async fn the_servers_own_signature_reflected_as_a_login() {
    let server = Draft::honest();
    let world = World::with(|b| b.server_key(armor(&server), None)).await;
    // The server signs the very bytes a person signs, and publishes its certificate: all a login takes.
    let (member, _) = world.member().await;
    let challenge = world.challenge(member.fingerprint()).await;
    assert!(challenge.server_signature.contains("BEGIN PGP SIGNATURE"));
    assert_eq!(kind(world.ask(request(server.fingerprint())).await), K::Forbidden);

    let certificate = Some(challenge.server_public_key.clone());
    let as_server =
        response(server.fingerprint(), &challenge, challenge.server_signature.clone(), certificate.clone());
    assert_eq!(kind(world.answer(&as_server).await), K::Forbidden);
    for certificate in [certificate, None] {
        let as_member =
            response(member.fingerprint(), &challenge, challenge.server_signature.clone(), certificate);
        assert!(matches!(
            kind(world.answer(&as_member).await),
            K::FingerprintMismatch | K::InvalidNonceSignature
        ));
    }
    assert!(world.stored(server.fingerprint()).await.is_none());
    assert_eq!(world.count().await, 1);

    // The same bytes at a server with another key are a login like any other.
    let elsewhere = World::new().await;
    elsewhere.enrol(&server, &server.pair()).await.expect("there it is just a key");
}

#[tokio::test]
async fn challenge_for_a_subkey_of_the_server_and_adoption_of_its_key() {
    let subkey = keys::new_subkey();
    let server = Draft::certifying().subkey(&subkey, |b| b, Back::Good);
    let mut packets = server.secret_packets();
    let place = packets.len() - 2;
    packets[place] = subkey.clone().into();
    let text = keys::armored(sequoia_openpgp::armor::Kind::SecretKey, &keys::bytes_of(&packets));
    let world = World::with(|b| b.server_key(Secret::new(text), None)).await;
    for fingerprint in [server.fingerprint(), fingerprint_of(&subkey)] {
        assert_eq!(kind(world.ask(request(fingerprint)).await), K::Forbidden);
    }
    // A certificate that adopts one of the server's keys, with or without its consent, and signs with its own.
    for back in [Back::Good, Back::Missing] {
        let thief = Draft::honest().subkey(&subkey, |b| b, back);
        for pair in [pair_of(&subkey), thief.pair()] {
            assert_eq!(kind(world.enrol(&thief, &pair).await), K::Forbidden);
        }
    }
    assert_eq!(world.count().await, 0);
    world.member().await;
}

#[tokio::test]
async fn former_server_key() {
    let (former, present) = (Draft::honest(), Draft::honest());
    let first = World::with(|b| b.server_key(armor(&former), None)).await;
    let second = first.beside(SERVICE, |b| b.server_key(armor(&present), None)).await;
    let without = first.beside(SERVICE, |b| b).await;
    for world in [&second, &without] {
        for fingerprint in [former.fingerprint(), present.fingerprint()] {
            assert_eq!(kind(world.ask(request(fingerprint)).await), K::Forbidden);
        }
        world.member().await;
    }
    // Nor does a challenge that an older node still makes let it in.
    let draft = Draft::honest();
    let challenge = without.challenge(draft.fingerprint()).await;
    let signature = signer::detached(&former.pair(), &payload(&challenge));
    let answer = response(former.fingerprint(), &challenge, signature, Some(former.armored()));
    assert_eq!(kind(without.answer(&answer).await), K::Forbidden);
}

async fn start(world: &World, server: &Draft, admins: &[Fingerprint]) -> Result<LocalVerifier, String> {
    LocalVerifier::builder(SERVICE)
        .stores(world.stores.clone())
        .clock(Arc::new(ManualClock::at(now())))
        .server_key(armor(server), None)
        .admin_fingerprints(admins.iter().copied())
        .build()
        .await
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn start_is_refused_when_the_servers_key_is_an_administrators_or_enrolled() {
    let world = World::new().await;
    let (member, _) = world.member().await;
    let fresh = Draft::honest();
    let error = start(&world, &fresh, &[member.fingerprint(), fresh.fingerprint()]).await.unwrap_err();
    assert!(error.contains("administrator"), "{error}");
    let error = start(&world, &member, &[]).await.unwrap_err();
    assert!(error.contains("enrolled"), "{error}");
    // Nothing remembers the refused attempt: the member is no server key now.
    let node = world.beside(SERVICE, |b| b).await;
    node.return_with(member.fingerprint(), &member.pair()).await.expect("still a member");
    let other = Draft::honest();
    start(&world, &other, &[member.fingerprint()]).await.expect("a key for the server alone");
}

#[tokio::test]
async fn server_key_of_an_algorithm_that_leaks() {
    let world = World::new().await;
    let mut rsa = sequoia_openpgp::packet::key::Key4::generate_rsa(2048).unwrap();
    rsa.set_creation_time(keys::at(keys::CREATED)).unwrap();
    let rsa = Draft::of(rsa).user_id("Server", |b| b);
    let v6 = Draft::of(keys::ed25519_v6(keys::CREATED)).direct_key(|b| b);
    for draft in [rsa, v6] {
        let error = start(&world, &draft, &[]).await.unwrap_err();
        assert!(error.contains("Ed25519"), "{error}");
    }
    start(&world, &Draft::honest(), &[]).await.expect("Ed25519 of version 4");
}

#[tokio::test]
async fn another_master_key_stops_the_start() {
    let world = World::new().await;
    let mut stores = world.stores.clone();
    stores.master_key = memory::stores().unwrap().master_key;
    let build = |stores| {
        LocalVerifier::builder(SERVICE).stores(stores).clock(Arc::new(ManualClock::at(now()))).build()
    };
    let error = build(stores).await.unwrap_err().to_string();
    assert!(error.contains("master key"), "{error}");
    build(world.stores.clone()).await.expect("the right one");
}

/// Where the person is refused for good, they hear why and what to do; nothing of it repeats what they sent.
#[tokio::test]
async fn words_of_refusals() {
    let world = World::new().await;
    let draft = Draft::honest();
    let outcome = world.return_with(draft.fingerprint(), &draft.pair()).await;
    let text = words(outcome);
    assert!(text.contains("public key") && !text.contains(&draft.fingerprint().to_string()), "{text}");
}
