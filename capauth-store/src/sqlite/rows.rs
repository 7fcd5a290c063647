//! Between rows and the verifier's types.

use capauth_protocol::Fingerprint;
use capauth_verifier::{EnrolledKey, Identity, KeyRole, RevokedBy, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// A query for keys with their identities, ending in the given clauses. Reading is [`key`]'s.
///
/// `k` is the key, `i` its identity, `p` that identity's primary key, `f` the identity that a linked key had before.
/// Groups come as hexadecimal text, which no group name can be mistaken for a part of.
macro_rules! select_keys {
    ($clauses:literal) => {
        concat!(
            "SELECT k.fingerprint, k.signing_keys, k.certificate_digest, k.revision, k.enrolled_at, l.at, \
             k.revoked_at, k.revoked_by, i.sub, i.user_name, i.approved, (i.suspended OR coalesce(f.suspended, 0)), \
             i.generation, (SELECT group_concat(hex(g.name)) FROM grants g WHERE g.identity_id = i.id), \
             k.role, k.archived_at, p.fingerprint, p.revoked_at IS NOT NULL, w.new_fingerprint, w.due \
             FROM keys k JOIN identities i ON i.id = k.identity_id \
             LEFT JOIN keys p ON p.identity_id = i.id AND p.role = 'primary' \
             LEFT JOIN identities f ON f.id = k.former_identity_id \
             LEFT JOIN waiting_rotations w ON w.identity_id = i.id AND k.role = 'primary' \
             LEFT JOIN last_logins l ON l.key_id = k.id ",
            $clauses
        )
    };
}
pub(super) use select_keys;

/// Reads a row of [`select_keys`].
pub(super) fn key(row: &SqliteRow) -> Result<EnrolledKey, sqlx::Error> {
    let revoked_by: Option<&str> = row.try_get(7)?;
    let revoked = match (optional_time(row, 6)?, revoked_by) {
        (None, _) => None,
        (Some(at), Some("owner")) => Some((at, RevokedBy::Owner)),
        (Some(at), _) => Some((at, RevokedBy::Administrator)),
    };
    Ok(EnrolledKey {
        fingerprint: fingerprint(row, 0)?,
        signing_keys: row.try_get(1)?,
        certificate_digest: digest(row, 2)?,
        revision: unsigned(row, 3)?,
        enrolled_at: Timestamp::from_unix(unsigned(row, 4)?),
        last_auth: optional_time(row, 5)?,
        revoked,
        waiting: match optional_time(row, 19)? {
            None => None,
            Some(due) => Some((fingerprint(row, 18)?, due)),
        },
        role: match row.try_get(14)? {
            "primary" => KeyRole::Primary,
            "secondary" => KeyRole::Secondary(fingerprint(row, 16)?),
            "archived" => KeyRole::Archived(Timestamp::from_unix(unsigned(row, 15)?)),
            _ => return Err(damaged("a key's role")),
        },
        identity: Identity {
            sub: fingerprint(row, 8)?,
            user_name: row.try_get(9)?,
            approved: row.try_get(10)?,
            suspended: row.try_get(11)?,
            ended: row.try_get(17)?,
            generation: unsigned(row, 12)?,
            groups: row.try_get::<Option<&str>, _>(13)?.map_or_else(|| Ok(Vec::new()), groups)?,
        },
    })
}

fn groups(joined: &str) -> Result<Vec<String>, sqlx::Error> {
    let mut groups =
        joined.split(',').map(from_hex).collect::<Option<Vec<_>>>().ok_or_else(|| damaged("a group"))?;
    groups.sort_unstable();
    Ok(groups)
}

pub(super) fn to_hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn from_hex(text: &str) -> Option<String> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let bytes = pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect::<Option<Vec<u8>>>()?;
    if rest.is_empty() { String::from_utf8(bytes).ok() } else { None }
}

pub(super) fn fingerprint(row: &SqliteRow, column: usize) -> Result<Fingerprint, sqlx::Error> {
    Fingerprint::from_bytes(row.try_get(column)?).ok_or_else(|| damaged("a fingerprint"))
}

pub(super) fn digest(row: &SqliteRow, column: usize) -> Result<[u8; 32], sqlx::Error> {
    row.try_get::<&[u8], _>(column)?.try_into().map_err(|_| damaged("a digest"))
}

pub(super) fn unsigned(row: &SqliteRow, column: usize) -> Result<u64, sqlx::Error> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| damaged("a number"))
}

pub(super) fn optional_time(row: &SqliteRow, column: usize) -> Result<Option<Timestamp>, sqlx::Error> {
    if row.try_get::<Option<i64>, _>(column)?.is_none() {
        return Ok(None);
    }
    unsigned(row, column).map(|seconds| Some(Timestamp::from_unix(seconds)))
}

/// SQLite's integers are signed; none of ours comes near the difference.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn seconds(time: Timestamp) -> i64 {
    signed(time.as_unix())
}

pub(super) fn damaged(what: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{what} in the database is damaged").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_survive_any_character() {
        assert_eq!(groups("612C62,C3A9,").unwrap(), ["", "a,b", "é"]);
        assert!(groups("6").is_err());
        assert!(groups("zz").is_err());
        assert!(groups("FF").is_err());
    }
}
