//! Expiry and abilities of enrolled keys: the newest word of the primary key counts, whichever copy is sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use std::time::Duration;

use capauth_tests::keys::{self, Back, CREATED, DAY, Draft, Subkey, at, new_subkey, pair_of};
use capauth_tests::login::{World, kind, payload, response};
use capauth_tests::signer;
use capauth_verifier::{Audience, AuthError, AuthErrorKind as K, Login, Verifier as _};
use sequoia_openpgp::crypto::KeyPair;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::types::KeyFlags;

type Change = Box<dyn FnOnce(SignatureBuilder) -> SignatureBuilder>;

/// A certificate, and a world whose clock is so many days on.
struct Story {
    world: World,
    day: i64,
}

impl Story {
    async fn new() -> Self {
        Self { world: World::new().await, day: 0 }
    }

    fn later(&mut self, days: i64) {
        self.day += days;
        self.world.advance((days * DAY).unsigned_abs());
    }

    async fn attempt(&self, pair: &KeyPair, name: &Draft, sent: Option<&Draft>) -> Result<Login, AuthError> {
        let made = at(self.day * DAY);
        let sign =
            |text: &str| signer::detached_with(pair, text, |b| b.set_signature_creation_time(made).unwrap());
        self.world.log_in(name.fingerprint(), sent.map(Draft::armored), sign).await
    }
}

/// Made on one day, and with it the key expires on another.
fn expiring(made: i64, expires: Option<i64>) -> Change {
    Box::new(move |b| {
        let lifetime = expires.map(|day| Duration::from_secs((day * DAY - CREATED).unsigned_abs()));
        b.set_signature_creation_time(at(made)).unwrap().set_key_validity_period(lifetime).unwrap()
    })
}

fn with(
    signatures: impl IntoIterator<Item = (&'static str, i64, Option<i64>, bool)>,
) -> impl Fn(&Draft) -> Draft {
    let signatures: Vec<_> = signatures.into_iter().collect();
    move |bare| {
        signatures.iter().fold(bare.clone(), |draft, (name, made, expires, primary)| {
            let (change, primary) = (expiring(*made, *expires), *primary);
            draft.user_id(name, move |b| change(b).set_primary_userid(primary).unwrap())
        })
    }
}

#[tokio::test]
async fn expiry_shortened_then_old_copy_with_the_longer_one() {
    let mut story = Story::new().await;
    let bare = Draft::bare();
    let long = with([("Test", CREATED, None, true)])(&bare);
    let short = with([("Test", CREATED, None, true), ("Test", -DAY, Some(10), true)])(&bare);
    story.attempt(&bare.pair(), &bare, Some(&long)).await.unwrap();
    story.attempt(&bare.pair(), &bare, Some(&short)).await.expect("it lasts ten days more");
    story.attempt(&bare.pair(), &bare, Some(&long)).await.expect("the old copy harms nobody yet");
    story.later(11);
    for sent in [None, Some(&long), Some(&short)] {
        assert_eq!(kind(story.attempt(&bare.pair(), &bare, sent).await), K::KeyExpired);
    }
    // Where the shorter expiry was never seen, the old copy is all there is.
    let elsewhere = Story { world: World::new().await, day: 11 };
    elsewhere.world.advance((11 * DAY).unsigned_abs());
    elsewhere.attempt(&bare.pair(), &bare, Some(&long)).await.expect("an old copy");
}

#[tokio::test]
async fn extended_key_is_let_in() {
    let mut story = Story::new().await;
    let bare = Draft::bare();
    let short = with([("Test", CREATED, Some(10), true)])(&bare);
    story.attempt(&bare.pair(), &bare, Some(&short)).await.unwrap();
    story.later(11);
    assert_eq!(kind(story.attempt(&bare.pair(), &bare, Some(&short)).await), K::KeyExpired);
    let extended = with([("Test", CREATED, Some(10), true), ("Test", 11 * DAY, Some(100), true)])(&bare);
    story.attempt(&bare.pair(), &bare, Some(&extended)).await.expect("extended");
    story.attempt(&bare.pair(), &bare, None).await.expect("and it stays so");
    story.attempt(&bare.pair(), &bare, Some(&short)).await.expect("an old copy takes nothing back");
    story.later(100);
    assert_eq!(kind(story.attempt(&bare.pair(), &bare, None).await), K::KeyExpired);
}

#[tokio::test]
async fn stripped_primary_user_id_revives_nothing() {
    // The primary User ID says that the key expires; another, older or newer, does not.
    for second in [CREATED, -5 * DAY] {
        let mut story = Story::new().await;
        let bare = Draft::bare();
        let whole = with([("Test", -10 * DAY, Some(10), true), ("Second", second, None, false)])(&bare);
        let stripped = with([("Second", second, None, false)])(&bare);
        story.attempt(&bare.pair(), &bare, Some(&whole)).await.expect("before it expires");
        story.later(11);
        for sent in [&stripped, &whole] {
            assert_eq!(kind(story.attempt(&bare.pair(), &bare, Some(sent)).await), K::KeyExpired);
        }
        let elsewhere = Story { world: World::new().await, day: 11 };
        elsewhere.world.advance((11 * DAY).unsigned_abs());
        elsewhere.attempt(&bare.pair(), &bare, Some(&stripped)).await.expect("on its own it would do");
    }
}

/// Two self-signatures of one second: the stricter stays, whichever is sent and in whichever order.
#[tokio::test]
async fn equally_old_facts_the_stricter_stay() {
    for strict_first in [true, false] {
        let mut story = Story::new().await;
        let bare = Draft::bare();
        let strict = with([("Test", CREATED, Some(10), true)])(&bare);
        let lax = with([("Test", CREATED, None, true)])(&bare);
        let (first, then) = if strict_first { (&strict, &lax) } else { (&lax, &strict) };
        story.attempt(&bare.pair(), &bare, Some(first)).await.unwrap();
        story.attempt(&bare.pair(), &bare, Some(then)).await.unwrap();
        story.later(11);
        for sent in [None, Some(&lax)] {
            assert_eq!(kind(story.attempt(&bare.pair(), &bare, sent).await), K::KeyExpired);
        }
    }
}

#[tokio::test]
async fn unchanged_certificate_sent_again_obeys_the_stored_facts() {
    let mut story = Story::new().await;
    let bare = Draft::bare();
    let sent = with([("Test", CREATED, Some(10), true)])(&bare);
    let mut revisions = Vec::new();
    for _ in 0..3 {
        story.attempt(&bare.pair(), &bare, Some(&sent)).await.expect("every time the same");
        revisions.push(story.world.stored(bare.fingerprint()).await.unwrap().revision);
    }
    revisions.dedup();
    assert_eq!(revisions.len(), 1, "nothing was written again");
    let stranger = Draft::honest();
    assert_eq!(kind(story.attempt(&stranger.pair(), &bare, Some(&sent)).await), K::InvalidNonceSignature);
    story.later(10);
    assert_eq!(kind(story.attempt(&bare.pair(), &bare, Some(&sent)).await), K::KeyExpired);
}

#[tokio::test]
async fn unchanged_certificate_sent_again_by_a_revoked_key() {
    let story = Story::new().await;
    let draft = Draft::honest();
    story.attempt(&draft.pair(), &draft, Some(&draft)).await.unwrap();
    story.world.verifier.revoke(&draft.fingerprint()).await.unwrap();
    assert_eq!(kind(story.attempt(&draft.pair(), &draft, Some(&draft)).await), K::KeyRevoked);
}

fn binding(flags: KeyFlags, made: i64) -> impl FnOnce(SignatureBuilder) -> SignatureBuilder {
    move |b| b.set_key_flags(flags).unwrap().set_signature_creation_time(at(made)).unwrap()
}

#[tokio::test]
async fn ability_to_sign_taken_away_then_old_copy() {
    let story = Story::new().await;
    let bare = Draft::bare();
    let signs = bare.clone().user_id("Test", |b| b);
    let certifies = signs.clone().user_id("Test", binding(KeyFlags::empty().set_certification(), -DAY));
    story.attempt(&bare.pair(), &bare, Some(&signs)).await.unwrap();
    assert_eq!(kind(story.attempt(&bare.pair(), &bare, Some(&certifies)).await), K::InvalidPublicKey);
    // The refused login brought nothing in: facts come with proof, and that was none. With a subkey it is one.
    let subkey = new_subkey();
    let narrowed = certifies.clone().subkey(&subkey, |b| b, Back::Good);
    story.attempt(&pair_of(&subkey), &bare, Some(&narrowed)).await.expect("the subkey signs");
    for sent in [None, Some(&signs)] {
        assert_eq!(kind(story.attempt(&bare.pair(), &bare, sent).await), K::InvalidNonceSignature);
    }
    story.attempt(&pair_of(&subkey), &bare, Some(&signs)).await.expect("what is missing keeps its facts");
}

#[tokio::test]
async fn subkey_that_may_not_sign_any_more_then_old_copy() {
    let story = Story::new().await;
    let subkey: Subkey = new_subkey();
    let draft = Draft::honest();
    let signs = draft.clone().subkey(&subkey, |b| b, Back::Good);
    let made =
        draft.subkey_binding(&subkey, binding(KeyFlags::empty().set_authentication(), -DAY), Back::Good);
    let authenticates = signs.clone().push(made);
    story.attempt(&pair_of(&subkey), &draft, Some(&signs)).await.unwrap();
    story.attempt(&draft.pair(), &draft, Some(&authenticates)).await.expect("the primary key tells");
    for sent in [None, Some(&signs), Some(&authenticates)] {
        assert_eq!(kind(story.attempt(&pair_of(&subkey), &draft, sent).await), K::InvalidNonceSignature);
    }
}

#[tokio::test]
async fn subkey_expires_with_its_back_signature() {
    let mut story = Story::new().await;
    let subkey = new_subkey();
    let draft = Draft::honest();
    let lasting = Duration::from_secs((10 * DAY - CREATED).unsigned_abs());
    let back = draft.back_signature(&subkey, |b| b.set_signature_validity_period(lasting).unwrap());
    let draft = draft.subkey(&subkey, |b| b, Back::These(vec![back]));
    story.attempt(&pair_of(&subkey), &draft, Some(&draft)).await.expect("while its consent lasts");
    story.later(11);
    for sent in [None, Some(&draft)] {
        assert_eq!(kind(story.attempt(&pair_of(&subkey), &draft, sent).await), K::KeyExpired);
    }
    story.attempt(&draft.pair(), &draft, Some(&draft)).await.expect("the primary key is in order");
}

#[tokio::test]
async fn self_signature_that_expires_takes_the_key_with_it() {
    let mut story = Story::new().await;
    let lasting = Duration::from_secs((10 * DAY - CREATED).unsigned_abs());
    let draft = Draft::bare().user_id("Test", |b| b.set_signature_validity_period(lasting).unwrap());
    let login = story.attempt(&draft.pair(), &draft, Some(&draft)).await.expect("while it lasts");
    assert!(login.response.expires_in > 0);
    story.later(11);
    assert_eq!(kind(story.attempt(&draft.pair(), &draft, None).await), K::KeyExpired);
}

#[tokio::test]
async fn no_token_outlives_its_key() {
    let bare = Draft::bare();
    let minutes = |count: i64| Duration::from_secs((60 * count - CREATED).unsigned_abs());
    let subkey = new_subkey();
    let back = bare.back_signature(&subkey, |b| b.set_signature_validity_period(minutes(10)).unwrap());
    let expiring = |b: SignatureBuilder| b.set_key_validity_period(minutes(10)).unwrap();
    let signed = |b: SignatureBuilder| b.set_signature_validity_period(minutes(10)).unwrap();
    let whole = bare.clone().user_id("Test", |b| b);
    let cases = [
        (bare.clone().user_id("Test", expiring), bare.pair()),
        (bare.clone().user_id("Test", signed), bare.pair()),
        (whole.clone().subkey(&subkey, expiring, Back::Good), pair_of(&subkey)),
        (whole.clone().subkey(&subkey, signed, Back::Good), pair_of(&subkey)),
        (whole.clone().subkey(&subkey, |b| b, Back::These(vec![back])), pair_of(&subkey)),
        (bare.clone().user_id("Test", expiring).subkey(&subkey, |b| b, Back::Good), pair_of(&subkey)),
    ];
    for (number, (draft, pair)) in cases.into_iter().enumerate() {
        let world = World::new().await;
        let login = world.enrol(&draft, &pair).await.expect("ten minutes before");
        assert_eq!(login.response.expires_in, 600, "case {number}");
        assert_eq!(login.who.session().expires.as_unix(), keys::NOW + 600, "case {number}");
        world.advance(599);
        world
            .verifier
            .authenticate(&login.response.access_token, Audience::Own)
            .await
            .expect("a second before");
        world.advance(1);
        let token = world.verifier.authenticate(&login.response.access_token, Audience::Own).await;
        assert_eq!(kind(token), K::InvalidToken, "case {number}");
        assert_eq!(kind(world.verifier.resume(login.who.session()).await), K::InvalidToken, "case {number}");
    }
    let world = World::new().await;
    let login = world.enrol(&whole, &bare.pair()).await.unwrap();
    assert_eq!(login.response.expires_in, 3600);
}

/// A token that was made while the key was to last longer.
#[tokio::test]
async fn token_outlives_a_key_whose_expiry_was_shortened_meanwhile() {
    let bare = Draft::bare();
    let long = bare.clone().user_id("Test", |b| b);
    let world = World::new().await;
    let login = world.enrol(&long, &bare.pair()).await.unwrap();
    let lifetime = Duration::from_secs((600 - CREATED).unsigned_abs());
    let short = long.user_id("Test", |b| {
        b.set_signature_creation_time(at(-60)).unwrap().set_key_validity_period(lifetime).unwrap()
    });
    let challenge = world.challenge(bare.fingerprint()).await;
    let signature = signer::detached(&bare.pair(), &payload(&challenge));
    let answer = response(bare.fingerprint(), &challenge, signature, Some(short.armored()));
    let renewed = world.answer(&answer).await.expect("ten minutes more");
    assert_eq!(renewed.response.expires_in, 600);
    // At once: a reader elsewhere knows of the key only what its token said.
    let outcome = world.verifier.authenticate(&login.response.access_token, Audience::Own).await;
    assert_eq!(kind(outcome), K::InvalidToken);
    let token = &renewed.response.access_token;
    world.advance(599);
    world.verifier.authenticate(token, Audience::Own).await.expect("not yet");
    world.advance(2);
    assert_eq!(kind(world.verifier.authenticate(token, Audience::Own).await), K::InvalidToken);
    assert_eq!(kind(world.verifier.resume(renewed.who.session()).await), K::InvalidToken);
    assert_eq!(kind(world.verifier.resume(login.who.session()).await), K::InvalidToken);
}
