//! What administrators do with keys, and the feed of what ended.

use capauth_protocol::request::{FingerprintRequest, GroupsRequest};
use capauth_protocol::{ErrorCode, Fingerprint, Refusal};
use capauth_verifier::KeyQuery;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::query::Query;
use super::table::{GROUPS, parameter};
use super::{Exchange, admin};
use crate::answer;
use crate::body::Body;
use crate::refuse::Failure;

type Answer = Result<Response<Body>, Failure>;

/// Keys in one answer, when nothing is said and at most.
const KEYS: u64 = 100;
const MOST_KEYS: u64 = 1000;
/// Entries of the feed in one answer.
const ENTRIES: u32 = 1000;

pub(super) async fn list(exchange: &Exchange<'_>) -> Answer {
    admin::require(exchange).await?;
    let query = Query::of(exchange.parts)?;
    let limit = query.number("limit")?.unwrap_or(KEYS);
    if !(1..=MOST_KEYS).contains(&limit) {
        return Err(Failure::invalid("`limit` is a number from 1 to 1000"));
    }
    let query = KeyQuery {
        approved_only: query.flag("approved_only")?,
        after: query.get("after")?.map(fingerprint).transpose()?,
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
    };
    Ok(answer::json(StatusCode::OK, &exchange.local()?.keys(&query).await?))
}

pub(super) async fn approve(exchange: &Exchange<'_>) -> Answer {
    #[derive(Serialize)]
    struct Approved {
        approved: bool,
        fingerprint: Fingerprint,
    }
    let fingerprint = named(exchange).await?;
    exchange.local()?.approve(&fingerprint).await?;
    Ok(answer::json(StatusCode::OK, &Approved { approved: true, fingerprint }))
}

pub(super) async fn revoke(exchange: &Exchange<'_>) -> Answer {
    #[derive(Serialize)]
    struct Revoked {
        revoked: bool,
        fingerprint: Fingerprint,
    }
    let fingerprint = named(exchange).await?;
    exchange.local()?.revoke(&fingerprint).await?;
    Ok(answer::json(StatusCode::OK, &Revoked { revoked: true, fingerprint }))
}

pub(super) async fn erase(exchange: &Exchange<'_>) -> Answer {
    #[derive(Serialize)]
    struct Erased {
        erased: bool,
        fingerprint: Fingerprint,
    }
    let fingerprint = named(exchange).await?;
    exchange.local()?.erase(&fingerprint).await?;
    Ok(answer::json(StatusCode::OK, &Erased { erased: true, fingerprint }))
}

/// The key that an administrator's request names.
async fn named(exchange: &Exchange<'_>) -> Result<Fingerprint, Failure> {
    admin::require(exchange).await?;
    Ok(FingerprintRequest::parse(exchange.body)?.fingerprint)
}

pub(super) async fn groups(exchange: &Exchange<'_>) -> Answer {
    #[derive(Serialize)]
    struct Granted {
        fingerprint: Fingerprint,
        groups: Vec<String>,
    }
    admin::require(exchange).await?;
    let fingerprint = fingerprint(parameter(GROUPS, exchange.parts.uri.path()).unwrap_or_default())?;
    let groups = GroupsRequest::parse(exchange.body)?.groups;
    exchange.local()?.set_groups(&fingerprint, &groups).await?;
    Ok(answer::json(StatusCode::OK, &Granted { fingerprint, groups }))
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
