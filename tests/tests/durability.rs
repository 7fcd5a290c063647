//! What was answered stays, what refuses keeps refusing, and nobody else can read it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use capauth_tests::foreign::sqlite;
use capauth_tests::http::{Challenge, Client, SignIn, try_send};
use capauth_tests::sequoia::Key;
use capauth_tests::service::{ADMIN_TOKEN, NotStarted, Service, database_in, signal};
use serde_json::{Value, json};
use tempfile::TempDir;

const SETTINGS: &[(&str, &str)] = &[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN)];

async fn enrol(client: &Client, key: &Key) -> Value {
    let sign = |data: &[u8]| key.detach_sign(data);
    client.sign_in(SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate)).await.ok()
}

async fn keys(client: &Client) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let page =
            client.get_as(ADMIN_TOKEN, &format!("/capauth/v1/keys?limit=1000&after={after}")).await.ok();
        let page = page.as_array().unwrap().clone();
        let Some(last) = page.last() else { return all };
        after = last["fingerprint"].as_str().unwrap().to_owned();
        all.extend(page);
    }
}

/// Keys, made by all cores.
fn many_keys(number: usize) -> Vec<Key> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let makers: Vec<_> = (0..cores)
        .map(|core| {
            let share = number / cores + usize::from(core < number % cores);
            std::thread::spawn(move || (0..share).map(|_| Key::ed25519("Alice")).collect::<Vec<_>>())
        })
        .collect();
    makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect()
}

/// Enrols one key after another until the service is gone; notes what was answered.
async fn enrol_until_the_end(
    client: Client,
    keys: Arc<Vec<Key>>,
    next: Arc<AtomicUsize>,
    done: Arc<Mutex<Vec<usize>>>,
) {
    while let Some((number, key)) =
        Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|n| Some((n, keys.get(n)?)))
    {
        let ask = json!({"fingerprint": key.fingerprint, "client_nonce": "AAAA"});
        let Ok(asked) = try_send(client.request("POST", "/capauth/v1/challenge").json(&ask)).await else {
            return;
        };
        let sign = |data: &[u8]| key.detach_sign(data);
        let login = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate);
        let body = login.answer_to(&Challenge::read(&asked));
        let Ok(answer) = try_send(client.request("POST", "/capauth/v1/verify").json(&body)).await else {
            return;
        };
        assert_eq!(answer.ok()["is_new_enrollment"], true);
        done.lock().unwrap().push(number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_during_a_thousand_enrolments_loses_none_that_was_answered() {
    let all = Arc::new(many_keys(1000));
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let next = Arc::new(AtomicUsize::new(0));
    let answered = Arc::new(Mutex::new(Vec::new()));
    for enough in [150, 400, 700] {
        let service = Service::start_in(&folder, SETTINGS);
        let client = Client::new(service.url());
        let workers: Vec<_> = (0..16)
            .map(|_| {
                let (all, next, answered) = (Arc::clone(&all), Arc::clone(&next), Arc::clone(&answered));
                tokio::spawn(enrol_until_the_end(client.clone(), all, next, answered))
            })
            .collect();
        while answered.lock().unwrap().len() < enough {
            assert!(workers.iter().any(|worker| !worker.is_finished()), "all enrolments failed");
            tokio::task::yield_now().await;
        }
        // In the middle of whatever the sixteen are doing.
        service.kill9();
        for worker in workers {
            worker.await.unwrap();
        }
    }
    let service = Service::start_in(&folder, SETTINGS);
    let client = Client::new(service.url());
    let there: HashSet<String> =
        keys(&client).await.iter().map(|key| key["fingerprint"].as_str().unwrap().to_owned()).collect();
    let answered = answered.lock().unwrap().clone();
    assert!(
        answered.len() >= 700 && answered.len() < 1000,
        "{} were answered: nothing was cut",
        answered.len()
    );
    let lost: Vec<_> =
        answered.iter().map(|n| &all[*n]).filter(|key| !there.contains(&key.fingerprint)).collect();
    assert!(lost.is_empty(), "{} of {} answered enrolments are lost", lost.len(), answered.len());
    // They are not only listed: they sign in. And those that were cut off can still enrol.
    for number in answered.iter().step_by(50) {
        let sign = |data: &[u8]| all[*number].detach_sign(data);
        client.sign_in(SignIn::new(&all[*number].fingerprint, &sign)).await.ok();
    }
    for key in all.iter().filter(|key| !there.contains(&key.fingerprint)).take(20) {
        enrol(&client, key).await;
    }
}

#[tokio::test]
async fn revocations_and_grants_survive_a_power_cut() {
    let service = Service::start(SETTINGS);
    let client = Client::new(service.url());
    let (kept, revoked) = (Key::ed25519("Alice"), Key::ed25519("Mallory"));
    let token = enrol(&client, &revoked).await["access_token"].as_str().unwrap().to_owned();
    enrol(&client, &kept).await;
    let body = json!({"fingerprint": revoked.fingerprint});
    client.post_as(ADMIN_TOKEN, "/capauth/v1/keys/revoke", &body).await.ok();
    let path = format!("/capauth/v1/keys/{}/groups", kept.fingerprint);
    let grant = client.request("PUT", &path).bearer_auth(ADMIN_TOKEN).json(&json!({"groups": ["staff"]}));
    try_send(grant).await.unwrap().ok();
    let folder = service.folder();
    service.kill9();
    let service = Service::start_in(&folder, SETTINGS);
    let client = Client::new(service.url());
    client.get_as(&token, "/capauth/v1/userinfo").await.refused("401 invalid_token");
    let sign = |data: &[u8]| revoked.detach_sign(data);
    client.sign_in(SignIn::new(&revoked.fingerprint, &sign)).await.refused("401 key_revoked");
    assert_eq!(enrol(&client, &kept).await["oidc_claims"]["groups"], json!(["staff"]));
}

#[tokio::test]
async fn an_orderly_end_writes_the_last_logins_down() {
    let service = Service::start(SETTINGS);
    let client = Client::new(service.url());
    let key = Key::ed25519("Alice");
    enrol(&client, &key).await;
    enrol(&client, &key).await;
    let folder = service.folder();
    assert!(service.terminate().success());
    let service = Service::start_in(&folder, SETTINGS);
    let listed = keys(&Client::new(service.url())).await;
    assert!(listed[0]["last_auth"].is_string(), "{listed:?}");
    assert!(listed[0]["last_auth"].as_str() >= listed[0]["enrolled_at"].as_str());
}

/// Who stops the service and then copies the two files that the README names has everything.
#[tokio::test]
async fn after_an_orderly_end_the_database_file_and_the_master_key_are_all() {
    let (folder, key) = used_folder().await;
    let copy = Arc::new(tempfile::tempdir().unwrap());
    let (from, to) = (database_in(folder.path()), database_in(copy.path()));
    fs::create_dir(to.parent().unwrap()).unwrap();
    fs::copy(&from, &to).unwrap();
    fs::copy(from.with_extension("db.master-key"), to.with_extension("db.master-key")).unwrap();
    let service = Service::start_in(&copy, &[]);
    let sign = |data: &[u8]| key.detach_sign(data);
    Client::new(service.url()).sign_in(SignIn::new(&key.fingerprint, &sign)).await.ok();
}

#[tokio::test]
async fn a_request_at_hand_is_answered_before_the_end() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let service = Service::start(&[]);
    let (mut stream, body) = capauth_tests::http::at_hand(service.address()).await;
    signal(service.pid(), "TERM");
    // It has heard once it takes no new connections.
    let stopping = async {
        while tokio::net::TcpStream::connect(service.address()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stopping).await.expect("it still takes connections");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(service.wait().success());
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode() & 0o777
}

#[tokio::test]
async fn files_are_their_owners_alone() {
    let service = Service::start(&[]);
    enrol(&Client::new(service.url()), &Key::ed25519("Alice")).await;
    let database = service.database();
    let folder = database.parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    let names: HashSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
            entry.file_name().into_string().unwrap()
        })
        .collect();
    for name in ["keys.db", "keys.db-wal", "keys.db-shm", "keys.db.master-key"] {
        assert!(names.contains(name), "no {name} in {names:?}");
    }
}

/// Where a service has run and one key is enrolled.
async fn used_folder() -> (Arc<TempDir>, Key) {
    let service = Service::start(&[]);
    let key = Key::ed25519("Alice");
    enrol(&Client::new(service.url()), &key).await;
    let folder = service.folder();
    assert!(service.terminate().success());
    (folder, key)
}

/// What a start would change if it changed anything.
fn contents(folder: &Arc<TempDir>) -> Vec<(String, Vec<u8>)> {
    let state = fs::read_dir(folder.path().join("state")).unwrap();
    let mut all: Vec<_> = state
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .filter(|(name, _)| !name.ends_with("-shm"))
        .collect();
    all.sort();
    all
}

/// Starts in vain, and nothing is changed.
fn refuses_to_start(folder: &Arc<TempDir>, settings: &[(&str, &str)], words: &[&str]) {
    let before = contents(folder);
    starts_in_vain(folder, settings, words);
    assert!(contents(folder) == before, "a start that failed changed something");
}

/// Ends with one line that names the trouble.
fn starts_in_vain(folder: &Arc<TempDir>, settings: &[(&str, &str)], words: &[&str]) {
    let _ = fs::remove_file(folder.path().join("stderr.log"));
    let NotStarted { status, output, .. } =
        Service::try_start_in(folder, settings).expect_err("it must not start");
    let said = fs::read_to_string(folder.path().join("stderr.log")).unwrap();
    assert_eq!(status.code(), Some(2), "{output}");
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("capauth-service: ")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    for word in words {
        assert!(lines[0].to_lowercase().contains(word), "no `{word}` in: {}", lines[0]);
    }
}

#[tokio::test]
async fn a_missing_or_wrong_master_key_stops_the_start() {
    let (folder, key) = used_folder().await;
    let file = database_in(folder.path()).with_extension("db.master-key");
    let good = fs::read_to_string(&file).unwrap();
    let other = "ab".repeat(32);

    refuses_to_start(&folder, &[("CAPAUTH_MASTER_KEY", &other)], &["master key"]);
    refuses_to_start(&folder, &[("CAPAUTH_MASTER_KEY", "short")], &["master_key"]);
    fs::write(&file, &other).unwrap();
    refuses_to_start(&folder, &[], &["master key"]);
    fs::write(&file, "").unwrap();
    refuses_to_start(&folder, &[], &["master key"]);
    fs::remove_file(&file).unwrap();
    refuses_to_start(&folder, &[], &["master key"]);
    fs::write(&file, &good).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    refuses_to_start(&folder, &[], &["master key"]);

    // In its place, or handed in, it opens what it sealed.
    fs::remove_file(&file).unwrap();
    let handed_in = Service::start_in(&folder, &[("CAPAUTH_MASTER_KEY", good.trim())]);
    handed_in.kill9();
    fs::write(&file, &good).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let service = Service::start_in(&folder, &[]);
    let sign = |data: &[u8]| key.detach_sign(data);
    Client::new(service.url()).sign_in(SignIn::new(&key.fingerprint, &sign)).await.ok();
}

#[tokio::test]
async fn a_database_of_a_newer_version_stops_the_start() {
    let (folder, _) = used_folder().await;
    let newer = "INSERT INTO _sqlx_migrations SELECT 9999, 'newer', installed_on, success, checksum, execution_time \
                 FROM _sqlx_migrations LIMIT 1";
    sqlite(&database_in(folder.path()), newer);
    refuses_to_start(&folder, &[], &["newer"]);
    sqlite(&database_in(folder.path()), "DELETE FROM _sqlx_migrations WHERE version = 9999");
    drop(Service::start_in(&folder, &[]));
}

#[tokio::test]
async fn a_server_key_that_is_enrolled_stops_the_start() {
    let (folder, key) = used_folder().await;
    let armor = key.secret_armor();
    starts_in_vain(&folder, &[("CAPAUTH_SERVER_KEY_ARMOR", &armor)], &["server's key"]);
    let other = Key::ed25519("CapAuth").secret_armor();
    let service = Service::start_in(&folder, &[("CAPAUTH_SERVER_KEY_ARMOR", &other)]);
    // The mistake did not turn the person's key into the server's.
    let sign = |data: &[u8]| key.detach_sign(data);
    Client::new(service.url()).sign_in(SignIn::new(&key.fingerprint, &sign)).await.ok();
}

#[tokio::test]
async fn a_setting_that_makes_no_sense_stops_the_start_with_its_name() {
    let (folder, _) = used_folder().await;
    for (name, value) in [
        ("CAPAUTH_SERVICE_ID", "not a host"),
        ("CAPAUTH_BASE_URL", "nonsense"),
        ("CAPAUTH_REQUIRE_APPROVAL", "perhaps"),
        ("CAPAUTH_ENROLLMENT", "sometimes"),
        ("CAPAUTH_ADMIN_FINGERPRINTS", "xyz"),
        ("CAPAUTH_CORS_ORIGINS", "*"),
        ("CAPAUTH_TRUSTED_PROXIES", "everybody"),
        ("CAPAUTH_DATABASE_URL", "mysql://localhost/capauth"),
        ("CAPAUTH_HOST", "nowhere"),
        ("CAPAUTH_REQUEST_TIMEOUT", "soon"),
        ("CAPAUTH_LOG", "loud"),
    ] {
        refuses_to_start(&folder, &[(name, value)], &[]);
        let said = fs::read_to_string(folder.path().join("stderr.log")).unwrap();
        let key = name.trim_start_matches("CAPAUTH_").to_lowercase();
        assert!(said.contains(name) || said.to_lowercase().contains(&key), "{name} is not named: {said}");
    }
    drop(Service::start_in(&folder, &[]));
}
