//! What a login costs the server, as a multiple of the floor; how fast it starts; how much memory it takes.

use std::sync::Arc;
use std::time::Instant;

use capauth_tests::foreign::sqlite;
use capauth_tests::http::Client;
use capauth_tests::process::{CpuTime, resident_bytes};
use capauth_tests::sequoia::Key;
use capauth_tests::service::{Service, Settings};

use super::{Connection, Kind, Options, drive, median, people, row};

/// People who sign in, in rotation.
const PEOPLE: usize = 50;
const STARTS: usize = 9;

/// How the service is set up: bare, and as it is in earnest.
const SET_UPS: [(&str, Settings<'_>); 2] = [
    ("no rate limits, no audit file, no metrics", &[("CAPAUTH_NO_RATE_LIMITS", "true")]),
    ("with rate limits, an audit file and metrics", IN_EARNEST),
];

/// Everything that a service in earnest has on. The limits count, and refuse nobody: all of this comes from one address.
const IN_EARNEST: Settings<'_> = &[
    ("CAPAUTH_NO_RATE_LIMITS", "false"),
    ("CAPAUTH_CHALLENGES_PER_MINUTE", "60000"),
    ("CAPAUTH_FAILURES_PER_MINUTE", "60000"),
    ("CAPAUTH_CHALLENGES_PER_ADDRESS", "60000"),
    ("CAPAUTH_FAILURES_PER_ADDRESS", "60000"),
    ("CAPAUTH_ENROLLMENTS_PER_HOUR", "60000"),
    ("CAPAUTH_AUDIT_FILE", "audit.jsonl"),
    ("CAPAUTH_METRICS", "127.0.0.1:0"),
];

/// A kind of login, and how many floors it may cost.
struct Row {
    what: &'static str,
    server_signs: bool,
    kind: fn(usize) -> Kind,
    limit: f64,
}

const ROWS: [Row; 3] = [
    Row { what: "login, unsigned challenge", server_signs: false, kind: |_| Kind::Plain, limit: 2.2 },
    Row {
        what: "login, challenge signed by the server",
        server_signs: true,
        kind: |_| Kind::Plain,
        limit: 3.0,
    },
    Row { what: "the same, with signed claims", server_signs: true, kind: |_| Kind::Claims, limit: 4.0 },
];

pub(crate) async fn run(args: Vec<String>) -> Result<bool, String> {
    let options = Options::new(args, &["--check", "--logins", "--rounds", "--keys"])?;
    let (logins, rounds) = (options.number("--logins", 6_000)?, options.number("--rounds", 5)?);
    let keys = options.number("--keys", 100_000)?;
    let people = people(PEOPLE);
    let floor = Service::of_this_program(&["floor"]);
    println!("{logins} logins a round, {rounds} rounds, medians; CPU time of the server's process\n");
    let mut reached = Vec::new();
    let server_key = Key::ed25519("CapAuth").secret_armor();
    for (name, set_up) in SET_UPS {
        println!("{name}:");
        for Row { what, server_signs, kind, limit } in ROWS {
            let signs = server_signs.then_some(("CAPAUTH_SERVER_KEY_ARMOR", server_key.as_str()));
            let settings: Vec<_> = set_up.iter().copied().chain(signs).collect();
            let service = Service::start(&settings);
            enrol(&service, &people).await;
            let mut measured = Vec::new();
            for round in 0..=rounds {
                // The floor always answers the plain login: it is one number.
                let below = cost(&floor, &people, logins, |_| Kind::Plain).await;
                let above = cost(&service, &people, logins, kind).await;
                // The first round warms up.
                if round > 0 {
                    measured.push((above, below));
                }
            }
            let ratio = median(measured.iter().map(|(above, below)| above / below).collect());
            reached.push(row(what, ratio, "×", limit));
            let (above, below) = measured.into_iter().unzip();
            println!("{:<52} {:>8.1} µs  over a floor of {:.1} µs", "", median(above), median(below));
        }
        reached.extend(starts(set_up).await);
        reached.push(memory(&people, keys, logins, set_up).await);
        println!();
    }
    Ok(!options.has("--check") || reached.iter().all(|reached| *reached))
}

async fn enrol(service: &Service, people: &Arc<Vec<Key>>) {
    let mut connection = Connection::open(service.address()).await;
    for key in people.iter() {
        connection.login(key, Kind::Certificate).await;
    }
}

/// Microseconds of the server's CPU time a login.
async fn cost(server: &Service, people: &Arc<Vec<Key>>, logins: usize, kind: fn(usize) -> Kind) -> f64 {
    let time = CpuTime::of(server.pid());
    drive(server.address(), people, logins, kind).await;
    time.microseconds() / logins as f64
}

/// From the start of the program to its first answer: where it never ran, and where it did.
async fn starts(set_up: Settings<'_>) -> [bool; 2] {
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        for times in [&mut first, &mut later] {
            let begun = Instant::now();
            let service = Service::start_in(&folder, set_up);
            assert_eq!(Client::new(service.url()).get("/health").await.status, 200);
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            service.terminate();
        }
    }
    [
        row("very first start to first answer", median(first), "ms", 150.0),
        row("start to first answer", median(later), "ms", 150.0),
    ]
}

/// Memory under load, with many keys enrolled besides those that sign in.
async fn memory(people: &Arc<Vec<Key>>, keys: usize, logins: usize, set_up: Settings<'_>) -> bool {
    let service = Service::start(set_up);
    enrol(&service, people).await;
    let folder = service.folder();
    let database = service.database();
    assert!(service.terminate().success());
    fill(&database, keys);
    let service = Service::start_in(&folder, set_up);
    let told = Client::new(service.url()).get("/capauth/v1/status").await.json();
    drive(service.address(), people, logins, |_| Kind::Plain).await;
    let megabytes = resident_bytes(service.pid()) as f64 / 1024.0 / 1024.0;
    row(
        &format!("memory after {logins} logins, {} keys enrolled", told["enrolled_keys"]),
        megabytes,
        "MB",
        60.0,
    )
}

/// Enrols copies of the first key under other fingerprints, behind the service's back: honest enrolments would take
/// minutes, and what is looked at is how much of a large database stays in memory.
fn fill(database: &std::path::Path, keys: usize) {
    let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {keys})");
    for sql in [
        &format!("{numbers} INSERT INTO identities (id, sub, approved, generation) SELECT 1000000 + i, randomblob(20), 1, 0 FROM n"),
        &format!(
            "{numbers} INSERT INTO keys (fingerprint, identity_id, signing_keys, certificate_digest, revision, enrolled_at)
             SELECT randomblob(20), 1000000 + i, k.signing_keys, k.certificate_digest, 1000000 + i, k.enrolled_at
             FROM n, (SELECT * FROM keys LIMIT 1) k"
        ),
        "UPDATE installation SET enrolled_keys = (SELECT count(*) FROM keys)",
    ] {
        sqlite(database, sql);
    }
}
