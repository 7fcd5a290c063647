//! What the measurements share: options, people, connections, rounds.

pub(crate) mod floor;
pub(crate) mod guard;
pub(crate) mod guarded;
pub(crate) mod login;
pub(crate) mod soak;

use std::sync::Arc;

use capauth_tests::http::{Challenge, SignIn};
use capauth_tests::sequoia::Key;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Connections that are used at once: enough to keep a server busy on a small machine.
pub(crate) const CONNECTIONS: usize = 4;

/// The options after the subcommand: `--check`, and numbers by name.
#[derive(Debug)]
pub(crate) struct Options(Vec<String>);

impl Options {
    pub(crate) fn new(args: Vec<String>, known: &[&str]) -> Result<Self, String> {
        let unknown = args.iter().find(|arg| arg.starts_with("--") && !known.contains(&arg.as_str()));
        match unknown {
            Some(arg) => Err(format!("unknown option {arg}; there are {}", known.join(", "))),
            None => Ok(Self(args)),
        }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|arg| arg == name)
    }

    pub(crate) fn number(&self, name: &str, otherwise: usize) -> Result<usize, String> {
        let Some(place) = self.0.iter().position(|arg| arg == name) else { return Ok(otherwise) };
        let value = self.0.get(place + 1).map(|text| text.replace('_', "")).unwrap_or_default();
        value.parse().map_err(|_| format!("{name} takes a number"))
    }
}

/// What a login consists of besides the challenge and its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Plain,
    /// Claims, which are signed too.
    Claims,
    /// The certificate, as some clients send it every time.
    Certificate,
}

/// So many people with an Ed25519 key each.
pub(crate) fn people(number: usize) -> Arc<Vec<Key>> {
    Arc::new((0..number).map(|number| Key::ed25519(&format!("Person {number}"))).collect())
}

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server accepts");
        stream.set_nodelay(true).expect("a socket's option");
        Self { stream: BufReader::with_capacity(64 * 1024, stream) }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.expect("the server reads");
    }

    /// Reads one answer: status and body.
    pub(crate) async fn read(&mut self) -> (u16, Vec<u8>) {
        let (mut status, mut length, mut line) = (0, 0, String::new());
        loop {
            line.clear();
            self.stream.read_line(&mut line).await.expect("the server answers");
            let text = line.trim_end();
            if text.is_empty() {
                assert!(status != 0, "the server closed the connection");
                break;
            }
            if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).expect("a status");
            } else if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().expect("a length");
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.expect("the whole body");
        (status, body)
    }

    async fn post(&mut self, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.write(request.as_bytes()).await;
        let (status, answer) = self.read().await;
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&answer));
        serde_json::from_slice(&answer).expect("JSON")
    }

    /// One login from challenge to token; answers what `/verify` did.
    pub(crate) async fn login(&mut self, key: &Key, kind: Kind) -> Value {
        let ask = json!({"capauth_version": "1.0", "fingerprint": key.fingerprint, "client_nonce": "AAECAwQFBgcICQoLDA0ODw=="});
        let challenge = Challenge(self.post("/capauth/v1/challenge", &ask).await);
        let sign = |data: &[u8]| key.detach_sign(data);
        let claims = json!({"name": "Alice Example", "email": "alice@example.org", "locale": "de"});
        let login = SignIn::new(&key.fingerprint, &sign);
        let login = match kind {
            Kind::Plain => login,
            Kind::Claims => login.claiming(&claims),
            Kind::Certificate => login.enrolling(&key.certificate),
        };
        self.post("/capauth/v1/verify", &login.answer_to(&challenge)).await
    }
}

/// Signs people in, in turn, over several connections. `kind` says how the login of each number is done.
pub(crate) async fn drive(address: &str, people: &Arc<Vec<Key>>, logins: usize, kind: fn(usize) -> Kind) {
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| {
            let (address, people) = (address.to_owned(), Arc::clone(people));
            tokio::spawn(async move {
                let mut connection = Connection::open(&address).await;
                for number in (worker..logins).step_by(CONNECTIONS) {
                    connection.login(&people[number % people.len()], kind(number)).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("every login succeeds");
    }
}

/// The one in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A line of a report, and whether what was measured reaches what was meant to be.
pub(crate) fn row(what: &str, value: f64, unit: &str, limit: f64) -> bool {
    let reached = value <= limit;
    println!(
        "{what:<52} {value:>8.2} {unit:<3} reach ≤ {limit} {unit:<3} {}",
        if reached { "" } else { "MISSED" }
    );
    reached
}
