//! What clients send, checked as it is read.
//!
//! Unknown members are ignored, `null` counts as absent. Every text is held against its length first and its
//! characters second, and a refusal names the member without repeating what was in it.

mod life;
mod members;
mod qr;

use std::collections::BTreeSet;
use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

pub use life::{
    AsSent, CodeRequest, EmailRequest, EnrollRequest, LinkRequest, RefreshRequest, RotateRequest,
    RotationCancelRequest, UnlinkProof, UnlinkRequest, UserNameRequest, is_user_name,
};
pub(crate) use members::has_control_characters;
use members::{Members, Text};
pub use qr::{QrChallengeRequest, QrDecision, QrVerifyRequest};

use crate::limits::{
    MAX_CLAIMS_JSON, MAX_CLIENT_NONCE, MAX_ENROLLMENT_CODE, MAX_FINGERPRINT_TEXT, MAX_GROUP_NAME, MAX_GROUPS,
    MAX_JTI, MAX_NONCE_TEXT, MAX_ORIGIN, MAX_PUBLIC_KEY_TEXT, MAX_REDIRECT, MAX_SERVICE, MAX_SIGNATURE,
};
#[cfg(feature = "openapi")]
use crate::openapi as wire;
use crate::{ErrorCode, Fingerprint, Json, Nonce, Refusal, VERSION};

/// The body of `POST /challenge`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChallengeRequest {
    /// Who wants to log in.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::FingerprintText))]
    pub fingerprint: Fingerprint,
    /// The client's own nonce, in base64. Whether it may be absent is for the endpoint to decide.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::ClientNonce>))]
    pub client_nonce: Option<String>,
    /// The service that the login is for; empty when absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::ServiceName>))]
    pub requested_service: String,
    /// The page's origin, which asks for a payload of version 2. Empty counts as absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::OriginText>))]
    pub origin: Option<String>,
}

impl ChallengeRequest {
    /// A request for a challenge of version 1 for the server's own service.
    pub fn new(fingerprint: Fingerprint) -> Self {
        Self { fingerprint, client_nonce: None, requested_service: String::new(), origin: None }
    }

    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`], [`ErrorCode::UnsupportedVersion`],
    /// [`ErrorCode::InvalidFingerprint`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        let (fingerprint, _) = fingerprint(&mut members)?;
        Ok(Self {
            fingerprint,
            client_nonce: client_nonce(&mut members)?,
            requested_service: members
                .text("requested_service", MAX_SERVICE, Text::Line)?
                .unwrap_or_default(),
            origin: members.filled("origin", MAX_ORIGIN, Text::Line)?,
        })
    }
}

impl Serialize for ChallengeRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("capauth_version", VERSION)?;
        map.serialize_entry("fingerprint", &self.fingerprint)?;
        entry(&mut map, "client_nonce", self.client_nonce.as_deref())?;
        entry(&mut map, "requested_service", Some(&self.requested_service))?;
        entry(&mut map, "origin", self.origin.as_deref())?;
        map.end()
    }
}

/// The body of `POST /verify`.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VerifyRequest {
    /// Who logs in.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::FingerprintText))]
    pub fingerprint: Fingerprint,
    /// The fingerprint in the client's spelling, which is what stands in the payload of the claims.
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub fingerprint_as_sent: String,
    /// Which challenge is answered.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::NonceText))]
    pub nonce: Nonce,
    /// The nonce in the client's spelling.
    #[cfg_attr(feature = "openapi", schema(ignore))]
    pub nonce_as_sent: String,
    /// The armored signature over the payload of the challenge.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::SignatureText))]
    pub nonce_signature: String,
    /// What the person asserts. An empty object counts as absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::ClaimsObject>))]
    pub claims: Option<Json>,
    /// The armored signature over the claims; empty when absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::OptionalSignatureText>))]
    pub claims_signature: String,
    /// The armored certificate, to enrol it or to bring it up to date. Empty counts as absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::OptionalCertificateText>))]
    pub public_key: Option<String>,
    /// What lets a new key enrol. Empty counts as absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::EnrollmentCodeText>))]
    pub enrollment_code: Option<String>,
    /// Whether a refresh token is asked for; false when absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<bool>))]
    pub refresh: bool,
    /// The path to return to. Empty counts as absent, and it is not yet checked to be a path.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::RedirectText>))]
    pub redirect: Option<String>,
}

impl VerifyRequest {
    /// An answer to a challenge, without claims and for a key that is enrolled.
    pub fn new(fingerprint: Fingerprint, nonce: Nonce, nonce_signature: impl Into<String>) -> Self {
        Self {
            fingerprint,
            fingerprint_as_sent: fingerprint.to_string(),
            nonce,
            nonce_as_sent: nonce.to_string(),
            nonce_signature: nonce_signature.into(),
            claims: None,
            claims_signature: String::new(),
            public_key: None,
            enrollment_code: None,
            refresh: false,
            redirect: None,
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`], [`ErrorCode::UnsupportedVersion`],
    /// [`ErrorCode::InvalidFingerprint`], [`ErrorCode::InvalidNonce`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        Self::read(&mut Members::parse(body)?)
    }

    fn read(members: &mut Members) -> Result<Self, Refusal> {
        members.version()?;
        let (fingerprint, fingerprint_as_sent) = fingerprint(members)?;
        let nonce_as_sent = members.required("nonce", MAX_NONCE_TEXT, Text::Line)?;
        let nonce = nonce_as_sent.parse().map_err(|_| {
            Refusal::new(ErrorCode::InvalidNonce, "ask for a new challenge and sign that one")
        })?;
        Ok(Self {
            fingerprint,
            fingerprint_as_sent,
            nonce,
            nonce_as_sent,
            nonce_signature: members.required("nonce_signature", MAX_SIGNATURE, Text::Armor)?,
            claims: claims(members)?,
            claims_signature: members
                .text("claims_signature", MAX_SIGNATURE, Text::Armor)?
                .unwrap_or_default(),
            public_key: members.filled("public_key", MAX_PUBLIC_KEY_TEXT, Text::Armor)?,
            enrollment_code: members.filled("enrollment_code", MAX_ENROLLMENT_CODE, Text::Line)?,
            refresh: members.flag("refresh")?,
            redirect: members.filled("redirect", MAX_REDIRECT, Text::Line)?,
        })
    }
}

/// Claims, keys and codes stay out of logs.
impl fmt::Debug for VerifyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyRequest")
            .field("fingerprint", &self.fingerprint)
            .field("nonce", &self.nonce)
            .finish_non_exhaustive()
    }
}

impl VerifyRequest {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("capauth_version", VERSION)?;
        map.serialize_entry("fingerprint", &self.fingerprint_as_sent)?;
        map.serialize_entry("nonce", &self.nonce_as_sent)?;
        map.serialize_entry("nonce_signature", &self.nonce_signature)?;
        if let Some(claims) = &self.claims {
            map.serialize_entry("claims", claims)?;
        }
        entry(map, "claims_signature", Some(&self.claims_signature))?;
        entry(map, "public_key", self.public_key.as_deref())?;
        entry(map, "enrollment_code", self.enrollment_code.as_deref())?;
        if self.refresh {
            map.serialize_entry("refresh", &true)?;
        }
        entry(map, "redirect", self.redirect.as_deref())
    }
}

impl Serialize for VerifyRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.entries(&mut map)?;
        map.end()
    }
}

/// A body that names a key, such as those of an administrator's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FingerprintRequest {
    /// The key.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::FingerprintText))]
    pub fingerprint: Fingerprint,
}

impl FingerprintRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`], [`ErrorCode::InvalidFingerprint`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        fingerprint(&mut members).map(|(fingerprint, _)| Self { fingerprint })
    }
}

/// The body of `POST /revoke`: ends one token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RevokeRequest {
    /// The token's `jti`.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::Jti))]
    pub jti: String,
    /// When the token, or a session that was made of it, ends by itself, in seconds since 1970. Absent: as late as
    /// any that the server makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

impl RevokeRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        let jti = members.required("jti", MAX_JTI, Text::Line)?;
        Ok(Self { jti, expires: members.number("expires")? })
    }
}

/// The body of `PUT /keys/{fingerprint}/groups`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GroupsRequest {
    /// All groups that the key is to have, in the order sent, none twice; it may be empty.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::GroupNames))]
    pub groups: Vec<String>,
}

impl GroupsRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        let Some(Json::Array(names)) = members.take("groups") else {
            return Err(invalid("`groups` is missing or not a list"));
        };
        Ok(Self { groups: group_names(&names)? })
    }
}

/// The names of groups in a list, none twice.
fn group_names(names: &[Json]) -> Result<Vec<String>, Refusal> {
    if names.len() > MAX_GROUPS {
        return Err(invalid(format!("`groups` has more than {MAX_GROUPS} names")));
    }
    let distinct: BTreeSet<_> = names.iter().filter_map(Json::as_str).collect();
    if distinct.len() != names.len() {
        return Err(invalid("`groups` holds something other than text, or a name twice"));
    }
    if !names.iter().filter_map(Json::as_str).all(is_group_name) {
        return Err(invalid(format!(
            "`groups`: a name has 1 to {MAX_GROUP_NAME} letters, digits and characters of . _ : @ / -"
        )));
    }
    Ok(names.iter().filter_map(Json::as_str).map(String::from).collect())
}

fn is_group_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@/-".contains(&byte);
    (1..=MAX_GROUP_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

fn invalid(description: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(ErrorCode::InvalidRequest, description)
}

/// Writes a text unless it is absent or empty, which mean the same.
fn entry<M: SerializeMap>(map: &mut M, name: &'static str, text: Option<&str>) -> Result<(), M::Error> {
    match text {
        Some(text) if !text.is_empty() => map.serialize_entry(name, text),
        _ => Ok(()),
    }
}

/// The fingerprint, and how it was spelled.
fn fingerprint(members: &mut Members) -> Result<(Fingerprint, String), Refusal> {
    fingerprint_named(members, "fingerprint")
}

fn fingerprint_named(members: &mut Members, name: &str) -> Result<(Fingerprint, String), Refusal> {
    let text = members.required(name, MAX_FINGERPRINT_TEXT, Text::Line)?;
    let fingerprint = text.parse().map_err(|_| {
        Refusal::new(ErrorCode::InvalidFingerprint, "a fingerprint has 40 or 64 hexadecimal digits")
    })?;
    Ok((fingerprint, text))
}

fn client_nonce(members: &mut Members) -> Result<Option<String>, Refusal> {
    let nonce = members.text("client_nonce", MAX_CLIENT_NONCE, Text::Line)?;
    match nonce {
        Some(text) if !is_base64(&text) => Err(invalid("`client_nonce` is not base64")),
        nonce => Ok(nonce),
    }
}

/// Base64 in the standard or in the URL alphabet, with or without padding, not empty.
fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let of = |more: &[u8]| digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte));
    let whole = match text.len() - digits.len() {
        0 => digits.len() % 4 != 1,
        1 | 2 => text.len().is_multiple_of(4),
        _ => false,
    };
    !digits.is_empty() && whole && (of(b"+/") || of(b"-_"))
}

fn claims(members: &mut Members) -> Result<Option<Json>, Refusal> {
    match members.take("claims") {
        None => Ok(None),
        Some(Json::Object(object)) if object.is_empty() => Ok(None),
        Some(claims @ Json::Object(_)) => {
            if claims.to_canonical().len() > MAX_CLAIMS_JSON {
                return Err(invalid(format!("`claims` is longer than {MAX_CLAIMS_JSON} bytes")));
            }
            members::check_claims(&claims)?;
            Ok(Some(claims))
        }
        Some(_) => Err(invalid("`claims` is not an object")),
    }
}

#[cfg(test)]
mod tests;
