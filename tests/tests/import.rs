//! `capauth-service import`: the keys of PyPI's `capauth` service come over, and their holders sign in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use capauth_tests::foreign::{python, python_module, sqlite, succeed};
use capauth_tests::gpg::Gpg;
use capauth_tests::http::{Client, SignIn};
use capauth_tests::sequoia::Key;
use capauth_tests::service::{ADMIN_TOKEN, Service, database_in, service_binary};
use serde_json::{Value, json};

/// Stands in every User ID here.
const MARKER: &str = "Marker-Of-A-Person";

/// PyPI's service on a database, killed when dropped.
struct PythonService {
    child: Child,
    url: String,
}

impl PythonService {
    async fn start(folder: &Path, database: &Path) -> Self {
        // It cannot tell which port it chose, so one is chosen for it.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = python_module("capauth.service.server")
            .args(["--port", &port.to_string()])
            .current_dir(folder)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", folder)
            .env("CAPAUTH_DB_PATH", database)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python can be started");
        let mut service = Self { child, url: format!("http://127.0.0.1:{port}") };
        while reqwest::get(format!("{}/capauth/v1/status", service.url)).await.is_err() {
            assert!(service.child.try_wait().unwrap().is_none(), "the Python service ended");
            tokio::task::yield_now().await;
        }
        service
    }
}

impl Drop for PythonService {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python service's key store, made by its own class; answers what it says is in it.
fn old_store(file: &Path, steps: &Value) -> Value {
    let mut command = python("old_store.py");
    let mut child = command
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python can be started");
    child.stdin.take().unwrap().write_all(steps.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn import(folder: &Path, old: &Path, more: &[&str], settings: &[(&str, &str)]) -> Output {
    Command::new(service_binary())
        .args(["import", "--from-python"])
        .arg(old)
        .args(more)
        .env_clear()
        .env("HOME", folder)
        .env("CAPAUTH_DB_PATH", database_in(folder))
        .envs(settings.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The report, and the exit code.
fn report(folder: &Path, old: &Path, more: &[&str]) -> (Value, i32) {
    let output = import(folder, old, &[&["--json"], more].concat(), &[]);
    let said = String::from_utf8(output.stdout).unwrap();
    let report = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said} {:?}", output.stderr));
    (report, output.status.code().unwrap())
}

fn counts(report: &Value) -> [u64; 6] {
    ["imported", "pending", "revoked", "linked", "already_there", "undated"]
        .map(|name| report[name].as_u64().unwrap())
}

/// Why a key was skipped.
fn reason(report: &Value, fingerprint: &str) -> String {
    let skipped = report["skipped"].as_array().unwrap();
    let found = skipped.iter().find(|skipped| skipped["fingerprint"] == fingerprint);
    found.unwrap_or_else(|| panic!("{fingerprint} was not skipped: {report}"))["reason"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Name and content of everything below a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).map(|all| all.map(|entry| entry.unwrap().path()).collect());
    let mut all = Vec::new();
    for path in entries.unwrap_or_else(|_| Vec::new()) {
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    all.sort();
    all
}

async fn sign_in(client: &Client, key: &Key) -> capauth_tests::http::Answer {
    let sign = |data: &[u8]| key.detach_sign(data);
    client.sign_in(SignIn::new(&key.fingerprint, &sign)).await
}

async fn listed(client: &Client, fingerprint: &str) -> Value {
    let path = format!("/capauth/v1/keys?prefix={fingerprint}");
    client.get_as(ADMIN_TOKEN, &path).await.ok()[0].clone()
}

/// To the second, which is what is kept.
fn second(time: &Value) -> &str {
    time.as_str().unwrap().get(..19).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signed_in_at_the_python_service_signs_in_here() {
    let (there, folder) = (tempfile::tempdir().unwrap(), Arc::new(tempfile::tempdir().unwrap()));
    let (old, gpg) = (there.path().join("keys.db"), Gpg::new());
    let user = format!("{MARKER} <marker@example.org>");
    let (alice, bob, carol) = (Key::ed25519(&user), Key::ed25519(&user), gpg.generate(&user, "ed25519"));
    let python_service = PythonService::start(there.path(), &old).await;
    let client = Client::new(&python_service.url);
    for key in [&alice, &bob] {
        let sign = |data: &[u8]| key.detach_sign(data);
        client.sign_in(SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate)).await.ok();
    }
    let sign = |data: &[u8]| gpg.detach_sign(&carol, data);
    client.sign_in(SignIn::new(&carol, &sign).enrolling(&gpg.export(&carol))).await.ok();
    let known = old_store(&old, &json!([]));

    // The Python service runs meanwhile; nothing of its own is touched.
    let before = contents(there.path());
    let (first, code) = report(folder.path(), &old, &["--dry-run"]);
    assert_eq!((counts(&first), code), ([3, 0, 0, 0, 0, 0], 0));
    assert!(!database_in(folder.path()).exists(), "a dry run makes nothing");
    assert!(contents(folder.path()).is_empty());
    let (second_report, code) = report(folder.path(), &old, &[]);
    assert_eq!(
        (counts(&second_report), code, &second_report["skipped"]),
        ([3, 0, 0, 0, 0, 0], 0, &json!([]))
    );
    assert!(contents(there.path()) == before, "the old key store was changed");

    let service = Service::start_in(&folder, &[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN)]);
    let client = Client::new(service.url());
    for key in known.as_array().unwrap() {
        let here = listed(&client, key["fingerprint"].as_str().unwrap()).await;
        assert_eq!(second(&here["enrolled_at"]), second(&key["enrolled_at"]));
        assert_eq!(second(&here["last_auth"]), second(&key["last_auth"]));
        assert_eq!(here["approved"], true);
    }
    // Twice changes nothing, also while this service runs.
    let (again, code) = report(folder.path(), &old, &[]);
    assert_eq!((counts(&again), code), ([0, 0, 0, 0, 3, 0], 0));
    // They need not send their certificates.
    for key in [&alice, &bob] {
        assert_eq!(sign_in(&client, key).await.ok()["is_new_enrollment"], false);
    }
    client.sign_in(SignIn::new(&carol, &sign)).await.ok();
    let home = tempfile::tempdir().unwrap();
    let mut python_client = python("sign_in_with_gpg.py");
    let output = python_client.arg(service.url()).arg(home.path()).arg(&carol).env("GNUPGHOME", gpg.home());
    assert_eq!(String::from_utf8_lossy(&succeed(output).stdout).trim(), carol);
    // Their names and addresses stayed behind.
    assert!(contents(there.path()).iter().any(|(_, bytes)| holds_marker(bytes)));
    for (name, bytes) in contents(folder.path()) {
        assert!(!holds_marker(&bytes), "{}", name.display());
    }
}

/// As it stands in a certificate, and in a User ID's packet in base64.
fn holds_marker(bytes: &[u8]) -> bool {
    let raw = bytes.windows(MARKER.len()).any(|window| window == MARKER.as_bytes());
    // What the armour holds differs by where it stands: three ways.
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD_NO_PAD;
    let plain: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'\n').collect();
    let armored = (0..3).any(|shift| {
        let inner = &MARKER.as_bytes()[shift..];
        let needle = text.encode(&inner[..inner.len() / 3 * 3]);
        plain.windows(needle.len()).any(|window| window == needle.as_bytes())
    });
    raw || armored
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_sign_in_is_skipped_with_its_reason_and_the_rest_comes_over() {
    let (there, folder) = (tempfile::tempdir().unwrap(), Arc::new(tempfile::tempdir().unwrap()));
    let (old, gpg) = (there.path().join("keys.db"), Gpg::new());
    let [good, waiting, phone, other, leaked, secret] = [(); 6].map(|()| Key::ed25519("Alice"));
    let expired = gpg.generate_days_ago("Expired <e@example.org>", 10);
    gpg.expire(&expired);
    let revoked = gpg.generate("Revoked <r@example.org>", "ed25519");
    let (before_revocation, secret_of_revoked) = (gpg.export(&revoked), gpg.export_secret(&revoked));
    gpg.revoke(&revoked);
    let missing = "00".repeat(20);
    let garbage = "11".repeat(20);
    let (large, blob, damaged) = ("22".repeat(20), "33".repeat(20), "44".repeat(20));
    let server = Key::ed25519("CapAuth <capauth@example.org>");
    old_store(
        &old,
        &json!([
            {"fingerprint": phone.fingerprint, "enroll": phone.certificate, "linked_to": good.fingerprint},
            {"fingerprint": good.fingerprint, "enroll": good.certificate},
            {"fingerprint": waiting.fingerprint, "enroll": waiting.certificate, "approved": false},
            {"fingerprint": expired, "enroll": gpg.export(&expired)},
            {"fingerprint": revoked, "enroll": gpg.export(&revoked)},
            {"fingerprint": garbage, "enroll": "no key at all"},
            {"fingerprint": other.fingerprint, "enroll": leaked.certificate},
            {"fingerprint": secret.fingerprint, "enroll": secret.secret_armor()},
            {"fingerprint": leaked.fingerprint, "enroll": leaked.certificate, "linked_to": missing},
            {"fingerprint": large, "enroll": "x".repeat(200_000)},
            {"fingerprint": damaged, "enroll": good.certificate.replace("\n\n", "\n\n!!!!")},
            {"fingerprint": blob, "enroll": "x"},
            {"fingerprint": server.fingerprint, "enroll": server.certificate},
            {"fingerprint": "no fingerprint", "enroll": good.certificate},
        ]),
    );
    sqlite(
        &old,
        &format!("UPDATE enrolled_keys SET public_key_armor = x'ff00' WHERE fingerprint = '{blob}'"),
    );
    sqlite(
        &old,
        &format!(
            "UPDATE enrolled_keys SET enrolled_at = 'some day' WHERE fingerprint = '{}'",
            leaked.fingerprint
        ),
    );
    // Whatever is not plainly approved waits.
    sqlite(
        &old,
        &format!("UPDATE enrolled_keys SET approved = 'no' WHERE fingerprint = '{}'", waiting.fingerprint),
    );

    let armor = server.secret_armor();
    let settings = [("CAPAUTH_SERVER_KEY_ARMOR", armor.as_str())];
    for dry_run in [true, false] {
        let more: &[&str] = if dry_run { &["--json", "--dry-run"] } else { &["--json"] };
        let output = import(folder.path(), &old, more, &settings);
        assert_eq!(output.status.code(), Some(1), "something was skipped: {output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(counts(&report), [5, 1, 1, 1, 0, 1], "{report}");
        assert_eq!(report["unlinked"], json!([leaked.fingerprint]));
        for (fingerprint, words) in [
            (&expired, "expired"),
            (&garbage, "not good"),
            (&other.fingerprint, "another fingerprint"),
            (&secret.fingerprint, "SECRET"),
            (&large, "too large"),
            (&blob, "no text"),
            (&damaged, ""),
            (&server.fingerprint, "the server's own"),
        ] {
            let why = reason(&report, fingerprint);
            assert!(why.contains(words), "{fingerprint}: {why}");
        }
        let nameless =
            report["skipped"].as_array().unwrap().iter().find(|s| s["fingerprint"].is_null()).unwrap();
        assert_eq!(nameless["reason"], "its fingerprint is none");
        assert_eq!(report["skipped"].as_array().unwrap().len(), 9, "{report}");
        assert_eq!(database_in(folder.path()).exists(), !dry_run);
    }
    // For people.
    let output = import(folder.path(), &old, &[], &settings);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("0 keys imported.") && said.contains("5 keys were here already"), "{said}");
    assert!(said.contains(&format!("  {expired}: it is expired")), "{said}");

    let service = Service::start_in(&folder, &[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN), settings[0]]);
    let client = Client::new(service.url());
    sign_in(&client, &good).await.ok();
    // One person, two keys.
    assert_eq!(sign_in(&client, &phone).await.ok()["oidc_claims"]["sub"], good.fingerprint);
    sign_in(&client, &leaked).await.ok();
    sign_in(&client, &waiting).await.refused("403 enrollment_pending");
    let body = json!({"fingerprint": waiting.fingerprint});
    client.post_as(ADMIN_TOKEN, "/capauth/v1/keys/approve", &body).await.ok();
    sign_in(&client, &waiting).await.ok();
    // The older copy, which does not know that it is revoked, signed where nobody knows.
    let thief = Gpg::new();
    thief.run(&["--import"], secret_of_revoked.as_bytes());
    let sign = |data: &[u8]| thief.detach_sign(&revoked, data);
    let login = SignIn::new(&revoked, &sign).enrolling(&before_revocation);
    client.sign_in(login).await.refused("401 key_revoked");
    let here = listed(&client, &revoked).await;
    assert!(here["revoked_at"].is_string(), "{here}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attack_an_import_brings_back_who_was_barred_here() {
    let (there, folder) = (tempfile::tempdir().unwrap(), Arc::new(tempfile::tempdir().unwrap()));
    let old = there.path().join("keys.db");
    let [erased, revoked, fresh] = [(); 3].map(|()| Key::ed25519("Alice"));
    let all = [&erased, &revoked, &fresh];
    let steps = all.map(|key| json!({"fingerprint": key.fingerprint, "enroll": key.certificate}));
    old_store(&old, &json!(steps));
    let service = Service::start_in(&folder, &[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN)]);
    let client = Client::new(service.url());
    for key in [&erased, &revoked] {
        let sign = |data: &[u8]| key.detach_sign(data);
        client.sign_in(SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate)).await.ok();
        let body = json!({"fingerprint": key.fingerprint});
        client.post_as(ADMIN_TOKEN, "/capauth/v1/keys/revoke", &body).await.ok();
    }
    let body = json!({"fingerprint": erased.fingerprint});
    client.post_as(ADMIN_TOKEN, "/capauth/v1/keys/erase", &body).await.ok();

    let (report, code) = report(folder.path(), &old, &[]);
    assert_eq!((counts(&report), code), ([1, 0, 0, 0, 1, 0], 1), "{report}");
    assert!(reason(&report, &erased.fingerprint).contains("may not come back"));
    sign_in(&client, &fresh).await.ok();
    sign_in(&client, &revoked).await.refused("401 key_revoked");
    assert_ne!(sign_in(&client, &erased).await.status, 200);
    let log = client.get_as(ADMIN_TOKEN, "/capauth/v1/audit").await.text();
    assert!(log.contains("shell"), "who imported is in the log: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_store_of_python_is_refused_and_untouched() {
    let (there, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = |name: &str| there.path().join(name);
    fs::write(file("letter"), "a letter ".repeat(1000)).unwrap();
    fs::write(file("empty"), "").unwrap();
    sqlite(&file("other.db"), "CREATE TABLE enrolled_keys (fingerprint TEXT)");
    let before = contents(there.path());
    for name in ["letter", "empty", "other.db", "none", "."] {
        let output = import(folder.path(), &file(name), &[], &[]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert!(contents(there.path()) == before);
    assert!(!database_in(folder.path()).exists(), "nothing was made for nothing");
    // Both services keep their keys at the same place by default.
    fs::create_dir_all(database_in(folder.path()).parent().unwrap()).unwrap();
    old_store(&database_in(folder.path()), &json!([]));
    let output = import(folder.path(), &database_in(folder.path()), &[], &[]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("key store of the Python service; name another file"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_store_with_a_log_is_read_with_it() {
    let (there, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (old, key) = (there.path().join("keys.db"), Key::ed25519("Alice"));
    old_store(&old, &json!([{"sql": "PRAGMA journal_mode = WAL"}]));
    // Nobody has it open: no file is made beside it.
    let before = contents(there.path());
    let (report_without, _) = report(folder.path(), &old, &["--dry-run"]);
    assert_eq!(counts(&report_without)[0], 0);
    assert!(contents(there.path()) == before);
    let service = PythonService::start(there.path(), &old).await;
    let sign = |data: &[u8]| key.detach_sign(data);
    let client = Client::new(&service.url);
    client.sign_in(SignIn::new(&key.fingerprint, &sign).enrolling(&key.certificate)).await.ok();
    assert!(fs::metadata(there.path().join("keys.db-wal")).unwrap().len() > 0, "it lies in the log");
    let (report, code) = report(folder.path(), &old, &[]);
    assert_eq!((counts(&report)[0], code), (1, 0));
}
