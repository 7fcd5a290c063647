//! [`SessionStore`] on SQLite. What only tells of sessions is written behind; refresh families are not.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_trait::async_trait;
use capauth_protocol::Fingerprint;
use capauth_verifier::{
    Advance, NewFamily, REFRESH_GRACE, SessionEntry, SessionStore, StoreResult, Timestamp,
};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection as _, Row as _};

use super::Database;
use super::keys::in_transaction;
use super::rows::{self, seconds, signed};

/// How many sessions and refresh families of one identity are kept, the newest.
const PER_IDENTITY: u32 = 200;

/// What waits to be written about sessions.
pub(super) type Waiting = HashMap<[u8; 32], Seen>;

/// A session that is new, or was seen again.
pub(super) struct Seen {
    new: Option<SessionEntry>,
    at: Timestamp,
}

impl Seen {
    pub(super) const fn at(&self) -> Timestamp {
        self.at
    }
}

/// Adds to what waits: the session if it is new, and the later of two times.
pub(super) fn gather(waiting: &mut Waiting, hash: [u8; 32], seen: Seen, most: usize) -> bool {
    let full = waiting.len() >= most;
    match waiting.entry(hash) {
        Entry::Occupied(mut there) => {
            let there = there.get_mut();
            there.at = there.at.max(seen.at);
            there.new = there.new.take().or(seen.new);
            false
        }
        Entry::Vacant(_) if full => false,
        Entry::Vacant(free) => {
            free.insert(seen);
            true
        }
    }
}

#[async_trait]
impl SessionStore for Database {
    fn note_session(&self, session: &SessionEntry) {
        self.logins
            .note_session(session.jti_hash, Seen { new: Some(session.clone()), at: session.last_seen });
    }

    fn note_seen(&self, jti_hash: &[u8; 32], at: Timestamp) {
        self.logins.note_session(*jti_hash, Seen { new: None, at });
    }

    async fn sessions(
        &self,
        sub: &Fingerprint,
        generation: u64,
        now: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<SessionEntry>> {
        self.write_logins().await?;
        let (lane, mut reader) = self.readers.lock().await?;
        of_identity(&mut reader, sub, generation, now, limit).await.map_err(lane.failed("listing sessions"))
    }

    async fn last_seen(&self, jti_hash: &[u8; 32]) -> StoreResult<Option<Timestamp>> {
        if let Some(at) = self.logins.last_seen(jti_hash) {
            return Ok(Some(at));
        }
        let (lane, mut reader) = self.readers.lock().await?;
        let failed = lane.failed("looking for a session");
        let row = sqlx::query("SELECT last_seen FROM sessions WHERE jti_hash = ?1")
            .bind(&jti_hash[..])
            .fetch_optional(&mut *reader)
            .await
            .map_err(&failed)?;
        row.map(|row| rows::unsigned(&row, 0).map(Timestamp::from_unix)).transpose().map_err(failed)
    }

    async fn forget_session(&self, jti_hash: &[u8; 32]) -> StoreResult<()> {
        self.logins.forget_session(jti_hash);
        in_transaction!(self, "forgetting a session", forget, jti_hash);
        Ok(())
    }

    async fn add_family(&self, family: &NewFamily) -> StoreResult<()> {
        in_transaction!(self, "beginning a refresh family", add_family, family);
        Ok(())
    }

    async fn advance_family(
        &self,
        jti_hash: &[u8; 32],
        generation: u64,
        now: Timestamp,
    ) -> StoreResult<Advance> {
        Ok(in_transaction!(self, "advancing a refresh family", advance, jti_hash, generation, now))
    }

    async fn forget_old_sessions(&self, now: Timestamp) -> StoreResult<()> {
        in_transaction!(self, "forgetting old sessions", forget_old, now);
        Ok(())
    }
}

/// Writes what waits in two statements: sessions that are new, and when others were seen.
pub(super) async fn write(writer: &mut SqliteConnection, waiting: &Waiting) -> Result<(), sqlx::Error> {
    let mut all: Vec<_> = waiting.iter().collect();
    // In the order of the table, which then is walked through once; rows at random would each fetch a page of their own.
    all.sort_unstable_by_key(|(hash, _)| *hash);
    let (mut new, mut again) = (List::default(), List::default());
    for (hash, seen) in all {
        let hash = rows::to_hex(hash);
        let at = seconds(seen.at);
        let written = match &seen.new {
            None => serde_json::to_writer(again.next(), &(hash, at)),
            Some(session) => {
                let SessionEntry { sub, service, created_at, expires, generation, .. } = session;
                let (created_at, expires) = (seconds(*created_at), seconds(*expires));
                let row = (hash, sub, service, created_at, at, expires, signed(*generation));
                serde_json::to_writer(new.next(), &row)
            }
        };
        written.map_err(|error| sqlx::Error::Encode(error.into()))?;
    }
    if let Some(new) = new.into_text() {
        sqlx::query(
            "INSERT INTO sessions (jti_hash, identity_id, service, generation, created_at, last_seen, expires) \
             SELECT unhex(n.value ->> 0), i.id, n.value ->> 2, n.value ->> 6, n.value ->> 3, n.value ->> 4, \
             n.value ->> 5 FROM json_each(?1) n JOIN identities i ON i.sub = unhex(n.value ->> 1) \
             WHERE true ON CONFLICT (jti_hash) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)",
        )
        .bind(new)
        .execute(&mut *writer)
        .await?;
    }
    if let Some(again) = again.into_text() {
        sqlx::query(
            "UPDATE sessions SET last_seen = max(last_seen, seen.at) \
             FROM (SELECT unhex(value ->> 0) AS hash, value ->> 1 AS at FROM json_each(?1)) AS seen \
             WHERE sessions.jti_hash = seen.hash",
        )
        .bind(again)
        .execute(&mut *writer)
        .await?;
    }
    Ok(())
}

/// A list in JSON that is written as it grows.
#[derive(Default)]
struct List(Vec<u8>);

impl List {
    /// Where the next row is to be written.
    fn next(&mut self) -> &mut Vec<u8> {
        self.0.push(if self.0.is_empty() { b'[' } else { b',' });
        &mut self.0
    }

    /// The list; `None` if nothing is in it.
    fn into_text(mut self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        self.0.push(b']');
        String::from_utf8(self.0).ok()
    }
}

async fn of_identity(
    connection: &mut SqliteConnection,
    sub: &Fingerprint,
    generation: u64,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<SessionEntry>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT s.jti_hash, i.sub, s.service, s.created_at, s.last_seen, s.expires, s.generation FROM sessions s \
         JOIN identities i ON i.id = s.identity_id \
         WHERE i.sub = ?1 AND s.generation = ?2 AND s.expires > ?3 ORDER BY s.created_at DESC LIMIT ?4",
    )
    .bind(sub.as_bytes())
    .bind(signed(generation))
    .bind(seconds(now))
    .bind(limit.min(PER_IDENTITY))
    .fetch_all(connection)
    .await?;
    let read = |row: &SqliteRow| {
        Ok(SessionEntry {
            jti_hash: rows::digest(row, 0)?,
            sub: rows::fingerprint(row, 1)?,
            service: row.try_get(2)?,
            created_at: Timestamp::from_unix(rows::unsigned(row, 3)?),
            last_seen: Timestamp::from_unix(rows::unsigned(row, 4)?),
            expires: Timestamp::from_unix(rows::unsigned(row, 5)?),
            generation: rows::unsigned(row, 6)?,
        })
    };
    rows.iter().map(read).collect()
}

async fn forget(writer: &mut SqliteConnection, jti_hash: &[u8; 32]) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM sessions WHERE jti_hash = ?1").bind(&jti_hash[..]).execute(&mut *writer).await?;
    sqlx::query("UPDATE refresh_families SET ended = 1 WHERE jti_hash = ?1")
        .bind(&jti_hash[..])
        .execute(writer)
        .await
        .map(drop)
}

async fn add_family(writer: &mut SqliteConnection, family: &NewFamily) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO refresh_families (jti_hash, identity_id, generation, advanced_at, expires) \
         SELECT ?1, id, 0, 0, ?3 FROM identities WHERE sub = ?2",
    )
    .bind(&family.jti_hash[..])
    .bind(family.sub.as_bytes())
    .bind(seconds(family.expires))
    .execute(&mut *writer)
    .await?;
    // Who begins many loses the oldest.
    sqlx::query(
        "DELETE FROM refresh_families WHERE jti_hash IN (SELECT f.jti_hash FROM refresh_families f \
         JOIN identities i ON i.id = f.identity_id WHERE i.sub = ?1 ORDER BY f.expires DESC LIMIT -1 OFFSET ?2)",
    )
    .bind(family.sub.as_bytes())
    .bind(PER_IDENTITY)
    .execute(writer)
    .await
    .map(drop)
}

async fn advance(
    writer: &mut SqliteConnection,
    jti_hash: &[u8; 32],
    generation: u64,
    now: Timestamp,
) -> Result<Advance, sqlx::Error> {
    let row = sqlx::query(
        "SELECT generation, advanced_at FROM refresh_families WHERE jti_hash = ?1 AND ended = 0 AND expires > ?2",
    )
    .bind(&jti_hash[..])
    .bind(seconds(now))
    .fetch_optional(&mut *writer)
    .await?;
    let Some(row) = row else { return Ok(Advance::Gone) };
    let (current, advanced_at) = (rows::unsigned(&row, 0)?, Timestamp::from_unix(rows::unsigned(&row, 1)?));
    if generation == current {
        sqlx::query("UPDATE refresh_families SET generation = ?2, advanced_at = ?3 WHERE jti_hash = ?1")
            .bind(&jti_hash[..])
            .bind(signed(current.saturating_add(1)))
            .bind(seconds(now))
            .execute(writer)
            .await?;
        return Ok(Advance::Current(current.saturating_add(1)));
    }
    if generation.checked_add(1) == Some(current) && now.since(advanced_at) <= REFRESH_GRACE {
        return Ok(Advance::Current(current));
    }
    sqlx::query("UPDATE refresh_families SET ended = 1 WHERE jti_hash = ?1")
        .bind(&jti_hash[..])
        .execute(writer)
        .await?;
    Ok(Advance::Reused)
}

async fn forget_old(writer: &mut SqliteConnection, now: Timestamp) -> Result<(), sqlx::Error> {
    for statement in
        ["DELETE FROM sessions WHERE expires <= ?1", "DELETE FROM refresh_families WHERE expires <= ?1"]
    {
        sqlx::query(statement).bind(seconds(now)).execute(&mut *writer).await?;
    }
    sqlx::query(
        "DELETE FROM sessions WHERE jti_hash IN (SELECT jti_hash FROM (SELECT jti_hash, \
         row_number() OVER (PARTITION BY identity_id ORDER BY created_at DESC) AS place FROM sessions) \
         WHERE place > ?1)",
    )
    .bind(PER_IDENTITY)
    .execute(writer)
    .await
    .map(drop)
}
