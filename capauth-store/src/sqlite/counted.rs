//! What a call costs, counted in steps of SQLite's machine: as much with very many keys as with few.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use capauth_protocol::Fingerprint;
use capauth_verifier::{
    FingerprintPrefix, KeyQuery, KeyStore, MasterKey, SessionStore, Timestamp, TokenStore,
};

use super::{Database, open_database};

const NOW: Timestamp = Timestamp::from_unix(1_771_934_400);

/// Makes so many members with a line in the log, a session and a revocation each; ten of the keys wait.
const FILL: &str = "
    INSERT INTO identities (sub, approved, generation, audit_id, user_name)
        SELECT unhex(printf('%040X', value * 7919)), value > 10, 0, randomblob(16), 'name' || value
        FROM generate_series;
    INSERT INTO keys (fingerprint, identity_id, signing_keys, certificate_digest, revision, enrolled_at)
        SELECT sub, id, zeroblob(900), zeroblob(32), id, 1771934400 FROM identities;
    INSERT INTO pending SELECT id, zeroblob(32), 1771934400 FROM identities WHERE NOT approved;
    INSERT INTO grants SELECT id, 'staff' FROM identities;
    INSERT INTO audit (at, who, what, subject) SELECT 1771934400, 'administrator', 'enrolled', audit_id FROM identities;
    INSERT INTO sessions SELECT unhex(printf('%064X', id)), id, 'app', 0, 1771934400, 1771934400, 1871934400
        FROM identities;
    INSERT INTO revocations (kind, subject, number) SELECT 'generation', sub, 1 FROM identities;
    UPDATE installation SET enrolled_keys = (SELECT count(*) FROM keys);
    ANALYZE;
";

struct Counted {
    _folder: tempfile::TempDir,
    database: Arc<Database>,
    steps: Arc<AtomicU64>,
}

impl Counted {
    async fn with(members: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = MasterKey::generate().unwrap();
        let (database, _) = open_database(&folder.path().join("keys.db"), Some(key)).await.unwrap();
        // The bundled SQLite has no table of numbers.
        let numbers = format!(
            "CREATE TEMP TABLE generate_series AS WITH RECURSIVE n(value) AS \
             (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {members}) SELECT value FROM n"
        );
        let steps = Arc::new(AtomicU64::new(0));
        {
            let mut writer = database.writer.lock().await.unwrap();
            sqlx::raw_sql(sqlx::AssertSqlSafe(numbers)).execute(&mut *writer).await.unwrap();
            sqlx::raw_sql(FILL).execute(&mut *writer).await.unwrap();
            count(&mut writer, &steps).await;
        }
        for lane in database.readers.lanes() {
            count(&mut lane.lock().await.unwrap(), &steps).await;
        }
        Self { _folder: folder, database, steps }
    }

    /// How many steps a call takes.
    async fn cost<T>(&self, call: impl AsyncFnOnce(&Database) -> T) -> (u64, T) {
        let before = self.steps.load(Ordering::SeqCst);
        let answer = call(&self.database).await;
        (self.steps.load(Ordering::SeqCst) - before, answer)
    }
}

async fn count(connection: &mut sqlx::sqlite::SqliteConnection, steps: &Arc<AtomicU64>) {
    let steps = Arc::clone(steps);
    let mut handle = connection.lock_handle().await.unwrap();
    handle.set_progress_handler(1, move || {
        steps.fetch_add(1, Ordering::Relaxed);
        true
    });
}

fn key(n: u64) -> Fingerprint {
    format!("{:040X}", n * 7919).parse().unwrap()
}

/// What is asked, and how much of an answer it has.
async fn costs(members: u32) -> Vec<(&'static str, u64)> {
    let counted = Counted::with(members).await;
    let middle = key(u64::from(members) / 2);
    let page = KeyQuery { after: Some(middle), limit: 20, ..KeyQuery::default() };
    let pending = KeyQuery { pending_only: true, limit: 20, ..KeyQuery::default() };
    let prefix = FingerprintPrefix::parse(&format!("{middle}")[..38]).unwrap();
    let prefix = KeyQuery { prefix, limit: 20, ..KeyQuery::default() };
    let (find, found) = counted.cost(async |all| all.find(&middle).await.unwrap()).await;
    assert!(found.is_some());
    let (list, listed) = counted.cost(async |all| all.list(&page).await.unwrap()).await;
    assert_eq!(listed.len(), 20);
    let (waiting, listed) = counted.cost(async |all| all.list(&pending).await.unwrap()).await;
    assert_eq!(listed.len(), 10);
    let (search, listed) = counted.cost(async |all| all.list(&prefix).await.unwrap()).await;
    assert_eq!(listed.len(), 1);
    let (named, listed) = counted.cost(async |all| all.find_by_user_name("name42").await.unwrap()).await;
    assert_eq!(listed.len(), 1);
    let after = u64::from(members) / 2;
    let (log, page) = counted.cost(async |all| all.audit(after, 20).await.unwrap()).await;
    assert_eq!(page.entries.len(), 20);
    let (newest, page) = counted.cost(async |all| all.audit_back(0, 20).await.unwrap()).await;
    assert_eq!(page.entries.len(), 20);
    let (feed, page) = counted.cost(async |all| all.revocations(after, 20).await.unwrap()).await;
    assert_eq!(page.entries.len(), 20);
    let (sessions, own) = counted.cost(async |all| all.sessions(&middle, 0, NOW, 20).await.unwrap()).await;
    assert_eq!(own.len(), 1);
    let (number, all) = counted.cost(async |all| all.count().await.unwrap()).await;
    assert_eq!(all, u64::from(members));
    let note = capauth_verifier::Note::new(NOW, capauth_verifier::Actor::Server);
    let (due, changed) = counted.cost(async |all| all.do_what_is_due(NOW, &note).await.unwrap()).await;
    assert!(!changed);
    vec![
        ("find", find),
        ("list", list),
        ("list of those that wait", waiting),
        ("search by digits", search),
        ("search by name", named),
        ("audit log", log),
        ("audit log's end", newest),
        ("feed", feed),
        ("sessions", sessions),
        ("count", number),
        ("what is due", due),
    ]
}

#[tokio::test]
async fn calls_cost_as_much_with_100_000_keys_as_with_100() {
    let (few, many) = (costs(100).await, costs(100_000).await);
    for ((what, few), (_, many)) in few.iter().zip(&many) {
        assert!(*few > 0, "{what} is not counted");
        assert!(*many <= few * 11 / 10 + 20, "{what}: {few} steps with 100 keys, {many} with 100,000");
    }
}
