//! What happens to keys after they came in, in process: a pool of keys that is made once, and what their holders send.

#![allow(missing_docs, reason = "names say it; what they do not say is written")]

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use capauth_protocol::payload::{LinkPayload, RotationCancelPayload, RotationPayload};
use capauth_protocol::request::{
    AsSent, LinkRequest, RotateRequest, RotationCancelRequest, UnlinkProof, UnlinkRequest, VerifyRequest,
};
use capauth_protocol::{Fingerprint, Nonce};
use capauth_verifier::{Clock as _, LocalBuilder, LocalVerifier, ManualClock, Stores};
use sequoia_openpgp::crypto::KeyPair;
use sequoia_openpgp::packet::{Tag, UserID};
use sequoia_openpgp::types::ReasonForRevocation;
use sha2::{Digest as _, Sha256};

use crate::keys::{Back, DAY, Draft, at, new_subkey, now, pair_of};
use crate::login::{SERVICE, World, payload, response};
use crate::signer;

/// A key, by its place in the pool.
pub type K = usize;

/// How many keys there are.
pub const KEYS: usize = 6;

/// What a certificate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cert {
    /// Primary key and subkey sign.
    Plain,
    /// Retired, for a while.
    Retired,
    /// Retired, and back since.
    Renewed,
    /// Revoked for good.
    Revoked,
    /// The subkey is revoked for good.
    SubkeyRevoked,
}

pub const CERTS: [Cert; 5] = [Cert::Plain, Cert::Retired, Cert::Renewed, Cert::Revoked, Cert::SubkeyRevoked];

/// Who signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Primary,
    Subkey,
    /// A key of nobody's.
    Stranger,
}

pub struct Pooled {
    pub fingerprint: Fingerprint,
    primary: KeyPair,
    subkey: KeyPair,
    certs: [String; CERTS.len()],
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fingerprint)
    }
}

impl Pooled {
    fn new() -> Self {
        let subkey = new_subkey();
        let plain = Draft::honest().subkey(&subkey, |b| b, Back::Good);
        let retired = plain.clone().revoked(ReasonForRevocation::KeyRetired, -10 * DAY);
        let user_id = UserID::from("Test <test@example.org>");
        let since =
            retired.user_id_binding(&user_id, |b| b.set_signature_creation_time(at(-5 * DAY)).unwrap());
        let mut renewed = retired.clone();
        let place = renewed.packets.iter().position(|packet| packet.tag() == Tag::UserID);
        renewed.packets.insert(place.unwrap() + 1, since.into());
        let revoked = plain.clone().revoked(ReasonForRevocation::KeyCompromised, -DAY);
        let without = plain.clone().subkey_revoked(&subkey, ReasonForRevocation::KeyCompromised, -DAY);
        Self {
            fingerprint: plain.fingerprint(),
            primary: plain.pair(),
            subkey: pair_of(&subkey),
            certs: [plain, retired, renewed, revoked, without].map(|draft| draft.armored()),
        }
    }

    pub fn cert(&self, cert: Cert) -> String {
        self.certs[cert as usize].clone()
    }

    pub fn sign(&self, by: By, text: &str, now: SystemTime) -> String {
        let pair = match by {
            By::Primary => &self.primary,
            By::Subkey => &self.subkey,
            By::Stranger => stranger(),
        };
        signer::detached_with(pair, text, |b| b.set_signature_creation_time(now).unwrap())
    }
}

fn stranger() -> &'static KeyPair {
    static STRANGER: OnceLock<KeyPair> = OnceLock::new();
    STRANGER.get_or_init(|| Draft::honest().pair())
}

/// The key at this place.
pub fn key(k: K) -> &'static Pooled {
    static POOL: OnceLock<Vec<Pooled>> = OnceLock::new();
    &POOL.get_or_init(|| (0..KEYS).map(|_| Pooled::new()).collect())[k]
}

/// Which key of the pool has this fingerprint.
pub fn place(fingerprint: &Fingerprint) -> K {
    (0..KEYS).find(|k| key(*k).fingerprint == *fingerprint).expect("a key of the pool")
}

/// A verifier over these stores, and a clock that stands still.
pub async fn world_over(stores: Stores, change: impl FnOnce(LocalBuilder) -> LocalBuilder) -> World {
    let clock = Arc::new(ManualClock::at(now()));
    let builder = LocalVerifier::builder(SERVICE).stores(stores.clone()).clock(clock.clone());
    let verifier = change(builder).build().await.expect("the verifier starts");
    World { verifier: Arc::new(verifier), stores, clock }
}

/// A new database in a folder.
pub async fn sqlite_in(folder: &Path, name: &str) -> Stores {
    let url = format!("sqlite://{}", folder.join(name).display());
    capauth_store::open(&url, None).await.expect("a database")
}

fn sent(k: K) -> AsSent<Fingerprint> {
    let value = key(k).fingerprint;
    AsSent { value, text: value.to_string() }
}

async fn nonce(world: &World, k: K) -> AsSent<Nonce> {
    let text = world.challenge(key(k).fingerprint).await.nonce;
    AsSent { value: text.parse().unwrap(), text }
}

/// The answer to a new challenge.
pub async fn answer(world: &World, k: K, by: By, cert: Option<Cert>) -> VerifyRequest {
    let challenge = world.challenge(key(k).fingerprint).await;
    let signature = key(k).sign(by, &payload(&challenge), world.clock.now());
    let cert = cert.map(|cert| key(k).cert(cert));
    response(key(k).fingerprint, &challenge, signature, cert)
}

pub async fn rotation(world: &World, old: K, new: K, by: By, cert: Cert) -> RotateRequest {
    let (nonce, timestamp) = (nonce(world, old).await, world.verifier.now().to_string());
    let certificate = key(new).cert(cert);
    let text = RotationPayload {
        nonce: &nonce.text,
        service: SERVICE,
        old_fingerprint: &sent(old).text,
        new_fingerprint: &sent(new).text,
        new_public_key_sha256: &hex::encode(Sha256::digest(certificate.as_bytes())),
        timestamp: &timestamp,
    }
    .to_text();
    let now = world.clock.now();
    RotateRequest {
        nonce,
        old: sent(old),
        new: sent(new),
        new_public_key: certificate,
        timestamp,
        rotation_signature: key(old).sign(by, &text, now),
        new_signature: key(new).sign(By::Primary, &text, now),
    }
}

pub async fn cancellation(world: &World, old: K, by: By) -> RotationCancelRequest {
    let (nonce, timestamp) = (nonce(world, old).await, world.verifier.now().to_string());
    let text = RotationCancelPayload {
        nonce: &nonce.text,
        service: SERVICE,
        old_fingerprint: &sent(old).text,
        timestamp: &timestamp,
    }
    .to_text();
    let signature = key(old).sign(by, &text, world.clock.now());
    RotationCancelRequest { nonce, old: sent(old), timestamp, signature }
}

fn link_text(nonce: &AsSent<Nonce>, primary: K, secondary: K, timestamp: &str) -> String {
    LinkPayload {
        nonce: &nonce.text,
        service: SERVICE,
        primary: &sent(primary).text,
        secondary: &sent(secondary).text,
        timestamp,
    }
    .to_text()
}

/// Both sign with their primary keys.
pub async fn link(world: &World, primary: K, secondary: K, cert: Option<Cert>) -> LinkRequest {
    let (nonce, timestamp) = (nonce(world, primary).await, world.verifier.now().to_string());
    let (text, now) = (link_text(&nonce, primary, secondary, &timestamp), world.clock.now());
    LinkRequest {
        nonce,
        primary: sent(primary),
        secondary: sent(secondary),
        timestamp,
        primary_signature: key(primary).sign(By::Primary, &text, now),
        secondary_signature: key(secondary).sign(By::Primary, &text, now),
        secondary_public_key: cert.map(|cert| key(secondary).cert(cert)),
    }
}

pub async fn unlink(world: &World, primary: K, secondary: K) -> (UnlinkRequest, UnlinkProof) {
    let (nonce, timestamp) = (nonce(world, primary).await, world.verifier.now().to_string());
    let text = link_text(&nonce, primary, secondary, &timestamp);
    let primary_signature = key(primary).sign(By::Primary, &text, world.clock.now());
    let request = UnlinkRequest { primary: sent(primary), secondary: sent(secondary), proof: None };
    (request, UnlinkProof { nonce, timestamp, primary_signature })
}
