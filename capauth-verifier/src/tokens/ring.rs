//! The ring of Ed25519 keys that sign access tokens: made at first start, sealed in the store, rotated with overlap.

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;

use crate::clock::Timestamp;
use crate::error::{AuthError, AuthErrorKind, ConfigError};
use crate::secret::{OpenError, Sealer};
use crate::stores::{KeyPurpose, StoredTokenKey, Stores, TokenStore};

/// After how many seconds a new key is made: 30 days.
const ROTATE_AFTER: u64 = 30 * 24 * 3600;
/// For how many seconds a new key is only published before it signs, so that readers have fetched it: an hour.
const PUBLISHED_FIRST: u64 = 3600;
/// For how many seconds an old key still verifies after its successor began to sign: longer than any token lives.
const KEPT_AFTER: u64 = 2 * 24 * 3600;
/// How many seconds pass at least between two looks at the store for a key that somebody names.
const RELOAD_AFTER: u64 = 5;
/// After how many seconds the published list is read anew: another node may have made a key.
const RELISTED_AFTER: u64 = 60;

const PURPOSE: KeyPurpose = KeyPurpose::Access;

/// What a sealed key is bound to: its id alone. The issuer may move to another address and keep its keys.
fn context(kid: &str) -> [&str; 2] {
    [PURPOSE.as_str(), kid]
}

pub(super) struct TokenKey {
    pub(super) kid: String,
    pair: Ed25519KeyPair,
    decoding: DecodingKey,
    public: Vec<u8>,
    created_at: Timestamp,
}

pub(super) struct KeyRing {
    store: Arc<dyn TokenStore>,
    sealer: Sealer,
    state: RwLock<State>,
}

#[derive(Clone)]
struct State {
    /// Oldest first.
    keys: Arc<[Arc<TokenKey>]>,
    loaded_at: Timestamp,
}

impl TokenKey {
    /// The signature over a token's first two parts (RFC 8037).
    pub(super) fn sign(&self, message: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()))
    }
}

impl KeyRing {
    pub(super) async fn open(stores: &Stores, now: Timestamp) -> Result<Self, ConfigError> {
        let state = RwLock::new(State { keys: Arc::new([]), loaded_at: now });
        let sealer = stores.master_key.sealer("token signing key");
        let ring = Self { store: Arc::clone(&stores.tokens), sealer, state };
        let failed = |e: AuthError| ConfigError::because("the token-signing keys cannot be read", e);
        ring.load(now).await.map_err(failed)?;
        ring.rotate_if_due(now).await.map_err(failed)?;
        Ok(ring)
    }

    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn load(&self, now: Timestamp) -> Result<(), AuthError> {
        let stored = self.store.token_keys(PURPOSE).await?;
        self.set(&stored, now)
    }

    fn set(&self, stored: &[StoredTokenKey], now: Timestamp) -> Result<(), AuthError> {
        let keys = stored.iter().map(|key| self.unseal(key).map(Arc::new)).collect::<Result<_, _>>()?;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State { keys, loaded_at: now };
        Ok(())
    }

    fn unseal(&self, stored: &StoredTokenKey) -> Result<TokenKey, AuthError> {
        let internal = |e: OpenError| AuthError::because(AuthErrorKind::Internal, e);
        let pkcs8 = self.sealer.open(&context(&stored.kid), &stored.sealed).map_err(internal)?;
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| AuthError::new(AuthErrorKind::Internal))?;
        let public = pair.public_key().as_ref().to_vec();
        Ok(TokenKey {
            kid: stored.kid.clone(),
            pair,
            decoding: DecodingKey::from_ed_der(&public),
            public,
            created_at: stored.created_at,
        })
    }

    /// The newest key that has been public long enough; the oldest when none has.
    fn active(keys: &[Arc<TokenKey>], now: Timestamp) -> Option<&Arc<TokenKey>> {
        let ripe = |key: &&Arc<TokenKey>| now.since(key.created_at) >= PUBLISHED_FIRST;
        keys.iter().rev().find(ripe).or(keys.first())
    }

    async fn rotate_if_due(&self, now: Timestamp) -> Result<(), AuthError> {
        let keys = self.state().keys;
        let newest = keys.last();
        if newest.is_some_and(|key| now.since(key.created_at) < ROTATE_AFTER) {
            return Ok(());
        }
        let made = self.generate(now)?;
        let newest = newest.map(|key| key.kid.as_str());
        let mut ring = self.store.add_token_key(PURPOSE, newest, &made).await?;
        // What was superseded long ago has no living token.
        let outdated = |pair: &[StoredTokenKey]| match pair {
            [old, next] if now.since(next.created_at) > PUBLISHED_FIRST + KEPT_AFTER => Some(old.kid.clone()),
            _ => None,
        };
        for kid in ring.windows(2).filter_map(outdated).collect::<Vec<_>>() {
            self.store.remove_token_key(PURPOSE, &kid).await?;
            ring.retain(|key| key.kid != kid);
        }
        self.set(&ring, now)
    }

    fn generate(&self, now: Timestamp) -> Result<StoredTokenKey, AuthError> {
        let internal = || AuthError::new(AuthErrorKind::Internal);
        let pair = Ed25519KeyPair::generate().map_err(|_| internal())?;
        let pkcs8: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().map_err(|_| internal())?;
        let mut id = [0; 12];
        getrandom::fill(&mut id).map_err(|_| internal())?;
        let kid = URL_SAFE_NO_PAD.encode(id);
        let sealed = self.sealer.seal(&context(&kid), pkcs8.as_ref()).map_err(|_| internal())?;
        Ok(StoredTokenKey { kid, algorithm: "EdDSA".to_owned(), sealed, created_at: now })
    }

    /// The key that signs now. Makes a new one when it is time.
    pub(super) async fn signing_key(&self, now: Timestamp) -> Result<Arc<TokenKey>, AuthError> {
        if self.state().keys.last().is_none_or(|key| now.since(key.created_at) >= ROTATE_AFTER) {
            Box::pin(self.rotate_if_due(now)).await?;
        }
        Self::active(&self.state().keys, now).cloned().ok_or(AuthError::new(AuthErrorKind::Internal))
    }

    /// The key with this id. One that is unknown may be another node's newest: the store is asked, now and then.
    pub(super) async fn verifying_key(&self, kid: &str, now: Timestamp) -> Result<DecodingKey, AuthError> {
        let find =
            |state: &State| state.keys.iter().find(|key| key.kid == kid).map(|key| key.decoding.clone());
        let state = self.state();
        if let Some(key) = find(&state) {
            return Ok(key);
        }
        if now.since(state.loaded_at) >= RELOAD_AFTER {
            self.load(now).await?;
        }
        find(&self.state()).ok_or(AuthError::new(AuthErrorKind::InvalidToken))
    }

    pub(super) async fn jwks(&self, now: Timestamp) -> Result<String, AuthError> {
        if now.since(self.state().loaded_at) >= RELISTED_AFTER {
            self.load(now).await?;
        }
        let key = |key: &Arc<TokenKey>| {
            serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid,
                "x": URL_SAFE_NO_PAD.encode(&key.public),
            })
        };
        let keys: Vec<_> = self.state().keys.iter().map(key).collect();
        Ok(serde_json::json!({ "keys": keys }).to_string())
    }
}
