//! From what a person asserts to what applications read.

use capauth_protocol::json::Object;
use capauth_protocol::{Fingerprint, Json, OidcClaims, Scalar};

use crate::error::{AuthError, AuthErrorKind};

/// The most that all mapped claims may take, in bytes: a session cookie holds 4 KiB in all.
const MAX_MAPPED: usize = 2 * 1024;
/// The most `capauth_…` claims, and the most bytes of one of them.
const MAX_EXTRA: usize = 16;
const MAX_EXTRA_BYTES: usize = 256;

/// `capauth_…` names that the server emits, or that an application could read as authority.
const RESERVED: [&str; 16] = [
    "capauth_fingerprint",
    "capauth_service",
    "capauth_version",
    "capauth_sub",
    "capauth_primary",
    "capauth_groups",
    "capauth_roles",
    "capauth_admin",
    "capauth_approved",
    "capauth_verified",
    "capauth_generation",
    "capauth_epoch",
    "capauth_origin",
    "capauth_shared_groups",
    "capauth_session_until",
    "capauth_qr",
];

/// The claims that [`map`] knows, in the names that clients assert.
pub(crate) const SUPPORTED: [&str; 8] =
    ["name", "email", "avatar_url", "groups", "locale", "zoneinfo", "agent_type", "soul_blueprint"];

/// Claims in applications' names, and the groups that the person is willing to share.
#[derive(Debug)]
pub(crate) struct Mapped {
    pub(crate) claims: OidcClaims,
    /// `None`: all that are granted.
    pub(crate) shared_groups: Option<Vec<String>>,
}

/// Maps asserted claims. What is unknown, of a wrong type or reserved is dropped: nothing a client asserts sets
/// `sub`, `iss`, `exp`, `amr`, `email_verified`, `capauth_fingerprint` or any other registered claim.
///
/// # Errors
/// [`AuthErrorKind::InvalidRequest`] when all of it is more than a session can carry.
pub(crate) fn map(
    asserted: Option<&Json>,
    sub: Fingerprint,
    fingerprint: Fingerprint,
) -> Result<Mapped, AuthError> {
    let mut claims = OidcClaims::new(sub.to_string(), fingerprint);
    claims.preferred_username = Some(format!("capauth-{}", fingerprint.prefix(8)));
    let Some(asserted) = asserted.and_then(Json::as_object) else {
        return Ok(Mapped { claims, shared_groups: None });
    };
    let text =
        |name: &str| asserted.get(name).and_then(Json::as_str).filter(|s| !s.is_empty()).map(str::to_owned);
    if let Some(name) = text("name") {
        claims.name = Some(name.clone());
        claims.preferred_username = Some(name);
    }
    if let Some(email) = text("email") {
        claims.email = Some(email);
        claims.email_verified = Some(false);
    }
    claims.picture = text("avatar_url").filter(|url| is_web_address(url));
    claims.locale = text("locale");
    claims.zoneinfo = text("zoneinfo");
    claims.agent_type = text("agent_type");
    claims.soul_blueprint_category = soul_blueprint(asserted);
    let shared_groups = groups(asserted);
    extra(asserted, &mut claims);
    let shared_bytes: usize = shared_groups.iter().flatten().map(|group| group.len() + 3).sum();
    let bytes = serde_json::to_vec(&claims).map_or(usize::MAX, |json| json.len());
    if bytes.saturating_add(shared_bytes) > MAX_MAPPED {
        return Err(AuthError::with_words(
            AuthErrorKind::InvalidRequest,
            "The claims are too long: share less than 2 KiB of them.",
        ));
    }
    Ok(Mapped { claims, shared_groups })
}

/// Takes reserved names out of claims that were read back from a token, where the server's own stand beside them.
pub(crate) fn drop_reserved(claims: &mut OidcClaims) {
    claims.extra.retain(|name, _| !RESERVED.contains(&name.as_str()));
}

fn is_web_address(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("https" | "http")) && !url.contains(char::is_whitespace)
}

fn groups(asserted: &Object) -> Option<Vec<String>> {
    match asserted.get("groups")? {
        Json::String(group) => Some(vec![group.clone()]),
        Json::Array(list) => Some(list.iter().filter_map(Json::as_str).map(str::to_owned).collect()),
        // Not a wish that can be understood: sharing nothing is the safe reading.
        _ => Some(Vec::new()),
    }
}

fn soul_blueprint(asserted: &Object) -> Option<String> {
    let value = asserted.get("soul_blueprint")?;
    let category = || value.as_object().and_then(|object| object.get("category")).and_then(Json::as_str);
    value.as_str().or_else(category).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn extra(asserted: &Object, claims: &mut OidcClaims) {
    for (name, value) in asserted.iter() {
        let allowed = name.starts_with("capauth_")
            && name.len() <= MAX_EXTRA_BYTES
            && !RESERVED.contains(&name.to_ascii_lowercase().as_str());
        if !allowed || claims.extra.len() >= MAX_EXTRA {
            continue;
        }
        if value.as_str().is_some_and(|text| text.len() > MAX_EXTRA_BYTES) {
            continue;
        }
        if let Some(scalar) = Scalar::from_json(value) {
            claims.extra.insert(name.to_owned(), scalar);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(json: &str) -> Mapped {
        let fingerprint = "8A3FC2D1E4B5A09F6B7C8D0E1F2A3B4C5D6E7F80".parse().unwrap();
        map(Some(&Json::parse(json.as_bytes()).unwrap()), fingerprint, fingerprint).unwrap()
    }

    #[test]
    fn known_claims_are_mapped() {
        let Mapped { claims, shared_groups } = mapped(
            r#"{"name":"Alice","email":"a@example.org","avatar_url":"https://x/y.png","groups":["a","b"],
                "locale":"de","zoneinfo":"Europe/Berlin","agent_type":"ai","soul_blueprint":{"category":"sage"},
                "capauth_team":"blue"}"#,
        );
        assert_eq!(claims.name.as_deref(), Some("Alice"));
        assert_eq!(claims.preferred_username.as_deref(), Some("Alice"));
        assert_eq!((claims.email.as_deref(), claims.email_verified), (Some("a@example.org"), Some(false)));
        assert_eq!(claims.picture.as_deref(), Some("https://x/y.png"));
        assert_eq!(claims.soul_blueprint_category.as_deref(), Some("sage"));
        assert_eq!(claims.extra.get("capauth_team"), Some(&Scalar::from("blue")));
        assert_eq!(shared_groups, Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn without_a_name_the_fingerprint_gives_one() {
        let Mapped { claims, shared_groups } = mapped("{}");
        assert_eq!(claims.preferred_username.as_deref(), Some("capauth-8A3FC2D1"));
        assert_eq!((claims.name, shared_groups), (None, None));
    }

    #[test]
    fn registered_and_reserved_claims_cannot_be_asserted() {
        let evil = r#"{"sub":"X","iss":"X","exp":9,"amr":["x"],"email_verified":true,"aud":"x","jti":"x","nonce":"x",
            "capauth_fingerprint":"X","capauth_admin":true,"CAPAUTH_ADMIN":true,"capauth_Admin":true,
            "preferred_username":"admin","nickname":"admin","username":"admin","picture":"https://x"}"#;
        let Mapped { claims, .. } = mapped(evil);
        let same = mapped("{}").claims;
        assert_eq!(claims, same);
    }

    #[test]
    fn a_picture_is_a_web_address_and_nothing_else() {
        for url in [
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "//evil/x.png",
            "file:///etc/passwd",
            "HTTPS ://x",
        ] {
            assert_eq!(mapped(&format!(r#"{{"avatar_url":"{url}"}}"#)).claims.picture, None, "{url}");
        }
        assert!(mapped(r#"{"avatar_url":"HTTPS://example.org/a.png"}"#).claims.picture.is_some());
    }
}
