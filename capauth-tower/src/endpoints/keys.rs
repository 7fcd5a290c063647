//! What administrators do with keys, and the feed of what ended.

use capauth_protocol::request::{
    CodeRequest, EmailRequest, EnrollRequest, FingerprintRequest, GroupsRequest, UserNameRequest,
};
use capauth_protocol::{ErrorCode, Fingerprint, Refusal};
use capauth_verifier::{Administration, FingerprintPrefix, KeyQuery};
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::answers::{
    Approved, Enrolled, Erased, Granted, Named, Revoked, RotationCancelled, SessionsEnded, Vouched,
};
use super::query::Query;
use super::table::{EMAIL, GROUPS, ROTATION, SESSIONS_OF_KEY, USER_NAME, parameter};
use super::{Exchange, admin};
use crate::answer;
use crate::body::Body;
use crate::refuse::Failure;

type Answer = Result<Response<Body>, Failure>;

/// Keys, or lines of the audit log, in one answer, when nothing is said and at most.
const KEYS: u64 = 100;
pub(crate) const MOST_KEYS: u64 = 1000;
/// Entries of the feed in one answer.
const ENTRIES: u32 = 1000;

pub(super) async fn list(exchange: &Exchange<'_>) -> Answer {
    admin::require(exchange).await?;
    let query = Query::of(exchange.parts)?;
    let user_name = query.get("user_name")?;
    let prefix = FingerprintPrefix::parse(query.get("prefix")?.unwrap_or_default())
        .ok_or_else(|| Failure::invalid("`prefix` is up to 64 hexadecimal digits"))?;
    let wanted = KeyQuery {
        approved_only: query.flag("approved_only")?,
        pending_only: query.flag("pending_only")?,
        prefix,
        after: query.get("after")?.map(fingerprint).transpose()?,
        limit: limit(&query)?,
    };
    let beside = query.get("beside")?.map(fingerprint).transpose()?;
    // What is not of its form is refused, also where it would change nothing.
    let keys = match (user_name, beside) {
        (Some(name), _) => exchange.local()?.keys_named(name).await?,
        (None, Some(key)) => exchange.local()?.keys_beside(&key).await?,
        (None, None) => exchange.local()?.keys(&wanted).await?,
    };
    Ok(answer::json(StatusCode::OK, &keys))
}

pub(super) async fn approve(exchange: &Exchange<'_>) -> Answer {
    let (administration, fingerprint) = named(exchange).await?;
    administration.approve(&fingerprint).await?;
    Ok(answer::json(StatusCode::OK, &Approved { approved: true, fingerprint }))
}

pub(super) async fn revoke(exchange: &Exchange<'_>) -> Answer {
    let (administration, fingerprint) = named(exchange).await?;
    administration.revoke(&fingerprint).await?;
    Ok(answer::json(StatusCode::OK, &Revoked { revoked: true, fingerprint }))
}

pub(super) async fn erase(exchange: &Exchange<'_>) -> Answer {
    let (administration, fingerprint) = named(exchange).await?;
    administration.erase(&fingerprint).await?;
    Ok(answer::json(StatusCode::OK, &Erased { erased: true, fingerprint }))
}

/// The administrator, and the key that their request names.
async fn named<'a>(exchange: &Exchange<'a>) -> Result<(Administration<'a>, Fingerprint), Failure> {
    let administration = admin::require(exchange).await?;
    Ok((administration, FingerprintRequest::parse(exchange.body)?.fingerprint))
}

/// The administrator, and the key that stands in the path.
async fn in_path<'a>(
    exchange: &Exchange<'a>,
    template: &str,
) -> Result<(Administration<'a>, Fingerprint), Failure> {
    let administration = admin::require(exchange).await?;
    let text = parameter(template, exchange.parts.uri.path()).unwrap_or_default();
    Ok((administration, fingerprint(text)?))
}

pub(super) async fn groups(exchange: &Exchange<'_>) -> Answer {
    let (administration, fingerprint) = in_path(exchange, GROUPS).await?;
    let groups = GroupsRequest::parse(exchange.body)?.groups;
    administration.set_groups(&fingerprint, &groups).await?;
    Ok(answer::json(StatusCode::OK, &Granted { fingerprint, groups }))
}

pub(super) async fn user_name(exchange: &Exchange<'_>) -> Answer {
    let (administration, fingerprint) = in_path(exchange, USER_NAME).await?;
    let user_name = UserNameRequest::parse(exchange.body)?.user_name;
    administration.set_user_name(&fingerprint, user_name.as_deref()).await?;
    Ok(answer::json(StatusCode::OK, &Named { fingerprint, user_name }))
}

/// Vouches for an address, or no longer does. The answer does not repeat it.
pub(super) async fn email(exchange: &Exchange<'_>) -> Answer {
    let (administration, fingerprint) = in_path(exchange, EMAIL).await?;
    let request = EmailRequest::parse(exchange.body)?;
    let confirmed = exchange.parts.method == Method::PUT;
    administration.confirm_email(&fingerprint, &request.email, confirmed).await?;
    Ok(answer::json(StatusCode::OK, &Vouched { fingerprint, confirmed }))
}

pub(super) async fn cancel_rotation(exchange: &Exchange<'_>) -> Answer {
    let (administration, fingerprint) = in_path(exchange, ROTATION).await?;
    administration.cancel_rotation(&fingerprint).await?;
    Ok(answer::json(StatusCode::OK, &RotationCancelled { cancelled: true, fingerprint }))
}

/// Ends every session and token of a key's identity.
pub(super) async fn end_sessions(exchange: &Exchange<'_>) -> Answer {
    let (administration, fingerprint) = in_path(exchange, SESSIONS_OF_KEY).await?;
    administration.end_all(&fingerprint).await?;
    Ok(answer::json(StatusCode::OK, &SessionsEnded { ended: true, fingerprint }))
}

pub(super) async fn enroll(exchange: &Exchange<'_>) -> Answer {
    let administration = admin::require(exchange).await?;
    let request = EnrollRequest::parse(exchange.body)?;
    let fingerprint = administration.enroll(&request.public_key).await?;
    Ok(answer::json(StatusCode::OK, &Enrolled { enrolled: true, fingerprint }))
}

pub(super) async fn make_code(exchange: &Exchange<'_>) -> Answer {
    let administration = admin::require(exchange).await?;
    let request = CodeRequest::parse(exchange.body)?;
    let code = administration.make_code(&request.groups, request.expires_in).await?;
    Ok(answer::json(StatusCode::OK, &code))
}

pub(super) async fn audit(exchange: &Exchange<'_>) -> Answer {
    let administration = admin::require(exchange).await?;
    let query = Query::of(exchange.parts)?;
    let (after, limit) = (query.number("after")?, limit(&query)?);
    let log = match query.flag("newest_first")? {
        true => administration.audit_newest_first(after, limit).await?,
        false => administration.audit(after.unwrap_or(0), limit).await?,
    };
    Ok(answer::json(StatusCode::OK, &log))
}

/// How many entries of a list an answer has.
fn limit(query: &Query) -> Result<u32, Failure> {
    let limit = query.number("limit")?.unwrap_or(KEYS);
    if !(1..=MOST_KEYS).contains(&limit) {
        return Err(Failure::invalid("`limit` is a number from 1 to 1000"));
    }
    Ok(u32::try_from(limit).unwrap_or(u32::MAX))
}

pub(super) async fn revocations(exchange: &Exchange<'_>) -> Answer {
    admin::require_feed(exchange).await?;
    let after = Query::of(exchange.parts)?.number("after")?.unwrap_or(0);
    let page = exchange.local()?.revocations(after, ENTRIES).await?;
    // Within an epoch the feed only grows: what comes after a number, up to another, stays the same.
    let tag = format!("\"{}-{}\"", page.epoch, page.cursor);
    let known =
        exchange.parts.headers.get_all(header::IF_NONE_MATCH).iter().any(|value| value == tag.as_str());
    let mut response =
        if known { answer::empty(StatusCode::NOT_MODIFIED) } else { answer::json(StatusCode::OK, &page) };
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

fn fingerprint(text: &str) -> Result<Fingerprint, Failure> {
    text.parse().map_err(|_| {
        Refusal::new(ErrorCode::InvalidFingerprint, "a fingerprint has 40 or 64 hexadecimal digits").into()
    })
}
