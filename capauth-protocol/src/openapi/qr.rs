//! Bodies of a login from another device, which have another shape on the wire than here.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{FingerprintText, ProtocolVersion};
use crate::limits::QR_CODE_DIGITS;
use crate::request::{QrVerifyRequest, VerifyRequest};

/// The members of `/verify`, and the code.
impl PartialSchema for QrVerifyRequest {
    fn schema() -> RefOr<Schema> {
        let optional = |of: Type| SchemaType::from_iter([of, Type::Null]);
        let code = ObjectBuilder::new()
            .schema_type(optional(Type::String))
            .description(Some("The six digits that the other device shows. Empty means absent."))
            .max_length(Some(QR_CODE_DIGITS))
            .pattern(Some("^([0-9]{6})?$"));
        let decline = ObjectBuilder::new()
            .schema_type(optional(Type::Boolean))
            .description(Some("Whether the person does not want this login after all; false when absent."));
        let answer = match VerifyRequest::schema() {
            RefOr::T(Schema::Object(answer)) => answer,
            _ => Object::new(),
        };
        ObjectBuilder::from(answer)
            .description(Some("The body of `POST /qr-verify/{nonce}`."))
            .property("code", code)
            .property("decline", decline)
            .into()
    }
}

impl ToSchema for QrVerifyRequest {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        VerifyRequest::schemas(schemas);
    }
}

/// The body of `POST /qr-status/{nonce}`: yes to the key that answered without the code, or no.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
#[schema(as = QrDecision)]
pub enum QrDecisionBody {
    /// It is theirs.
    Confirm(QrConfirm),
    /// It is not.
    Decline(QrDecline),
}

/// The person saw this key's fingerprint, and it is theirs.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct QrConfirm {
    /// The version of the protocol that the client speaks: 1 or 1.x.
    #[schema(value_type = Option<ProtocolVersion>)]
    capauth_version: Option<()>,
    /// True.
    #[schema(schema_with = only::<true>)]
    confirm: (),
    /// The key whose fingerprint was seen.
    #[schema(value_type = FingerprintText)]
    fingerprint: (),
}

/// It is none of theirs.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub struct QrDecline {
    /// The version of the protocol that the client speaks: 1 or 1.x.
    #[schema(value_type = Option<ProtocolVersion>)]
    capauth_version: Option<()>,
    /// False.
    #[schema(schema_with = only::<false>)]
    confirm: (),
}

fn only<const VALUE: bool>() -> ObjectBuilder {
    let words = if VALUE { "True: it is theirs." } else { "False: it is not." };
    ObjectBuilder::new().schema_type(Type::Boolean).enum_values(Some([VALUE])).description(Some(words))
}
