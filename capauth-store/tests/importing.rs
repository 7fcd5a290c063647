//! What is taken over from another key store, and what its maker would like to have taken over.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub)]

#[path = "suite/helpers.rs"]
mod helpers;

use std::path::Path;

use capauth_store::{Import, ImportedKey, Outcome, PythonKeys};
use capauth_verifier::{Actor, KeyRole, Note};
use helpers::{NOW, feed_after, fingerprint, new_key, note};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

fn imported(byte: u8, linked_to: Option<u8>) -> ImportedKey {
    ImportedKey {
        fingerprint: fingerprint(byte),
        signing_keys: b"signing keys".to_vec(),
        certificate_digest: [7; 32],
        enrolled_at: NOW,
        last_auth: None,
        approved: true,
        revoked: false,
        linked_to: linked_to.map(fingerprint),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_an_imported_key_joins_the_identity_of_somebody_who_is_here() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("keys.db").display());
    let stores = capauth_store::open(&url, None).await.unwrap();
    // The victim enrolled here. Key 2 came by an import of before.
    stores.keys.enroll(&new_key(&stores, fingerprint(1)), &note()).await.unwrap();
    let shell = Note::new(NOW, Actor::Shell);
    let mut import = Import::open(&url, None, false).await.unwrap();
    import.add(&[imported(2, None)], &shell).await.unwrap();
    import.close().await.unwrap();
    // The old key store lists both, and keys of a thief that are linked to them.
    for dry_run in [true, false] {
        let mut import = Import::open(&url, None, dry_run).await.unwrap();
        let first = import.add(&[imported(1, None), imported(2, None), imported(3, None)], &shell).await;
        let is_new = Outcome::Imported { linked: false };
        assert_eq!(first.unwrap(), [Outcome::AlreadyThere, Outcome::AlreadyThere, is_new]);
        let thief = import.add(&[imported(11, Some(1)), imported(12, Some(2))], &shell).await;
        assert_eq!(thief.unwrap(), [is_new, is_new]);
        // Its twin: whom it is linked to came with it, in a page of before.
        let friend = import.add(&[imported(13, Some(3))], &shell).await.unwrap();
        assert_eq!(friend, [Outcome::Imported { linked: !dry_run }]);
        import.close().await.unwrap();
    }
    for (byte, sub, role) in
        [(11, 11, KeyRole::Primary), (12, 12, KeyRole::Primary), (13, 3, KeyRole::Secondary(fingerprint(3)))]
    {
        let key = stores.keys.find(&fingerprint(byte)).await.unwrap().unwrap();
        assert_eq!((key.identity.sub, key.role), (fingerprint(sub), role));
    }
    assert!(!feed_after(&stores, 0).await.is_empty(), "that a key joined another is told");
}

async fn sql(path: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

const TABLE: &str = "CREATE TABLE enrolled_keys (fingerprint TEXT, public_key_armor TEXT, enrolled_at TEXT, \
                     last_auth TEXT, approved INTEGER, linked_to TEXT);
                     INSERT INTO enrolled_keys VALUES ('AA', 'BB', '2026-01-01', NULL, 1, NULL)";
const VIEW: &str = "CREATE VIEW enrolled_keys AS WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
                    SELECT x AS rowid, 'AA' AS fingerprint, 'BB' AS public_key_armor, '' AS enrolled_at, \
                    '' AS last_auth, 1 AS approved, NULL AS linked_to FROM n";
const COMPUTED: &str = "CREATE TABLE enrolled_keys (fingerprint TEXT, public_key_armor TEXT \
                        AS (hex(zeroblob(1000))), enrolled_at TEXT, last_auth TEXT, approved INTEGER, \
                        linked_to TEXT); INSERT INTO enrolled_keys (fingerprint) VALUES ('AA')";

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_key_store_that_computes_its_rows_is_run() {
    let folder = tempfile::tempdir().unwrap();
    for (name, statement) in [("view", VIEW), ("computed", COMPUTED)] {
        let path = folder.path().join(name);
        sql(&path, statement).await;
        let error = PythonKeys::open(&path).await.unwrap_err().to_string();
        assert!(error.contains("is not the key store of the Python service"), "{name}: {error}");
    }
    let path = folder.path().join("table");
    sql(&path, TABLE).await;
    let mut keys = PythonKeys::open(&path).await.unwrap();
    let row = keys.next().await.unwrap();
    assert_eq!((row.len(), row[0].fingerprint.as_deref()), (1, Some("AA")));
    assert!(keys.next().await.unwrap().is_empty());
    keys.close().await.unwrap();
}
