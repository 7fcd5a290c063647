//! `capauth-service backup` and `restore` beside the real service: under load, killed, out of room.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use capauth_tests::foreign::{python, succeed};
use capauth_tests::http::{Challenge, Client, SignIn, send, try_send};
use capauth_tests::sequoia::Key;
use capauth_tests::service::{ADMIN_TOKEN, Service, database_in, service_binary, signal};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const SETTINGS: &[(&str, &str)] = &[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN)];
const ORIGIN: &str = "https://capauth.local";

/// A command of the service's program for the database in a folder.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(service_binary());
    command
        .args(arguments)
        .env_clear()
        .env("HOME", folder)
        .env("CAPAUTH_DB_PATH", database_in(folder))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Not done, and why: one line.
fn refused(folder: &Path, arguments: &[&str], words: &str) {
    let output = run(folder, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(words) && said.lines().count() == 1, "{said}");
}

/// The one column of the rows that a statement answers.
fn query(database: &Path, sql: &str) -> Vec<String> {
    let output = succeed(python("sqlite.py").arg(database).arg(sql));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// What a login was answered with.
#[derive(Debug, Clone)]
struct Login {
    key: usize,
    /// A second before which it was not.
    not_before: u64,
    answered: SystemTime,
    access: String,
    refresh: String,
}

impl Login {
    fn jti_hash(&self) -> String {
        let payload = self.access.split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        hex::encode_upper(Sha256::digest(claims["jti"].as_str().unwrap()))
    }
}

/// Signs in; `None`: the service is gone, or has no time.
async fn login(client: &Client, keys: &[Key], number: usize) -> Option<Login> {
    let key = &keys[number];
    let ask = json!({"fingerprint": key.fingerprint, "client_nonce": "AAAA"});
    let asked = try_send(client.request("POST", "/capauth/v1/challenge").json(&ask)).await.ok()?;
    let sign = |data: &[u8]| key.detach_sign(data);
    let mut body =
        SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate).answer_to(&Challenge::read(&asked));
    body["refresh"] = true.into();
    let not_before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let answer = try_send(client.request("POST", "/capauth/v1/verify").json(&body)).await.ok()?.ok();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    Some(Login { key: number, not_before, answered: SystemTime::now(), access, refresh })
}

/// Logins from several tasks, each with keys of its own, until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<Mutex<Vec<Login>>>,
    workers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    const WORKERS: usize = 6;

    fn begin(service: &Service, keys: &Arc<Vec<Key>>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let workers = (0..Self::WORKERS).map(|worker| {
            let (client, keys) = (Client::new(service.url()), Arc::clone(keys));
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                for number in (worker..keys.len()).step_by(Self::WORKERS).cycle() {
                    if stop.load(Ordering::Acquire) {
                        return;
                    }
                    let Some(login) = login(&client, &keys, number).await else { return };
                    answered.lock().unwrap().push(login);
                }
            })
        });
        let workers = workers.collect();
        Self { stop, answered, workers }
    }

    async fn until(&self, enough: usize) {
        while self.answered.lock().unwrap().len() < enough {
            assert!(self.workers.iter().any(|worker| !worker.is_finished()), "nobody signs in");
            tokio::task::yield_now().await;
        }
    }

    async fn end(self) -> Vec<Login> {
        self.stop.store(true, Ordering::Release);
        for worker in self.workers {
            worker.await.unwrap();
        }
        Arc::into_inner(self.answered).unwrap().into_inner().unwrap()
    }
}

fn keys(number: usize) -> Arc<Vec<Key>> {
    Arc::new((0..number).map(|_| Key::ed25519("Alice")).collect())
}

/// Runs a command on a thread of its own, so that the load goes on.
async fn beside(folder: &Arc<TempDir>, arguments: &[&str]) -> String {
    let (folder, arguments) =
        (Arc::clone(folder), arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>());
    let work = move || done(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// Everything that these logins left is in this database.
fn holds_all(database: &Path, keys: &[Key], logins: &[Login]) {
    let sessions: HashSet<_> = query(database, "SELECT hex(jti_hash) FROM sessions").into_iter().collect();
    let last: HashSet<_> = query(
        database,
        "SELECT hex(k.fingerprint) || ' ' || l.at FROM keys k JOIN last_logins l ON l.key_id = k.id",
    )
    .into_iter()
    .collect();
    let last_of = |key: &Key| {
        let line = last.iter().find_map(|line| line.strip_prefix(&key.fingerprint)).expect("a last login");
        line.trim().parse::<u64>().unwrap()
    };
    for login in logins {
        assert!(last_of(&keys[login.key]) >= login.not_before, "a last login is missing");
    }
    let lost = logins.iter().filter(|login| !sessions.contains(&login.jti_hash())).count();
    assert_eq!(lost, 0, "of {} sessions", logins.len());
    let families: HashSet<_> =
        query(database, "SELECT hex(jti_hash) FROM refresh_families").into_iter().collect();
    assert!(logins.iter().all(|login| families.contains(&login.jti_hash())), "a refresh family is missing");
    let enrolled = query(database, "SELECT count(*) FROM audit WHERE what = 'enrolled'");
    let who: HashSet<_> = logins.iter().map(|login| login.key).collect();
    assert!(enrolled[0].parse::<usize>().unwrap() >= who.len(), "lines of the audit log are missing");
}

/// A session in a browser.
async fn cookie(client: &Client, key: &Key) -> String {
    let ask = json!({"fingerprint": key.fingerprint, "origin": ORIGIN});
    let ask = client.request("POST", "/auth/capauth/challenge").header("origin", ORIGIN).json(&ask);
    let challenge = Challenge::read(&send(ask).await);
    let sign = |data: &[u8]| key.detach_sign(data);
    let body = SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate).answer_to(&challenge);
    let answer =
        send(client.request("POST", "/auth/capauth/verify").header("origin", ORIGIN).json(&body)).await;
    answer.ok();
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

async fn me(client: &Client, cookie: &str) -> u16 {
    send(client.request("GET", "/auth/capauth/me").header("cookie", cookie)).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_holds_every_login_that_was_answered_before_it_began() {
    let service = Service::start(SETTINGS);
    let (folder, keys) = (service.folder(), keys(30));
    let load = Load::begin(&service, &keys);
    let mut before = Vec::new();
    for (n, enough) in [60, 160, 260].into_iter().enumerate() {
        load.until(enough).await;
        let began = SystemTime::now();
        let file = format!("{n}.backup");
        let said = beside(&folder, &["backup", &file]).await;
        assert!(said.contains("master key is not in it") && said.contains("keys.db.master-key"), "{said}");
        let answered = load.answered.lock().unwrap().clone();
        before = answered.into_iter().filter(|login| login.answered <= began).collect();
        assert!(before.len() >= enough);
        let file = folder.path().join(file);
        assert_eq!(mode(&file), 0o600);
        holds_all(&file, &keys, &before);
    }
    let all = load.end().await;
    let client = Client::new(service.url());
    let browser = cookie(&client, &keys[0]).await;
    assert_eq!(me(&client, &browser).await, 200);
    client.get_as(&before[0].access, "/capauth/v1/userinfo").await.ok();

    refused(folder.path(), &["restore", "--force", "2.backup"], "is in use");
    assert!(service.terminate().success());
    refused(folder.path(), &["restore", "2.backup"], "--force");
    let said = done(folder.path(), &["restore", "--force", "2.backup"]);
    assert!(said.contains("Every session, token and one-time code has ended"), "{said}");

    let service = Service::start_in(&folder, SETTINGS);
    let client = Client::new(service.url());
    for login in before.iter().chain(&all) {
        client.get_as(&login.access, "/capauth/v1/userinfo").await.refused("401 invalid_token");
    }
    for login in before.iter().step_by(10) {
        let body = json!({"grant_type": "refresh_token", "refresh_token": login.refresh});
        client.post("/capauth/v1/token", &body).await.refused("401 invalid_token");
    }
    assert_eq!(me(&client, &browser).await, 401);
    // Everybody signs in, without sending the certificate again.
    for key in keys.iter() {
        let sign = |data: &[u8]| key.detach_sign(data);
        client.sign_in(SignIn::new(&key.fingerprint, &sign)).await.ok();
    }
    assert_eq!(me(&client, &cookie(&client, &keys[0]).await).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_a_service_waits_for_nobody() {
    let service = Service::start(SETTINGS);
    let (folder, keys) = (service.folder(), keys(1));
    let first = login(&Client::new(service.url()), &keys, 0).await.unwrap();
    // Written as it ended.
    assert!(service.terminate().success());
    let said = done(folder.path(), &["backup", "a.backup", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["keys"], &said["service"]), (&json!(1), &json!("capauth.local")));
    assert_eq!(said["file"], "a.backup");
    assert_eq!(said["master_key_file"], format!("{}.master-key", database_in(folder.path()).display()));
    holds_all(&folder.path().join("a.backup"), &keys, &[first]);
    // Killed, it leaves its place at the database behind; nobody waits for it.
    Service::start_in(&folder, SETTINGS).kill9();
    done(folder.path(), &["backup", "b.backup"]);
    refused(folder.path(), &["backup", "b.backup"], "never replaces");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stands_still_gets_no_false_backup() {
    let service = Service::start(SETTINGS);
    let folder = service.folder();
    signal(service.pid(), "STOP");
    let mut backup = command(folder.path(), &["backup", "a.backup"]).spawn().unwrap();
    // It asks, and waits for the answer.
    let asked = || {
        let state = fs::read_dir(folder.path().join("state")).unwrap().flatten();
        let seats = state.filter(|entry| entry.file_name().to_string_lossy().ends_with(".open"));
        seats.map(|entry| fs::read_to_string(entry.path()).unwrap()).any(|text| text.contains("ask "))
    };
    while !asked() {
        assert!(backup.try_wait().unwrap().is_none(), "it did not ask");
        tokio::task::yield_now().await;
    }
    assert!(!folder.path().join("a.backup").exists());
    signal(service.pid(), "CONT");
    assert!(backup.wait().unwrap().success());
    assert!(folder.path().join("a.backup").exists());
}

/// What lies in a folder, but for locks.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a command again and again, killed a little later each time, until it is once done in time. `check` looks at what
/// it left each time.
fn killed_at_every_moment(folder: &Path, arguments: &[&str], mut check: impl FnMut(bool)) -> u32 {
    let mut kills = 0;
    for after in (0..).map(|n| Duration::from_micros(n * n * 150)) {
        let mut child =
            command(folder, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let ended = {
            std::thread::sleep(after);
            child.try_wait().unwrap()
        };
        let _ = child.kill();
        let status = child.wait().unwrap();
        let was_done = ended.is_some_and(|status| status.success()) || status.success();
        check(was_done);
        if was_done {
            break;
        }
        kills += 1;
        assert!(kills < 400, "it never ends");
    }
    kills
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_killed_leaves_no_file_of_the_name() {
    let service = Service::start(SETTINGS);
    let (folder, keys) = (service.folder(), keys(3));
    let client = Client::new(service.url());
    for number in 0..keys.len() {
        login(&client, &keys, number).await.unwrap();
    }
    assert!(service.terminate().success());
    let (place, target) = (folder.path().to_owned(), folder.path().join("a.backup"));
    let kills = killed_at_every_moment(&place, &["backup", "a.backup"], |was_done| {
        // Killed after it had its name, it is whole: it is restored elsewhere below.
        if target.exists() && !was_done {
            fs::rename(&target, folder.path().join("late.backup")).unwrap();
        }
        assert_eq!(target.exists(), was_done);
    });
    assert!(kills > 3, "{kills}: nothing was killed");
    // What the killed ones left is gone with the one that was not.
    assert!(!names(&place).iter().any(|name| name.ends_with(".partial")), "{:?}", names(&place));
    for whole in ["a.backup", "late.backup"].iter().filter(|name| place.join(name).exists()) {
        done(&place, &["restore", "--force", whole]);
    }
    assert_eq!(Service::start_in(&folder, SETTINGS).terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_killed_leaves_the_old_database_or_the_new() {
    let service = Service::start(SETTINGS);
    let (folder, keys) = (service.folder(), keys(2));
    let client = Client::new(service.url());
    login(&client, &keys, 0).await.unwrap();
    beside(&folder, &["backup", "a.backup"]).await;
    login(&client, &keys, 1).await.unwrap();
    // Killed, so that what it wrote lies in the log still.
    service.kill9();
    let place = folder.path().to_owned();
    let database = database_in(&place);
    let sum = |name: &str| {
        let enrolled = query(&database, "SELECT count(*) FROM keys");
        (name.to_owned(), enrolled[0].clone(), query(&database, "PRAGMA integrity_check")[0].clone())
    };
    let mut seen = HashSet::new();
    let kills = killed_at_every_moment(&place, &["restore", "--force", "a.backup"], |was_done| {
        let (_, keys, sound) = sum("database");
        assert_eq!(sound, "ok");
        let replaced = names(&place.join("state")).iter().any(|name| name.contains(".replaced-"));
        match keys.as_str() {
            "2" => assert!(!was_done),
            "1" => assert!(replaced, "the old one is kept"),
            other => panic!("{other} keys: half a database"),
        }
        seen.insert(keys);
    });
    assert!(kills > 3 && seen.contains("2"), "{kills}: nothing was killed");
    assert!(!names(&place.join("state")).iter().any(|name| name.contains(".restoring")));
    let service = Service::start_in(&folder, SETTINGS);
    login(&Client::new(service.url()), &keys, 1).await.expect("who is not in the backup enrols again");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_or_leave_to_write_nothing_is_left_and_nothing_changed() {
    let service = Service::start(SETTINGS);
    let (folder, keys) = (service.folder(), keys(1));
    login(&Client::new(service.url()), &keys, 0).await.unwrap();
    beside(&folder, &["backup", "a.backup"]).await;
    assert!(service.terminate().success());
    let place = folder.path();
    let before = fs::read(database_in(place)).unwrap();
    let (inside, state) = (names(place), names(&place.join("state")));
    // No file may be larger than 32 KiB: as on a full disk, writing fails in the middle.
    for arguments in ["backup b.backup", "restore --force a.backup"] {
        let script = format!("trap '' XFSZ; ulimit -f 32; exec {} {arguments}", service_binary().display());
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("CAPAUTH_DB_PATH", database_in(place))
            .current_dir(place)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {output:?}");
        // SQLite's own companions of a database stay where it could not end its work, and the next opening ends it.
        let mut found = names(&place.join("state"));
        found.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
        assert_eq!((names(place), found), (inside.clone(), state.clone()), "{arguments}");
        assert!(fs::read(database_in(place)).unwrap() == before, "{arguments}");
    }
    refused(place, &["backup", "nowhere/b.backup"], "nowhere");
    refused(place, &["restore", "--force", "nowhere/b.backup"], "nowhere");
    refused(place, &["backup", "/proc/b.backup"], "/proc/");
    // The acceptance twin: with room it is done.
    done(place, &["restore", "--force", "a.backup"]);
    assert_eq!(mode(&database_in(place)), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_where_nothing_is_yet_needs_the_master_key() {
    let service = Service::start(SETTINGS);
    let (folder, keys) = (service.folder(), keys(1));
    login(&Client::new(service.url()), &keys, 0).await.unwrap();
    beside(&folder, &["backup", "a.backup"]).await;
    let elsewhere = Arc::new(tempfile::tempdir().unwrap());
    let backup: PathBuf = folder.path().join("a.backup");
    let backup = backup.to_str().unwrap();
    refused(elsewhere.path(), &["restore", backup], "master key is missing");
    let key = fs::read_to_string(folder.path().join("state/keys.db.master-key")).unwrap();
    let wrong = "00".repeat(32);
    let output =
        command(elsewhere.path(), &["restore", backup]).env("CAPAUTH_MASTER_KEY", &wrong).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not the master key"), "{output:?}");
    assert!(!database_in(elsewhere.path()).exists());
    let output = command(elsewhere.path(), &["restore", backup, "--json"])
        .env("CAPAUTH_MASTER_KEY", key.trim())
        .output()
        .unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["old_database"]["state"], "nothing_there");
    let settings = [("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN), ("CAPAUTH_MASTER_KEY", key.trim())];
    let second = Service::start_in(&elsewhere, &settings);
    let sign = |data: &[u8]| keys[0].detach_sign(data);
    Client::new(second.url()).sign_in(SignIn::new(&keys[0].fingerprint, &sign)).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_a_stolen_key_signs_in_again_after_a_restore() {
    let service = Service::start(SETTINGS);
    let (folder, keys) = (service.folder(), keys(2));
    let client = Client::new(service.url());
    for number in [0, 1] {
        login(&client, &keys, number).await.unwrap();
    }
    beside(&folder, &["backup", "a.backup"]).await;
    let body = json!({"fingerprint": keys[0].fingerprint});
    client.post_as(ADMIN_TOKEN, "/capauth/v1/keys/revoke", &body).await.ok();
    assert!(service.terminate().success());
    let said = done(folder.path(), &["restore", "--force", "a.backup"]);
    assert!(said.contains("1 key is revoked"), "{said}");
    let service = Service::start_in(&folder, SETTINGS);
    let client = Client::new(service.url());
    let sign = |data: &[u8]| keys[0].detach_sign(data);
    client.sign_in(SignIn::new(&keys[0].fingerprint, &sign)).await.refused("401 key_revoked");
    login(&client, &keys, 1).await.unwrap();
}
