//! What is answered that nobody but the endpoints makes. Everything else is in [`capauth_protocol::response`].

use capauth_protocol::response::QrStatusResponse;
use capauth_protocol::{Fingerprint, OidcClaims};
use serde::Serialize;

/// The answer to `POST /keys/approve`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Approved {
    /// True.
    pub(crate) approved: bool,
    /// The key.
    pub(crate) fingerprint: Fingerprint,
}

/// The answer to `POST /keys/revoke`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Revoked {
    /// True.
    pub(crate) revoked: bool,
    /// The key.
    pub(crate) fingerprint: Fingerprint,
}

/// The answer to `POST /keys/erase`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Erased {
    /// True.
    pub(crate) erased: bool,
    /// The key.
    pub(crate) fingerprint: Fingerprint,
}

/// The answer to `PUT /keys/{fingerprint}/groups`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Granted {
    /// The key.
    pub(crate) fingerprint: Fingerprint,
    /// Every group that the key's identity is in now.
    pub(crate) groups: Vec<String>,
}

/// The answer to `PUT /keys/{fingerprint}/name`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Named {
    /// The key.
    pub(crate) fingerprint: Fingerprint,
    /// The name that its identity has now.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    pub(crate) user_name: Option<String>,
}

/// The answer to `PUT` and `DELETE /keys/{fingerprint}/email`. It does not repeat the address.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Vouched {
    /// The key.
    pub(crate) fingerprint: Fingerprint,
    /// Whether an administrator vouches for the address now.
    pub(crate) confirmed: bool,
}

/// The answer to `DELETE /keys/{fingerprint}/rotation`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct RotationCancelled {
    /// True.
    pub(crate) cancelled: bool,
    /// The key that stays.
    pub(crate) fingerprint: Fingerprint,
}

/// The answer to `DELETE /keys/{fingerprint}/sessions`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SessionsEnded {
    /// True.
    pub(crate) ended: bool,
    /// The key.
    pub(crate) fingerprint: Fingerprint,
}

/// The answer to `POST /keys/enroll`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Enrolled {
    /// True.
    pub(crate) enrolled: bool,
    /// The key.
    pub(crate) fingerprint: Fingerprint,
}

/// The answer to `POST /rotate/cancel`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Cancelled {
    /// True.
    pub(crate) cancelled: bool,
}

/// The answer to `DELETE /sessions` and `DELETE /sessions/{id}`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Ended {
    /// True.
    pub(crate) ended: bool,
}

/// The answer to `POST /revoke`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct TokenRevoked {
    /// True.
    pub(crate) revoked: bool,
}

/// The answer to a logout.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SignedOut {
    /// True.
    pub(crate) ok: bool,
}

/// The answer to `POST /auth/capauth/verify`: the session is in the cookie beside it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SignedIn<'a> {
    /// True.
    pub(crate) ok: bool,
    /// Where to go now: a path of this site.
    pub(crate) redirect: &'a str,
}

/// The answer to `GET /auth/capauth/qr-status/{nonce}` that hands out the session: it is in the cookie beside it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct SignedInByQr<'a> {
    /// True.
    pub(crate) ok: bool,
    /// Where to go now: a path of this site.
    pub(crate) redirect: &'a str,
    /// Where the login stands.
    #[serde(flatten)]
    pub(crate) status: QrStatusResponse,
}

/// The answer to `GET /health`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Health {
    /// `ok`, or `unavailable` when a store is gone.
    pub(crate) status: &'static str,
}

/// Claims, and whom the token was made for: a reader of another service's token sees that it is one.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TokenClaims))]
pub(crate) struct Told<'a> {
    /// What an application reads about the person.
    #[serde(flatten)]
    pub(crate) claims: &'a OidcClaims,
    /// The service that the token was made for.
    pub(crate) aud: &'a str,
    /// The server that made it.
    pub(crate) iss: &'a str,
    /// When the person signed, in seconds since 1970.
    pub(crate) iat: u64,
    /// When it ends, in seconds since 1970.
    pub(crate) exp: u64,
    /// By which its holder can end it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub(crate) jti: Option<&'a str>,
}

/// What is said of a token in the query that is good.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ActiveToken))]
pub(crate) struct Active<'a> {
    /// True.
    pub(crate) active: bool,
    /// The identity.
    pub(crate) sub: &'a str,
    /// The server that made the token.
    pub(crate) iss: &'a str,
    /// The service that it was made for.
    pub(crate) aud: &'a str,
    /// When the person signed, in seconds since 1970.
    pub(crate) iat: u64,
    /// When it ends, in seconds since 1970.
    pub(crate) exp: u64,
    /// How the person signed in: `["pgp"]`.
    pub(crate) amr: &'a [String],
    /// The key that signed.
    #[cfg_attr(feature = "openapi", schema(value_type = Fingerprint))]
    pub(crate) capauth_fingerprint: String,
}

/// What is said of a token in the query that is not good, or no longer.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = InactiveToken))]
pub(crate) struct Inactive {
    /// False.
    pub(crate) active: bool,
}

/// The form of the login page. Each page of it has some of these.
#[cfg(feature = "openapi")]
#[derive(Debug, utoipa::ToSchema)]
#[allow(dead_code, reason = "it is described here, and read field by field")]
pub(crate) struct LoginForm {
    /// Shows that this browser was given the form: a hidden field of the page.
    #[schema(max_length = 16384)]
    pub(crate) token: String,
    /// What was to be signed, sealed: a hidden field of the second page.
    #[schema(max_length = 16384, nullable = false)]
    pub(crate) state: Option<String>,
    /// Whose key will sign.
    #[schema(nullable = false)]
    pub(crate) fingerprint: Option<String>,
    /// The armoured certificate, for a key that is new here or was renewed.
    #[schema(nullable = false)]
    pub(crate) public_key: Option<String>,
    /// A one-time code that lets a new key in.
    #[schema(nullable = false)]
    pub(crate) enrollment_code: Option<String>,
    /// The armoured signature over what the second page shows.
    #[schema(nullable = false)]
    pub(crate) signature: Option<String>,
    /// `back`: to the first page, with everything that was typed.
    #[schema(nullable = false)]
    pub(crate) step: Option<String>,
}
