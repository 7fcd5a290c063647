//! Scenarios in a real browser (`tests/js/pages`), each at a real application or service with people of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use crate::example::{Example, free_port, programs};
use crate::foreign;
use crate::gpg::Gpg;
use crate::service::{ADMIN_TOKEN, Service, signal};

/// How long a scenario may take by its own clock, in seconds: then it says what it was at.
const LIMIT: u64 = 100;

/// How long it may take to end after that.
const GRACE: Duration = Duration::from_secs(40);

/// What an example shows the service it asks.
const CREDENTIAL: &str = "the-credential-of-an-example-0123456789abcdef";

/// What the pages are looked at with: an example of this framework, or the service itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    /// `examples/axum-local`, or `axum-remote`.
    Axum,
    /// `examples/actix-local`, or `actix-remote`.
    Actix,
    /// `examples/rocket-local`, or `rocket-remote`.
    Rocket,
    /// `capauth-service`.
    Service,
}

impl App {
    fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Actix => "actix",
            Self::Rocket => "rocket",
            Self::Service => "service",
        }
    }
}

/// What a scenario needs of its surroundings.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    asks: bool,
    clock: bool,
    two_administrators: bool,
    passphrase: String,
    settings: Vec<(String, String)>,
    stored: &'static [&'static str],
}

impl Setup {
    /// An example that keeps keys itself, or a service with its usual settings.
    pub fn new() -> Self {
        Self::default()
    }

    /// A setting of the service (`CAPAUTH_…`); of an example that keeps keys itself, a variable of its environment.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The example asks a service, which has the settings, and lists the example in its configuration.
    pub fn asking(mut self) -> Self {
        self.asks = true;
        self
    }

    /// The scenario moves the server's clock.
    pub fn clock(mut self) -> Self {
        self.clock = true;
        self
    }

    /// Bob administers too, beside Ada.
    pub fn two_administrators(mut self) -> Self {
        self.two_administrators = true;
        self
    }

    /// The secret keys are protected by this passphrase: then gpg cannot sign with them in the scenario.
    pub fn passphrase(mut self, passphrase: &str) -> Self {
        passphrase.clone_into(&mut self.passphrase);
        self
    }

    /// What is written into the service's database (SQL) before the scenario begins.
    pub fn stored(mut self, sql: &'static [&'static str]) -> Self {
        self.stored = sql;
        self
    }
}

/// Writes into the database of a running service, behind its back.
fn store(service: &Service, sql: &[&'static str]) {
    let options =
        SqliteConnectOptions::new().filename(service.database()).busy_timeout(Duration::from_secs(10));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut connection = options.connect().await.expect("the service has a database");
        for statements in sql {
            sqlx::raw_sql(*statements).execute(&mut connection).await.expect("the statements fit the schema");
        }
        connection.close().await.expect("it is written");
    });
}

/// People with keys in one gpg home: Alice and Bob, and Ada, who is an administrator where there is a service.
struct People {
    gpg: Gpg,
    facts: Value,
}

impl People {
    fn new(passphrase: &str) -> Self {
        let gpg = Gpg::with_passphrase(passphrase);
        let passphrase = Some(passphrase).filter(|it| !it.is_empty());
        let mut facts = json!({});
        for (name, user_id) in [
            ("alice", "Alice <alice@example.org>"),
            ("bob", "Bob <bob@example.org>"),
            ("ada", "Ada <ada@example.org>"),
        ] {
            let fingerprint = gpg.generate(user_id, "ed25519");
            facts[name] = json!({
                "userId": user_id,
                "publicKey": gpg.export(&fingerprint),
                "secretKey": gpg.export_secret(&fingerprint),
                "passphrase": passphrase,
                "fingerprint": fingerprint,
            });
        }
        Self { gpg, facts }
    }

    fn administrators(&self, setup: &Setup) -> String {
        let names = if setup.two_administrators { &["ada", "bob"][..] } else { &["ada"] };
        let fingerprint =
            |name: &str| self.facts[name]["fingerprint"].as_str().expect("everybody has a fingerprint");
        names.iter().copied().map(fingerprint).collect::<Vec<_>>().join(",")
    }
}

/// What is looked at, while it runs.
struct Running {
    example: Option<Example>,
    service: Option<Service>,
}

impl Running {
    fn start(app: App, setup: &Setup, people: &People, folder: &Path) -> Self {
        let clock = if setup.clock { movable_clock(&folder.join("clock")) } else { Vec::new() };
        let mut settings = [&clock[..], &setup.settings].concat();
        if app == App::Service {
            // Its own pages are opened without TLS, at http://localhost.
            settings.extend(owned(&[("CAPAUTH_INSECURE_HTTP", "true"), ("CAPAUTH_SERVICE_ID", "localhost")]));
            return Self { example: None, service: Some(start_service(&settings, setup, people)) };
        }
        if !setup.asks {
            let example = Example::start(&format!("{}-local", app.name()), &borrowed(&settings));
            return Self { example: Some(example), service: None };
        }
        let port = free_port().to_string();
        let listed = list_application(&folder.join("service.toml"), &port);
        settings.push(("CAPAUTH_CONFIG".to_owned(), listed));
        let service = start_service(&settings, setup, people);
        let asks = [
            ("PORT", &*port),
            ("CAPAUTH_URL", service.url()),
            ("CAPAUTH_SERVICE", "app.example.com"),
            ("CAPAUTH_CREDENTIAL", CREDENTIAL),
        ];
        let settings = [&clock[..], &owned(&asks)].concat();
        let example = Example::start(&format!("{}-remote", app.name()), &borrowed(&settings));
        Self { example: Some(example), service: Some(service) }
    }

    fn port(&self) -> u16 {
        let example = self.example.as_ref().map(Example::port);
        example.or(self.service.as_ref().map(Service::port)).expect("something runs")
    }

    fn printed(&self) -> String {
        let example = self.example.as_ref().map(Example::printed).unwrap_or_default();
        format!("{example}{}", self.service.as_ref().map(Service::output).unwrap_or_default())
    }
}

fn start_service(settings: &[(String, String)], setup: &Setup, people: &People) -> Service {
    let administrators = people.administrators(setup);
    let mut all =
        vec![("CAPAUTH_ADMIN_TOKEN", ADMIN_TOKEN), ("CAPAUTH_ADMIN_FINGERPRINTS", &*administrators)];
    all.extend(borrowed(settings));
    Service::start(&all)
}

/// Writes a configuration of the service that lists the example at this port; answers the file's path.
fn list_application(file: &Path, port: &str) -> String {
    let toml = format!(
        "[[services]]\nname = \"app.example.com\"\norigins = [\"http://localhost:{port}\"]\n\
         credential = \"{CREDENTIAL}\"\n"
    );
    fs::write(file, toml).expect("a file is written");
    file.to_str().expect("paths are text").to_owned()
}

fn owned(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn borrowed(settings: &[(String, String)]) -> Vec<(&str, &str)> {
    settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// What lets a program read its time of day off this file: seconds ahead of the machine's, `+300`. Timers keep the
/// machine's pace.
fn movable_clock(file: &Path) -> Vec<(String, String)> {
    fs::write(file, "+0\n").expect("a file is written");
    let folders = fs::read_dir("/usr/lib").expect("Linux has /usr/lib").flatten();
    let libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let library = libraries.into_iter().find(|library| library.exists());
    let library = library.expect("libfaketime is missing: run `cargo xtask setup`");
    [
        ("LD_PRELOAD", library.to_str()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str()),
        ("FAKETIME_NO_CACHE", Some("1")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", Some("1")),
        ("DONT_FAKE_MONOTONIC", Some("1")),
    ]
    .map(|(name, value)| (name.to_owned(), value.expect("paths are text").to_owned()))
    .to_vec()
}

/// Runs the function `name` of `tests/js/pages/scenarios/{file}.mjs` and fails with all that it said if it fails.
pub fn run(app: App, file: &str, name: &str, setup: &Setup) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let people = People::new(&setup.passphrase);
    let running = Running::start(app, setup, &people, folder.path());
    if let Some(service) = running.service.as_ref().filter(|_| !setup.stored.is_empty()) {
        store(service, setup.stored);
    }
    let facts = json!({
        "app": app.name(),
        "base": format!("http://localhost:{}", running.port()),
        "people": people.facts,
        "service": running.service.as_ref().map(|it| json!({"url": it.url(), "adminToken": ADMIN_TOKEN})),
        "clock": setup.clock.then(|| folder.path().join("clock")),
    });
    let mut node = node(&folder, &facts);
    node.arg(format!("{file}/{name}"))
        .env("GNUPGHOME", people.gpg.home())
        .env("CAPAUTH_TEST_SCREENSHOTS", screenshots().join(app.name()).join(file).join(name));
    let output = finish(node.spawn().expect("node can be started"));
    let said = [output.stdout, output.stderr].concat();
    let (said, printed) = (String::from_utf8_lossy(&said), running.printed());
    assert!(output.status.success(), "{}\n{said}\nthe server printed:\n{printed}", output.status);
    assert!(!printed.contains("panicked at"), "{printed}");
}

/// The runner of scenarios, whose browser leaves nothing behind outside of this folder.
fn node(folder: &TempDir, facts: &Value) -> Command {
    let file = folder.path().join("facts.json");
    fs::write(&file, facts.to_string()).expect("a file is written");
    let mut node = foreign::node("pages/run.mjs");
    node.env("CAPAUTH_TEST_FACTS", file)
        .env("CAPAUTH_TEST_LIMIT", LIMIT.to_string())
        .env("HOME", folder.path())
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    node
}

/// Where pictures are kept: below `CAPAUTH_TEST_SCREENSHOTS`, or `screenshots` in the target folder.
fn screenshots() -> PathBuf {
    std::env::var_os("CAPAUTH_TEST_SCREENSHOTS").map_or_else(
        || programs().parent().expect("the profile lies in the target folder").join("screenshots"),
        PathBuf::from,
    )
}

/// Waits for the end of a scenario, and brings it about when it does not come by itself.
fn finish(child: Child) -> Output {
    let pid = child.id();
    let (tell, ended) = mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    let limit = Duration::from_secs(LIMIT) + GRACE;
    let output = ended.recv_timeout(limit).or_else(|_| {
        // Asked to end, it ends the browser too; killed, the browser notices by itself.
        signal(pid, "TERM");
        ended.recv_timeout(Duration::from_secs(10))
    });
    let output = output.or_else(|_| {
        signal(pid, "KILL");
        ended.recv_timeout(GRACE)
    });
    output.expect("a killed process ends").expect("its output can be read")
}
