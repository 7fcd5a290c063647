//! The examples, as they are built and as their README says to run them, with real keys of gpg's.
//!
//! `cargo xtask test` builds them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use capauth_tests::example::{Example, example, free_port, pretend_cargo};
use capauth_tests::gpg::Gpg;
use capauth_tests::http::{Answer, Challenge, Client, SignIn, send};
use capauth_tests::service::{ADMIN_TOKEN, Service, workspace};
use capauth_tower::CapAuth;
use serde_json::{Value, json};

const CREDENTIAL: &str = "the-credential-of-an-example-0123456789abcdef";

/// Signs in at an application, as a script does; answers the session's cookie.
async fn sign_in(app: &Client, login: SignIn<'_>) -> String {
    let ask = json!({"fingerprint": login.fingerprint});
    let challenge = Challenge::read(&app.post("/auth/capauth/challenge", &ask).await);
    let answer = app.post("/auth/capauth/verify", &login.answer_to(&challenge)).await;
    assert_eq!(answer.ok(), json!({"ok": true, "redirect": "/"}));
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("capauth-insecure="), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

async fn get_as(app: &Client, cookie: &str, path: &str) -> Answer {
    send(app.request("GET", path).header("cookie", cookie)).await
}

/// The real agent, with this gpg.
fn agent(gpg: &Gpg, app: &str, arguments: &[&str]) -> Output {
    Command::new(example("agent"))
        .args(arguments)
        .env("GNUPGHOME", gpg.home())
        .env("CAPAUTH_APP", app)
        .stdin(Stdio::null())
        .output()
        .expect("the agent can be started")
}

/// What the agent prints of who it is.
fn agent_says(gpg: &Gpg, app: &str, arguments: &[&str]) -> Value {
    let output = agent(gpg, app, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("claims")
}

/// What the agent says when it is refused.
fn agent_fails(gpg: &Gpg, app: &str, arguments: &[&str]) -> String {
    let output = agent(gpg, app, arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

/// A person, in an application where nobody was granted anything; answers their session.
async fn somebody_signs_in(app: &Client, url: &str, gpg: &Gpg, fingerprint: &str) -> String {
    assert_eq!(app.get("/").await.status, 200);
    for path in ["/me", "/admin", "/human"] {
        app.get(path).await.refused("401 invalid_token");
    }
    assert_eq!(app.get("/nowhere").await.status, 404);

    let who = agent_says(gpg, url, &[]);
    assert_eq!((&who["sub"], &who["amr"]), (&json!(fingerprint), &json!(["pgp"])));

    let sign = |data: &[u8]| gpg.detach_sign(fingerprint, data);
    let cookie = sign_in(app, SignIn::new(fingerprint, &sign)).await;
    let me = get_as(app, &cookie, "/me").await;
    assert_eq!(me.ok()["sub"], fingerprint);
    assert!(me.header("content-type").starts_with("application/json"), "{}", me.header("content-type"));
    get_as(app, &cookie, "/admin").await.refused("403 forbidden");
    let human = get_as(app, &cookie, "/human").await;
    assert_eq!((human.status, human.text().contains("Nice to meet you")), (200, true), "{}", human.text());

    let claims = json!({"agent_type": "ai", "name": "Robbie"});
    let robot = sign_in(app, SignIn::new(fingerprint, &sign).claiming(&claims)).await;
    assert_eq!(get_as(app, &robot, "/me").await.ok()["name"], "Robbie");
    get_as(app, &robot, "/human").await.refused("403 forbidden");
    cookie
}

fn alice() -> (Gpg, String) {
    let gpg = Gpg::new();
    let fingerprint = gpg.generate("Alice <alice@example.org>", "ed25519");
    (gpg, fingerprint)
}

/// Puts somebody into a group, in the database of an application that does not run.
async fn grant(database: &Path, fingerprint: &str) {
    let url = format!("sqlite://{}", database.display());
    let capauth = CapAuth::local("localhost").store(url).build().await.unwrap();
    let keys = capauth.local_verifier().unwrap();
    keys.set_groups(&fingerprint.parse().unwrap(), &["admins".to_owned()]).await.unwrap();
    capauth.close().await.unwrap();
}

async fn keeps_keys_itself(name: &str) {
    let (gpg, alice) = alice();
    let program = Example::start(name, &[]);
    let app = Client::new(program.url());
    let cookie = somebody_signs_in(&app, program.url(), &gpg, &alice).await;

    let (port, database) = (program.port().to_string(), program.folder().path().join("capauth.db"));
    let (folder, printed) = program.interrupt();
    assert!(printed.contains("insecure_http_on_loopback: sessions travel without TLS"), "{printed}");
    assert!(!printed.contains(&alice) && !printed.contains("alice@"), "{printed}");

    grant(&database, &alice).await;
    let program = Example::start_in(&folder, name, &[("PORT", &port)]);
    let admin = get_as(&app, &cookie, "/admin").await;
    assert_eq!((admin.status, admin.text().contains("At your service")), (200, true), "{}", admin.text());
    program.interrupt();
}

#[tokio::test]
async fn axum_local() {
    keeps_keys_itself("axum-local").await;
}

#[tokio::test]
async fn actix_local() {
    keeps_keys_itself("actix-local").await;
}

#[tokio::test]
async fn rocket_local() {
    keeps_keys_itself("rocket-local").await;
}

#[tokio::test]
async fn tower_plain() {
    keeps_keys_itself("tower-plain").await;
}

/// Grants at a central service, before the person signs in to an application.
async fn grant_at(service: &Client, fingerprint: &str) {
    let path = format!("/capauth/v1/keys/{fingerprint}/groups");
    let body = json!({"groups": ["admins"]});
    send(service.request("PUT", &path).bearer_auth(ADMIN_TOKEN).json(&body)).await.ok();
}

async fn asks(service: &Service, name: &str, settings: &[(&str, &str)]) {
    let (gpg, alice) = alice();
    let settings = [&[("CAPAUTH_URL", service.url())], settings].concat();
    let program = Example::start(name, &settings);
    let app = Client::new(program.url());
    somebody_signs_in(&app, program.url(), &gpg, &alice).await;

    let central = Client::new(service.url());
    assert_eq!(central.get("/capauth/v1/status").await.ok()["enrolled_keys"], 1);
    let bob = gpg.generate("Bob <bob@example.org>", "ed25519");
    assert_eq!(agent_says(&gpg, program.url(), &[&bob])["sub"], bob.as_str());
    grant_at(&central, &bob).await;
    let sign = |data: &[u8]| gpg.detach_sign(&bob, data);
    let cookie = sign_in(&app, SignIn::new(&bob, &sign)).await;
    let admin = get_as(&app, &cookie, "/admin").await;
    assert_eq!((admin.status, admin.text().contains("At your service")), (200, true), "{}", admin.text());

    let (_, printed) = program.interrupt();
    assert!(printed.contains("Sessions end when this process does"), "{printed}");
    assert!(!printed.contains(CREDENTIAL), "{printed}");
}

/// An application that the service does not know.
async fn asks_unlisted(name: &str) {
    let service = Service::start(&[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN)]);
    asks(&service, name, &[]).await;
}

/// An application that the service lists, with its secret.
async fn asks_listed(name: &str) {
    let config = tempfile::NamedTempFile::new().unwrap();
    let port = free_port().to_string();
    let toml = format!(
        "[[services]]\nname = \"app.example.com\"\norigins = [\"http://localhost:{port}\"]\n\
         credential = \"{CREDENTIAL}\"\n"
    );
    fs::write(&config, toml).unwrap();
    let path = config.path().to_str().unwrap();
    let service = Service::start(&[("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN), ("CAPAUTH_CONFIG", path)]);
    let settings =
        [("PORT", &*port), ("CAPAUTH_SERVICE", "app.example.com"), ("CAPAUTH_CREDENTIAL", CREDENTIAL)];
    asks(&service, name, &settings).await;
}

#[tokio::test]
async fn axum_remote() {
    asks_unlisted("axum-remote").await;
}

#[tokio::test]
async fn actix_remote() {
    asks_unlisted("actix-remote").await;
}

#[tokio::test]
async fn rocket_remote() {
    asks_unlisted("rocket-remote").await;
}

#[tokio::test]
async fn axum_remote_with_a_credential() {
    asks_listed("axum-remote").await;
}

#[tokio::test]
async fn actix_remote_with_a_credential() {
    asks_listed("actix-remote").await;
}

#[tokio::test]
async fn rocket_remote_with_a_credential() {
    asks_listed("rocket-remote").await;
}

#[tokio::test]
async fn standalone_is_a_service_and_an_application_can_ask_it() {
    let (gpg, alice) = alice();
    let standalone = Example::start("standalone", &[]);
    let service = Client::new(standalone.url());
    assert!(service.get("/").await.text().contains("CapAuth service"));
    assert_eq!(service.get("/capauth/v1/well-known").await.ok()["service"], "capauth.local");

    let (sign, certificate) = (|data: &[u8]| gpg.detach_sign(&alice, data), gpg.export(&alice));
    service.sign_in(SignIn::new(&alice, &sign)).await.refused("401 unknown_fingerprint");
    let login = service.sign_in(SignIn::new(&alice, &sign).enrolling(&certificate)).await.ok();
    assert_eq!((&login["authenticated"], &login["is_new_enrollment"]), (&json!(true), &json!(true)));
    let token = login["access_token"].as_str().unwrap();
    assert_eq!(service.get_as(token, "/capauth/v1/userinfo").await.ok()["sub"], alice.as_str());

    let application = Example::start("axum-remote", &[("CAPAUTH_URL", standalone.url())]);
    assert_eq!(agent_says(&gpg, application.url(), &[&alice])["sub"], alice.as_str());
    application.interrupt();
    standalone.interrupt();
}

#[test]
fn the_agent_says_why_it_is_refused() {
    let (gpg, alice) = alice();
    let closed = Service::start(&[("CAPAUTH_ENROLLMENT", "closed")]);
    let application = Example::start("axum-remote", &[("CAPAUTH_URL", closed.url())]);
    let words = agent_fails(&gpg, application.url(), &[&alice]);
    assert!(words.contains("agent: 403 Forbidden: "), "{words}");

    let words = agent_fails(&gpg, application.url(), &["nobody@example.org"]);
    assert!(words.contains("agent: gpg failed"), "{words}");
    let words = agent_fails(&Gpg::new(), application.url(), &[]);
    assert!(words.contains("gpg has no secret key"), "{words}");
    assert!(agent_fails(&gpg, "http://127.0.0.1:1", &[]).contains("agent: error sending request"));
}

/// The block of bash that stands directly after a mark in the examples' README.
fn block(mark: &str) -> String {
    let readme = fs::read_to_string(workspace().join("examples/README.md")).unwrap();
    let marks = readme.lines().find(|line| line.starts_with(&format!("<!-- {mark}:")));
    let (_, rest) = readme.split_once(marks.expect("a comment that marks the block")).unwrap();
    let rest = rest.strip_prefix("\n```bash\n").expect("the mark stands directly before a block of bash");
    rest.split_once("\n```").expect("the block ends").0.to_owned()
}

/// Runs a block as it stands, except that what cargo would build has been built. Answers the claims it prints.
fn run_block(mark: &str, settings: &[(&str, &str)]) -> Value {
    let commands = tempfile::tempdir().unwrap();
    pretend_cargo(commands.path());
    let path = format!("{}:{}", commands.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", &block(mark)])
        .current_dir(workspace().join("examples"))
        .env("PATH", path)
        // The agent's sockets stand below the folder for temporary files, and their paths must stay short.
        .env("TMPDIR", "/tmp")
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}\n{said}");
    let (start, end) = (printed.find("\n{\n").expect("claims"), printed.rfind("\n}").expect("their end"));
    serde_json::from_str(&printed[start..end + 2]).unwrap_or_else(|e| panic!("{e}\n{printed}"))
}

#[test]
fn the_readmes_first_block_runs_as_printed() {
    let who = run_block("local", &[("PORT", &free_port().to_string())]);
    assert_eq!(who["sub"].as_str().map(str::len), Some(40));
}

#[test]
fn the_readmes_second_block_runs_as_printed() {
    let (port, service) = (free_port().to_string(), free_port().to_string());
    // Should the service be missing, it is built here and not in the block.
    capauth_tests::service::service_binary();
    let who = run_block("remote", &[("PORT", &port), ("CAPAUTH_PORT", &service)]);
    assert_eq!(who["sub"].as_str().map(str::len), Some(40));
}

#[test]
fn the_readme_names_every_example() {
    let read = |path: &str| fs::read_to_string(workspace().join(path)).unwrap();
    let readme = read("examples/README.md");
    let mut named = 0;
    for folder in fs::read_dir(workspace().join("examples")).unwrap().flatten() {
        if folder.path().join("src/main.rs").is_file() {
            let name = folder.file_name().into_string().unwrap();
            assert!(readme.contains(&format!("| `cargo run --bin {name}` |")), "{name}");
            named += 1;
        }
    }
    assert_eq!(named, 9);
}

/// Else whatever the examples stand on would be built twice.
#[test]
fn the_examples_lock_the_same_versions_as_the_workspace() {
    let packages = |path: &str| -> Vec<[String; 3]> {
        let lock = fs::read_to_string(workspace().join(path)).unwrap();
        let field = |block: &str, name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
            line.unwrap_or_default().to_owned()
        };
        let blocks = lock.split("[[package]]").skip(1);
        blocks.map(|block| ["name", "version", "checksum"].map(|name| field(block, name))).collect()
    };
    let ours = packages("Cargo.lock");
    let theirs = packages("examples/Cargo.lock").into_iter().filter(|[_, _, checksum]| !checksum.is_empty());
    let other: Vec<_> = theirs.filter(|package| !ours.contains(package)).collect();
    assert!(
        other.is_empty(),
        "copy Cargo.lock to examples/Cargo.lock, then run `cargo metadata` in examples: {other:#?}"
    );
}
