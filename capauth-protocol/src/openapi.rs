//! Schemas of what is on the wire, for an OpenAPI description.
//!
//! Answers and requests are described by deriving. Here stands what no type says: the forms that the members of a
//! request must have, each with its limit from [`limits`], and types that have another shape on the wire than here.

mod qr;

use std::borrow::Cow;

use serde_json::json;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

pub use self::qr::{QrConfirm, QrDecisionBody, QrDecline};
use crate::request::RefreshRequest;
use crate::{ErrorCode, Fingerprint, Scalar, limits};

/// The member that every body may have, and that no type holds.
pub const VERSION_MEMBER: &str = "capauth_version";

/// No control character: the text becomes a line of a payload, or might.
const LINE: &str = r"^[^\u0000-\u001F\u007F-\u009F]*$";
/// None but CR, LF and TAB.
const ARMOR: &str = r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";
/// 40 or 64 digits, with spaces and a leading `0x`.
const FINGERPRINT: &str = "^ *(0[xX])?( *[0-9A-Fa-f]){40}(( *[0-9A-Fa-f]){24})? *$";
const NONCE: &str = "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-4[0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}$";
/// Either alphabet, with or without padding.
const BASE64: &str = "^(([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=?|[A-Za-z0-9+/]{2}(==)?)|\
                      ([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{4}|[A-Za-z0-9_-]{3}=?|[A-Za-z0-9_-]{2}(==)?))$";
const TIME: &str = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z$";
const EMAIL: &str =
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[^\u0000-\u0020\u007F-\u009F@]+$";
const USER_NAME: &str = "^[a-z0-9][a-z0-9._-]*$";
const GROUP: &str = "^[A-Za-z0-9._:@/-]+$";
const VERSION: &str = r"^1(\.[0-9]+)?$";

/// The form of a text, and of how many characters it is. What is not ASCII has more bytes than characters, and the
/// limits are in bytes: such a text may be refused a little earlier.
struct Form {
    least: usize,
    most: usize,
    pattern: &'static str,
    format: Option<KnownFormat>,
}

impl Form {
    fn object(self, description: &str) -> Object {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(description))
            .min_length((self.least > 0).then_some(self.least))
            .max_length(Some(self.most))
            .pattern(Some(self.pattern))
            .format(self.format.map(SchemaFormat::KnownFormat))
            .build()
    }
}

/// Makes a type of each form, whose doc comment is its description.
macro_rules! texts {
    ($($(#[doc = $doc:literal])+ $name:ident = $least:expr, $most:expr, $pattern:expr $(, $format:ident)?;)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy)]
        pub struct $name(());

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                #[allow(unused_mut, unused_assignments, reason = "only some forms have a format")]
                let mut format = None;
                $(format = Some(KnownFormat::$format);)?
                let form = Form { least: $least, most: $most, pattern: $pattern, format };
                form.object(concat!($($doc, "\n"),+).trim()).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

texts! {
    /// A fingerprint as somebody writes it: 40 or 64 hexadecimal digits in either case, with spaces and a leading `0x`
    /// if need be. What is signed has the same spelling.
    FingerprintText = 1, limits::MAX_FINGERPRINT_TEXT, FINGERPRINT;
    /// The nonce of a challenge, a UUID of version 4.
    NonceText = 36, 36, NONCE;
    /// An ASCII-armoured OpenPGP signature: detached, an inline-signed message, or cleartext-signed.
    SignatureText = 1, limits::MAX_SIGNATURE, ARMOR;
    /// An ASCII-armoured OpenPGP signature. Empty means absent.
    OptionalSignatureText = 0, limits::MAX_SIGNATURE, ARMOR;
    /// An ASCII-armoured OpenPGP certificate, without its secret key.
    CertificateText = 1, limits::MAX_PUBLIC_KEY_TEXT, ARMOR;
    /// An ASCII-armoured OpenPGP certificate, without its secret key. Empty means absent.
    OptionalCertificateText = 0, limits::MAX_PUBLIC_KEY_TEXT, ARMOR;
    /// A time in UTC, as it stands in what was signed: RFC 3339 with `Z`.
    SignedTime = 20, limits::MAX_TIME, TIME, DateTime;
    /// Random bytes in base64, in the standard or in the URL alphabet.
    ClientNonce = 1, limits::MAX_CLIENT_NONCE, BASE64;
    /// The name of a service. Empty means the server's own.
    ServiceName = 0, limits::MAX_SERVICE, LINE;
    /// An origin, `scheme://host[:port]`. Empty means absent.
    OriginText = 0, limits::MAX_ORIGIN, LINE;
    /// A path of the same site. Empty means absent; what is no such path becomes `/`.
    RedirectText = 0, limits::MAX_REDIRECT, LINE;
    /// A one-time code that lets a new key in. Empty means absent.
    EnrollmentCodeText = 0, limits::MAX_ENROLLMENT_CODE, LINE;
    /// The `jti` of a token.
    Jti = 1, limits::MAX_JTI, LINE;
    /// A refresh token.
    RefreshToken = 1, limits::MAX_REFRESH_TOKEN, "^[!-~]+$";
    /// An account name: small letters, digits and `.`, `_`, `-`, of which the first is a letter or digit.
    UserName = 1, limits::MAX_USER_NAME, USER_NAME;
    /// A plain e-mail address.
    EmailText = 3, limits::MAX_EMAIL, EMAIL;
    /// The name of a group.
    GroupName = 1, limits::MAX_GROUP_NAME, GROUP;
    /// The version of the protocol that the client speaks: 1 or 1.x.
    ProtocolVersion = 1, limits::MAX_VERSION, VERSION;
}

/// All groups that are meant, none twice.
#[derive(Debug, Clone, Copy)]
pub struct GroupNames(());

impl PartialSchema for GroupNames {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new()
            .items(Ref::from_schema_name(GroupName::name()))
            .description(Some("Names of groups, none twice."))
            .max_items(Some(limits::MAX_GROUPS))
            .unique_items(true)
            .into()
    }
}

impl ToSchema for GroupNames {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((GroupName::name().into_owned(), GroupName::schema()));
    }
}

/// What a person says of themselves.
#[derive(Debug, Clone, Copy)]
pub struct ClaimsObject(());

impl PartialSchema for ClaimsObject {
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new().schema_type(Type::String).pattern(Some(LINE)).build();
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(format!(
                "Claims, of at most {} bytes in canonical form. Known ones are `name`, `email`, `avatar_url`, `groups`, \
                 `locale`, `zoneinfo`, `agent_type`, `soul_blueprint` and names that begin with `capauth_`; others are \
                 dropped. No text in it holds control characters other than LF and TAB.",
                limits::MAX_CLAIMS_JSON
            )))
            .property_names(Some(Schema::Object(name)))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .into()
    }
}

impl ToSchema for ClaimsObject {}

/// For how long a one-time code can be used.
#[derive(Debug, Clone, Copy)]
pub struct CodeSeconds(());

impl PartialSchema for CodeSeconds {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("Seconds."))
            .minimum(Some(1))
            .maximum(usize::try_from(limits::MAX_CODE_SECONDS).ok())
            .into()
    }
}

impl ToSchema for CodeSeconds {}

impl PartialSchema for Fingerprint {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "The fingerprint of an OpenPGP key in capitals: 40 digits for version 4, 64 for version 6.",
            ))
            .pattern(Some("^([0-9A-F]{40}|[0-9A-F]{64})$"))
            .into()
    }
}

impl ToSchema for Fingerprint {}

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        // One word has two statuses.
        let mut words: Vec<_> = Self::ALL.iter().map(|code| code.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("Why a request is refused, for a program."))
            .enum_values(Some(words))
            .into()
    }
}

impl ToSchema for ErrorCode {}

impl PartialSchema for Scalar {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Boolean, Type::Number, Type::String]))
            .description(Some("True or false, a number, or text."))
            .into()
    }
}

impl ToSchema for Scalar {}

impl PartialSchema for RefreshRequest {
    fn schema() -> RefOr<Schema> {
        let grant = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The one grant there is."))
            .enum_values(Some([Self::GRANT]));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("The body of `POST /token`, as JSON or as a form."))
            .property("grant_type", grant)
            .required("grant_type")
            .property(Self::GRANT, Ref::from_schema_name(RefreshToken::name()))
            .required(Self::GRANT)
            .into()
    }
}

impl ToSchema for RefreshRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((RefreshToken::name().into_owned(), RefreshToken::schema()));
    }
}

/// The body of `POST /unlink`: with the primary key's signature, or from an administrator without one.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
#[schema(as = UnlinkRequest)]
pub enum UnlinkBody {
    /// Signed by the primary key.
    Signed(UnlinkByKey),
    /// By an administrator's credentials.
    Unsigned(UnlinkByAdministrator),
}

/// The body of `POST /unlink`, signed by the primary key.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct UnlinkByKey {
    /// The version of the protocol that the client speaks: 1 or 1.x.
    #[schema(value_type = Option<ProtocolVersion>)]
    capauth_version: Option<()>,
    /// The key whose identity it is.
    #[schema(value_type = FingerprintText)]
    primary_fingerprint: (),
    /// The key that leaves it.
    #[schema(value_type = FingerprintText)]
    secondary_fingerprint: (),
    /// Of a challenge for the primary key.
    #[schema(value_type = NonceText)]
    nonce: (),
    /// When it signed.
    #[schema(value_type = SignedTime)]
    timestamp: (),
    /// Its armored signature.
    #[schema(value_type = SignatureText)]
    primary_signature: (),
}

/// The body of `POST /unlink` where an administrator's credentials take the place of a signature.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct UnlinkByAdministrator {
    /// The version of the protocol that the client speaks: 1 or 1.x.
    #[schema(value_type = Option<ProtocolVersion>)]
    capauth_version: Option<()>,
    /// The key whose identity it is.
    #[schema(value_type = FingerprintText)]
    primary_fingerprint: (),
    /// The key that leaves it.
    #[schema(value_type = FingerprintText)]
    secondary_fingerprint: (),
    /// Absent, null or empty.
    #[schema(value_type = Option<String>, max_length = 0)]
    primary_signature: Option<()>,
}

/// A type's name and schema as a body: every body may say which version of the protocol it is of.
pub fn body_of<T: ToSchema>() -> (String, RefOr<Schema>) {
    let mut schema = T::schema();
    if let RefOr::T(Schema::Object(object)) = &mut schema {
        let version = ObjectBuilder::from(match ProtocolVersion::schema() {
            RefOr::T(Schema::Object(version)) => version,
            _ => Object::new(),
        });
        let version = version
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .examples([json!(crate::VERSION)]);
        object.properties.insert(VERSION_MEMBER.to_owned(), version.into());
    }
    (T::name().into_owned(), schema)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;
    use crate::request::{
        ChallengeRequest, CodeRequest, LinkRequest, QrChallengeRequest, QrVerifyRequest, RotateRequest,
        VerifyRequest,
    };

    /// The members of a body, each with the limit of its text.
    fn members<T: ToSchema>() -> BTreeMap<String, Option<u64>> {
        let mut all = Vec::new();
        T::schemas(&mut all);
        let all: BTreeMap<_, _> = all.into_iter().collect();
        let (_, schema) = body_of::<T>();
        let schema = serde_json::to_value(schema).unwrap();
        let limit = |member: &Value| {
            let one_of = member["oneOf"].as_array().into_iter().flatten();
            let name = one_of.chain([member]).find_map(|one| one["$ref"].as_str());
            let named = name.map(|name| &all[name.rsplit('/').next().unwrap()]);
            let target = named.map_or_else(|| member.clone(), |named| serde_json::to_value(named).unwrap());
            target["maxLength"].as_u64().or(target["maximum"].as_u64())
        };
        schema["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, one)| (name.clone(), limit(one)))
            .collect()
    }

    #[test]
    fn a_bodys_schema_has_the_members_that_are_read_and_their_limits() {
        let of = |all: &[(&str, Option<u64>)]| -> BTreeMap<String, Option<u64>> {
            all.iter().map(|(name, most)| ((*name).to_owned(), *most)).collect()
        };
        let (line, signature, certificate) = (Some(128), Some(64 * 1024), Some(96 * 1024));
        assert_eq!(
            members::<ChallengeRequest>(),
            of(&[
                ("capauth_version", Some(16)),
                ("client_nonce", line),
                ("fingerprint", line),
                ("origin", Some(300)),
                ("requested_service", Some(253)),
            ])
        );
        assert_eq!(
            members::<VerifyRequest>(),
            of(&[
                ("capauth_version", Some(16)),
                ("claims", None),
                ("claims_signature", signature),
                ("enrollment_code", line),
                ("fingerprint", line),
                ("nonce", Some(36)),
                ("nonce_signature", signature),
                ("public_key", certificate),
                ("redirect", Some(2048)),
                ("refresh", None),
            ])
        );
        let both = members::<RotateRequest>();
        assert_eq!((both["old_fingerprint"], both["new_public_key"], both.len()), (line, certificate, 8));
        assert_eq!(members::<LinkRequest>().len(), 8);
        assert_eq!(members::<CodeRequest>()["expires_in"], Some(limits::MAX_CODE_SECONDS));
        assert_eq!(
            members::<QrChallengeRequest>(),
            of(&[("capauth_version", Some(16)), ("origin", Some(300)), ("requested_service", Some(253))])
        );
        let mut answer = members::<VerifyRequest>();
        answer.extend(of(&[("code", Some(6)), ("decline", None)]));
        assert_eq!(members::<QrVerifyRequest>(), answer);
        let no = of(&[("capauth_version", Some(16)), ("confirm", None)]);
        assert_eq!(members::<QrDecline>(), no);
        let yes = no.into_iter().chain(of(&[("fingerprint", line)])).collect();
        assert_eq!(members::<QrConfirm>(), yes);
    }

    #[test]
    fn every_code_of_refusal_has_words_and_stands_there_once() {
        let schema = serde_json::to_value(ErrorCode::schema()).unwrap();
        let words: Vec<_> = schema["enum"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let all: BTreeSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!((words.len(), words.into_iter().collect::<BTreeSet<_>>()), (all.len(), all));
        for code in ErrorCode::ALL {
            assert!(
                code.meaning().ends_with('.') && !code.meaning().contains("::"),
                "{code}: {}",
                code.meaning()
            );
        }
    }
}
