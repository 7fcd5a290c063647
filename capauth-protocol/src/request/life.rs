//! What is asked about keys after they enrolled: rotation, linking, and what administrators do.

use serde::Serialize;

use super::members::{Members, Text};
use super::{fingerprint_named, group_names, invalid};
use crate::limits::{
    MAX_CODE_SECONDS, MAX_EMAIL, MAX_NONCE_TEXT, MAX_PUBLIC_KEY_TEXT, MAX_REFRESH_TOKEN, MAX_SIGNATURE,
    MAX_TIME, MAX_USER_NAME,
};
#[cfg(feature = "openapi")]
use crate::openapi as wire;
use crate::{ErrorCode, Fingerprint, Json, Nonce, Refusal};

/// A value, and how the client spelled it: what is signed has the client's spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsSent<T> {
    /// What it means.
    pub value: T,
    /// How it was spelled.
    pub text: String,
}

fn named(members: &mut Members, name: &'static str) -> Result<AsSent<Fingerprint>, Refusal> {
    fingerprint_named(members, name).map(|(value, text)| AsSent { value, text })
}

fn nonce(members: &mut Members) -> Result<AsSent<Nonce>, Refusal> {
    let text = members.required("nonce", MAX_NONCE_TEXT, Text::Line)?;
    let value = text.parse().map_err(|_| {
        Refusal::new(ErrorCode::InvalidNonce, "ask for a new challenge and sign what it is for")
    })?;
    Ok(AsSent { value, text })
}

/// The body of `POST /rotate`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotateRequest {
    /// Of a challenge for the old key.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::NonceText))]
    pub nonce: AsSent<Nonce>,
    /// The key that goes.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::FingerprintText, rename = "old_fingerprint"))]
    pub old: AsSent<Fingerprint>,
    /// The key that comes.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::FingerprintText, rename = "new_fingerprint"))]
    pub new: AsSent<Fingerprint>,
    /// Its armored certificate, exactly as sent: its hash is signed.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::CertificateText))]
    pub new_public_key: String,
    /// When both signed.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::SignedTime))]
    pub timestamp: String,
    /// The old key's armored signature.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::SignatureText))]
    pub rotation_signature: String,
    /// The new key's, over the same text.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::SignatureText))]
    pub new_signature: String,
}

impl RotateRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`], [`ErrorCode::UnsupportedVersion`],
    /// [`ErrorCode::InvalidFingerprint`], [`ErrorCode::InvalidNonce`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        Ok(Self {
            nonce: nonce(&mut members)?,
            old: named(&mut members, "old_fingerprint")?,
            new: named(&mut members, "new_fingerprint")?,
            new_public_key: members.required("new_public_key", MAX_PUBLIC_KEY_TEXT, Text::Armor)?,
            timestamp: members.required("timestamp", MAX_TIME, Text::Line)?,
            rotation_signature: members.required("rotation_signature", MAX_SIGNATURE, Text::Armor)?,
            new_signature: members.required("new_signature", MAX_SIGNATURE, Text::Armor)?,
        })
    }
}

/// The body of `POST /rotate/cancel`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RotationCancelRequest {
    /// Of a challenge for the old key.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::NonceText))]
    pub nonce: AsSent<Nonce>,
    /// The key that is to stay.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::FingerprintText, rename = "old_fingerprint"))]
    pub old: AsSent<Fingerprint>,
    /// When it was signed.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::SignedTime))]
    pub timestamp: String,
    /// Its armored signature, made by its primary key.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::SignatureText))]
    pub signature: String,
}

impl RotationCancelRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// As [`RotateRequest::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        Ok(Self {
            nonce: nonce(&mut members)?,
            old: named(&mut members, "old_fingerprint")?,
            timestamp: members.required("timestamp", MAX_TIME, Text::Line)?,
            signature: members.required("signature", MAX_SIGNATURE, Text::Armor)?,
        })
    }
}

/// The body of `POST /link`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LinkRequest {
    /// Of a challenge for the primary key.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::NonceText))]
    pub nonce: AsSent<Nonce>,
    /// The key whose identity it is.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::FingerprintText, rename = "primary_fingerprint"))]
    pub primary: AsSent<Fingerprint>,
    /// The key that joins it.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::FingerprintText, rename = "secondary_fingerprint"))]
    pub secondary: AsSent<Fingerprint>,
    /// When both signed.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::SignedTime))]
    pub timestamp: String,
    /// The primary key's armored signature.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::SignatureText))]
    pub primary_signature: String,
    /// The other key's, over the same text.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::SignatureText))]
    pub secondary_signature: String,
    /// The other key's armored certificate. Empty counts as absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::OptionalCertificateText>))]
    pub secondary_public_key: Option<String>,
}

impl LinkRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// As [`RotateRequest::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        Ok(Self {
            nonce: nonce(&mut members)?,
            primary: named(&mut members, "primary_fingerprint")?,
            secondary: named(&mut members, "secondary_fingerprint")?,
            timestamp: members.required("timestamp", MAX_TIME, Text::Line)?,
            primary_signature: members.required("primary_signature", MAX_SIGNATURE, Text::Armor)?,
            secondary_signature: members.required("secondary_signature", MAX_SIGNATURE, Text::Armor)?,
            secondary_public_key: members.filled("secondary_public_key", MAX_PUBLIC_KEY_TEXT, Text::Armor)?,
        })
    }
}

/// The body of `POST /unlink`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlinkRequest {
    /// The key whose identity it is.
    pub primary: AsSent<Fingerprint>,
    /// The key that leaves it.
    pub secondary: AsSent<Fingerprint>,
    /// What shows that the primary key wants it; an administrator needs none.
    pub proof: Option<UnlinkProof>,
}

/// What shows that the primary key wants a link undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlinkProof {
    /// Of a challenge for the primary key.
    pub nonce: AsSent<Nonce>,
    /// When it signed.
    pub timestamp: String,
    /// Its armored signature.
    pub primary_signature: String,
}

impl UnlinkRequest {
    /// Reads a body. Where there is no `primary_signature` there is no proof.
    ///
    /// # Errors
    ///
    /// As [`RotateRequest::parse`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        let primary = named(&mut members, "primary_fingerprint")?;
        let secondary = named(&mut members, "secondary_fingerprint")?;
        let proof = match members.filled("primary_signature", MAX_SIGNATURE, Text::Armor)? {
            None => None,
            Some(primary_signature) => Some(UnlinkProof {
                nonce: nonce(&mut members)?,
                timestamp: members.required("timestamp", MAX_TIME, Text::Line)?,
                primary_signature,
            }),
        };
        Ok(Self { primary, secondary, proof })
    }
}

/// The body of `PUT /keys/{fingerprint}/name`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserNameRequest {
    /// The account name; null takes it away.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::UserName>, required = true))]
    pub user_name: Option<String>,
}

impl UserNameRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        if !members.has("user_name") {
            return Err(invalid("`user_name` is missing; null takes it away"));
        }
        let user_name = members.text("user_name", MAX_USER_NAME, Text::Line)?;
        if user_name.as_deref().is_some_and(|name| !is_user_name(name)) {
            return Err(invalid(format!(
                "`user_name`: a name has 1 to {MAX_USER_NAME} small letters, digits and characters of . _ - and begins \
                 with a letter or digit"
            )));
        }
        Ok(Self { user_name })
    }
}

/// Whether a text may be an account name: small letters, digits and `.`, `_`, `-`, of which the first is a letter or
/// digit, so that no program takes it for a path or an option.
pub fn is_user_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=MAX_USER_NAME).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || b"._-".contains(&byte))
        && name.bytes().next().is_some_and(plain)
}

/// The body of `PUT` and `DELETE /keys/{fingerprint}/email`.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EmailRequest {
    /// The address that an administrator vouches for, or no longer does.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::EmailText))]
    pub email: String,
}

impl EmailRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        Ok(Self { email: members.required("email", MAX_EMAIL, Text::Line)? })
    }
}

/// The address stays out of logs.
impl std::fmt::Debug for EmailRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EmailRequest(…)")
    }
}

/// The body of `POST /enrollment-codes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CodeRequest {
    /// The groups granted to whoever uses the code; none when absent.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::GroupNames>))]
    pub groups: Vec<String>,
    /// Seconds for which it can be used; a week when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<wire::CodeSeconds>))]
    pub expires_in: Option<u64>,
}

impl CodeRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        let groups = match members.take("groups") {
            None => Vec::new(),
            Some(Json::Array(names)) => group_names(&names)?,
            Some(_) => return Err(invalid("`groups` is not a list")),
        };
        let expires_in = members.number("expires_in")?;
        if expires_in.is_some_and(|seconds| !(1..=MAX_CODE_SECONDS).contains(&seconds)) {
            return Err(invalid(format!("`expires_in` is a number from 1 to {MAX_CODE_SECONDS}")));
        }
        Ok(Self { groups, expires_in })
    }
}

/// The body of `POST /keys/enroll`: an administrator lets a key in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrollRequest {
    /// The armored certificate.
    #[cfg_attr(feature = "openapi", schema(value_type = wire::CertificateText))]
    pub public_key: String,
}

impl EnrollRequest {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        Ok(Self { public_key: members.required("public_key", MAX_PUBLIC_KEY_TEXT, Text::Armor)? })
    }
}

/// The body of `POST /token`, in JSON.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct RefreshRequest {
    /// The refresh token.
    pub refresh_token: String,
}

impl RefreshRequest {
    /// The one grant there is.
    pub const GRANT: &'static str = "refresh_token";

    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::PayloadTooLarge`], [`ErrorCode::InvalidRequest`].
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let mut members = Members::parse(body)?;
        members.version()?;
        let grant = members.required("grant_type", MAX_TIME, Text::Line)?;
        let refresh_token = members.required(Self::GRANT, MAX_REFRESH_TOKEN, Text::Line)?;
        Self::of(&grant, refresh_token)
    }

    /// From the two parameters, however they came.
    ///
    /// # Errors
    ///
    /// [`ErrorCode::InvalidRequest`].
    pub fn of(grant_type: &str, refresh_token: String) -> Result<Self, Refusal> {
        if grant_type != Self::GRANT {
            return Err(invalid("`grant_type` is not `refresh_token`"));
        }
        let fits = (1..=MAX_REFRESH_TOKEN).contains(&refresh_token.len())
            && refresh_token.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self { refresh_token }) } else { Err(invalid("`refresh_token` is none")) }
    }
}

/// The token stays out of logs.
impl std::fmt::Debug for RefreshRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RefreshRequest(…)")
    }
}
