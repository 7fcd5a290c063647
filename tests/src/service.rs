//! The real `capauth-service`, started for a test and stopped with it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

/// What the service prints once it answers; the URL follows at once: `http://…`, `https://…` or `unix:/…`.
const READY: &str = "listening on ";

/// How long a start may take before the test gives up. A start takes a fraction of a second; a machine that builds
/// and tests at once may need more.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How long the service may take to end after it was asked to.
const END_LIMIT: Duration = Duration::from_secs(30);

/// An administrator's token of the length that the service asks for.
pub const ADMIN_TOKEN: &str = "an-administrator-token-for-tests-0123456789";

/// Settings of a service, by the names of its environment variables.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

/// A running service in a temporary folder of its own. Killed when dropped.
#[derive(Debug)]
pub struct Service {
    folder: Arc<TempDir>,
    run: Run,
    url: String,
}

/// A service that ended instead of starting.
#[derive(Debug)]
pub struct NotStarted {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything that it printed.
    pub output: String,
    /// Where it ran.
    pub folder: Arc<TempDir>,
}

/// A child process, and the threads that copy what it prints into files.
#[derive(Debug)]
struct Run {
    child: Child,
    copiers: Vec<JoinHandle<()>>,
    /// Hears where the service listens, and when it prints no more. In a lock only so that it can be shared.
    ready: Mutex<mpsc::Receiver<String>>,
}

impl Service {
    /// Starts a service in a new folder and waits until it answers.
    pub fn start(settings: Settings<'_>) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        Self::start_in(&folder, settings)
    }

    /// Starts a service in a folder where one may have run before.
    pub fn start_in(folder: &Arc<TempDir>, settings: Settings<'_>) -> Self {
        Self::try_start_in(folder, settings).unwrap_or_else(|ended| {
            panic!("capauth-service ended with {} and said:\n{}", ended.status, ended.output)
        })
    }

    /// Starts a service that may refuse to start.
    ///
    /// # Errors
    /// It ended without ever listening.
    pub fn try_start_in(folder: &Arc<TempDir>, settings: Settings<'_>) -> Result<Self, NotStarted> {
        let mut command = Command::new(service_binary());
        command.args(["--port", "0"]);
        Self::launch(command, folder, settings)
    }

    /// Starts this very program with one argument, which makes it a server that says where it listens.
    pub fn of_this_program(arguments: &[&str]) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        command.args(arguments);
        Self::launch(command, &folder, &[]).unwrap_or_else(|ended| panic!("{arguments:?}: {}", ended.output))
    }

    fn launch(
        mut command: Command,
        folder: &Arc<TempDir>,
        settings: Settings<'_>,
    ) -> Result<Self, NotStarted> {
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", folder.path())
            .env("CAPAUTH_DB_PATH", database_in(folder.path()))
            // A test asks nobody outside of this machine, unless it says so.
            .env("CAPAUTH_WKD", "false")
            // All of a test comes from one address.
            .env("CAPAUTH_NO_RATE_LIMITS", "true")
            .envs(settings.iter().copied())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let (tell, ready) = mpsc::channel();
        let mut child = command.spawn().expect("capauth-service can be executed");
        let out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let err = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let copiers = vec![
            copy(out, folder.path().join("stdout.log"), tell.clone()),
            copy(err, folder.path().join("stderr.log"), tell),
        ];
        let mut run = Run { child, copiers, ready: Mutex::new(ready) };
        // When the service ends, both copiers do, and with them the channel.
        let heard = run.hear(START_LIMIT);
        match heard {
            Ok(url) => Ok(Self { folder: Arc::clone(folder), run, url }),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = run.wait();
                Err(NotStarted { status, output: output_in(folder.path()), folder: Arc::clone(folder) })
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                panic!("no line `{READY}…` within {START_LIMIT:?}; it said:\n{}", output_in(folder.path()))
            }
        }
    }

    /// Where it listens first: `http://127.0.0.1:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address without scheme: `127.0.0.1:40123`.
    pub fn address(&self) -> &str {
        self.url.split_once("://").map_or(&self.url, |(_, address)| address)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port in the URL")
    }

    /// Where it shows its metrics, `http://127.0.0.1:40124`: it has to be started with `CAPAUTH_METRICS`.
    pub fn metrics_url(&self) -> String {
        let begun = std::time::Instant::now();
        loop {
            // The rest of what it prints arrives after the line that says where it listens.
            let output = self.output();
            if let Some((before, _)) = output.split_once("/metrics\n") {
                return before.rsplit(' ').next().unwrap_or_default().to_owned();
            }
            assert!(begun.elapsed() < START_LIMIT, "it shows no metrics; it said:\n{output}");
            std::thread::yield_now();
        }
    }

    /// The folder it runs in, which outlives it while somebody holds it.
    pub fn folder(&self) -> Arc<TempDir> {
        Arc::clone(&self.folder)
    }

    /// Its database file.
    pub fn database(&self) -> PathBuf {
        database_in(self.folder.path())
    }

    /// Everything it printed up to now.
    pub fn output(&self) -> String {
        output_in(self.folder.path())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.run.child.id()
    }

    /// Asks it to end, as a service manager does, and waits until it has.
    pub fn terminate(self) -> ExitStatus {
        signal(self.pid(), "TERM");
        self.wait()
    }

    /// Waits until it has ended, because somebody asked it to.
    pub fn wait(mut self) -> ExitStatus {
        // Both copiers hold an end of the channel for as long as the service can print.
        let heard = self.run.hear(END_LIMIT);
        match heard {
            Err(mpsc::RecvTimeoutError::Disconnected) => self.run.wait(),
            _ => panic!("still running after {END_LIMIT:?}; it said:\n{}", self.output()),
        }
    }

    /// Ends it as a power cut does.
    pub fn kill9(mut self) {
        self.run.stop();
    }
}

impl Run {
    fn hear(&self, limit: Duration) -> Result<String, mpsc::RecvTimeoutError> {
        self.ready.lock().expect("nobody else listens").recv_timeout(limit)
    }

    fn stop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.wait();
    }

    fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("the child can be waited for");
        self.join();
        status
    }

    fn join(&mut self) {
        for copier in self.copiers.drain(..) {
            let _ = copier.join();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Copies lines into a file, and tells of the one that says where the service listens.
fn copy(mut from: impl BufRead + Send + 'static, to: PathBuf, tell: mpsc::Sender<String>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut to = File::options().create(true).append(true).open(to).expect("a log file can be written");
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
            to.write_all(&line).expect("a log file can be written");
            if let Some(url) = ready_url(&String::from_utf8_lossy(&line)) {
                // Nobody listens once the service has started.
                let _ = tell.send(url);
            }
            line.clear();
        }
    })
}

fn ready_url(line: &str) -> Option<String> {
    let url = line.split(READY).nth(1)?;
    let end = url.find(|c: char| !c.is_ascii_graphic()).unwrap_or(url.len());
    let url = &url[..end];
    ["http://", "https://", "unix:"].iter().any(|scheme| url.starts_with(scheme)).then(|| url.to_owned())
}

/// Sends a process a signal, by the name that `kill` knows it under.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()), "cannot send {name} to {pid}");
}

/// Where the harness lets a service keep its keys: in a folder that it has to make itself.
pub fn database_in(folder: &Path) -> PathBuf {
    folder.join("state/keys.db")
}

/// Everything that services in this folder have printed.
pub fn output_in(folder: &Path) -> String {
    let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
    let both = [read("stdout.log"), read("stderr.log")].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The workspace's folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests stand in a workspace")
}

/// The service's program of the profile that this program was built with.
///
/// `cargo xtask test` and a build of the workspace make it. Where it is missing or older than its sources, as when only
/// these tests are built, it is built here, once for all processes.
pub fn service_binary() -> PathBuf {
    let here = std::env::current_exe().expect("this program has a path");
    let profile = here
        .ancestors()
        .skip(1)
        .find(|folder| !folder.ends_with("deps"))
        .expect("this program lies in a target folder");
    let program = profile.join("capauth-service");
    if !profile.ends_with("debug") {
        assert!(program.exists(), "{} is missing: run `cargo build --release`", program.display());
        return program;
    }
    if is_fresh(&program) {
        return program;
    }
    let lock = File::create(profile.join(".capauth-service.lock")).expect("the target folder can be written");
    lock.lock().expect("a file can be locked");
    if !is_fresh(&program) {
        build();
    }
    program
}

/// Builds all programs: a run of a part of the suites does not.
fn build() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--locked", "--workspace", "--bins"])
        .current_dir(workspace())
        .status()
        .expect("cargo can be started");
    assert!(built.success(), "capauth-service does not build: see `cargo build -p capauth-service`");
}

fn is_fresh(program: &Path) -> bool {
    let Ok(built) = fs::metadata(program).and_then(|meta| meta.modified()) else { return false };
    let crates = ["protocol", "verifier", "store", "tower", "axum", "service"];
    crates.iter().all(|name| newest(&workspace().join(format!("capauth-{name}/src"))) <= built)
}

fn newest(folder: &Path) -> SystemTime {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let times = entries.filter_map(|entry| {
        let meta = entry.metadata().ok()?;
        if meta.is_dir() { Some(newest(&entry.path())) } else { meta.modified().ok() }
    });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}
