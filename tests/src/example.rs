//! A built example of `examples/`, started for a test and stopped with it. `cargo xtask test` builds them.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::service::signal;

/// What every example prints once it listens.
const READY: &str = "listening on http://127.0.0.1:";

/// How long a start may take, and an end.
const LIMIT: Duration = Duration::from_secs(60);

/// A running example in a temporary folder. Killed when dropped.
#[derive(Debug)]
pub struct Example {
    child: Child,
    url: String,
    folder: Arc<TempDir>,
    /// What it printed, a line each. Closed when it prints no more.
    lines: mpsc::Receiver<String>,
    printed: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Example {
    /// Starts an example in a folder of its own, at a free port unless the settings have one, and waits until it
    /// listens.
    pub fn start(name: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_in(&Arc::new(tempfile::tempdir().expect("a temporary folder")), name, settings)
    }

    /// Starts an example in this folder.
    pub fn start_in(folder: &Arc<TempDir>, name: &str, settings: &[(&str, &str)]) -> Self {
        let given = settings.iter().find(|(key, _)| *key == "PORT").map(|(_, port)| (*port).to_owned());
        let port = given.unwrap_or_else(|| free_port().to_string());
        let mut child = Command::new(example(name))
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("CAPAUTH_DB_PATH", folder.path().join("capauth.db"))
            .envs(settings.iter().copied())
            .env("PORT", &port)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example can be executed");
        let (tell, lines) = mpsc::channel();
        let printed = Arc::default();
        let readers = vec![
            read(child.stdout.take().expect("stdout is piped"), &tell, &printed),
            read(child.stderr.take().expect("stderr is piped"), &tell, &printed),
        ];
        let url = format!("http://127.0.0.1:{port}");
        let example = Self { child, url, folder: Arc::clone(folder), lines, printed, readers };
        drop(tell);
        while !example.next_line().starts_with(&format!("{READY}{port}")) {}
        example
    }

    fn next_line(&self) -> String {
        let heard = self.lines.recv_timeout(LIMIT);
        heard.unwrap_or_else(|e| panic!("no line `{READY}…` ({e}); it said:\n{}", self.printed()))
    }

    /// Everything it printed up to now.
    pub fn printed(&self) -> String {
        self.printed.lock().expect("no reader panics").clone()
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port in the URL")
    }

    /// The folder it runs in.
    pub fn folder(&self) -> &TempDir {
        &self.folder
    }

    /// Presses Ctrl-C and waits for a clean end. Answers where it ran, and all that it printed.
    pub fn interrupt(mut self) -> (Arc<TempDir>, String) {
        signal(self.child.id(), "INT");
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(_) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("still running:\n{}", self.printed()),
            }
        }
        let status = self.child.wait().expect("the child can be waited for");
        assert!(status.success(), "{status}\n{}", self.printed());
        (Arc::clone(&self.folder), self.printed())
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

fn read(
    from: impl std::io::Read + Send + 'static,
    tell: &mpsc::Sender<String>,
    printed: &Arc<Mutex<String>>,
) -> JoinHandle<()> {
    let (tell, printed) = (tell.clone(), Arc::clone(printed));
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut all = printed.lock().expect("no reader panics");
            all.push_str(&line);
            all.push('\n');
            // Nobody listens once the example is dropped.
            let _ = tell.send(line);
        }
    })
}

/// A port that nobody listens on, for a program that must know its own before it starts. Below those that the system
/// gives to whoever asks for any, and another in each of the processes that run at once.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 1200).expect("a small number") * 10;
    let mut ports = std::iter::from_fn(|| Some(20_000 + process + NEXT.fetch_add(1, Ordering::Relaxed) % 10));
    let free = ports.by_ref().take(10).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("one of ten ports is free")
}

/// The folder of the programs of the profile that this one was built with.
pub(crate) fn programs() -> PathBuf {
    let here = std::env::current_exe().expect("this program has a path");
    let folders = here.ancestors().skip(1);
    let profile = folders.into_iter().find(|folder| !folder.ends_with("deps"));
    profile.expect("this program lies in a target folder").to_owned()
}

/// The program of an example. Fails where it is missing, or older than what it was made of.
pub fn example(name: &str) -> PathBuf {
    let program = programs().join(name);
    let built = modified(&program);
    let made_of = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let sources = made_of.split_once(": ").map_or("", |(_, sources)| sources).split_whitespace();
    let newest = sources.filter_map(|source| modified(Path::new(source))).max();
    assert!(
        built.is_some() && newest.is_some() && built >= newest,
        "{} is missing or out of date: run `cargo xtask test`, or `cargo build` in examples",
        program.display()
    );
    program
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// Puts a `cargo` into a folder that builds nothing, and runs what has been built: `run --bin …` and `run -p …`.
pub fn pretend_cargo(folder: &Path) {
    for name in ["axum-local", "axum-remote", "agent"] {
        example(name);
    }
    let script = format!(
        r#"#!/bin/bash
        command=$1 name=; shift
        while [ $# -gt 0 ]; do
          case $1 in
            --quiet) shift ;;
            --manifest-path) [ -f "$2" ] && shift 2 || exit 66 ;;
            --bin|-p) name=$2; [ -x '{programs}'/"$name" ] && shift 2 || exit 66 ;;
            *) echo "unexpected: $1" >&2; exit 64 ;;
          esac
        done
        case $command in
          build) ;;
          run) exec '{programs}'/"$name" ;;
          *) echo "unexpected: $command" >&2; exit 64 ;;
        esac
        "#,
        programs = programs().display(),
    );
    let cargo = folder.join("cargo");
    fs::write(&cargo, script).expect("a file is written");
    fs::set_permissions(&cargo, Permissions::from_mode(0o755)).expect("its owner may");
}
