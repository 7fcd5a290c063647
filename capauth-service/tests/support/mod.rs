//! The real binary, and a client that knows just enough HTTP.

pub mod person;
pub mod tls;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Duration;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A folder for one test, and the command to start the service in it, with no variables but those a test sets.
pub struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The bare command.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_capauth-service"));
        command.env_clear().env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it on any port with these variables.
    pub fn start(&self, variables: &[(&str, &str)]) -> Service {
        let mut command = self.command();
        command.env("CAPAUTH_PORT", "0").envs(variables.iter().copied());
        Service::start(command)
    }

    /// Starts what must not start; answers the one line that says why.
    pub fn refusal<A: AsRef<OsStr>>(&self, arguments: &[A], variables: &[(&str, &str)]) -> String {
        let mut command = self.command();
        command.args(arguments).envs(variables.iter().copied());
        one_line(&output_of(command))
    }
}

/// Variables with their values.
pub type Variables<'a> = &'a [(&'a str, &'a str)];

/// How a command ended that does not stay.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    /// What it printed; it has to have worked.
    pub fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// The one line that says why it did not work.
    pub fn refused(self, code: i32) -> String {
        assert_eq!((self.code, self.err.lines().count()), (Some(code), 1), "{self:?}");
        self.err
    }
}

impl Place {
    /// Runs a command to its end.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: &[A], variables: &[(&str, &str)]) -> Said {
        let mut command = self.command();
        command.args(arguments).envs(variables.iter().copied());
        let output = output_of(command);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Every file in its folder, by name.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = files(self.folder.path());
        files.sort();
        files
    }
}

/// Lets a command end, and ends it when it does not.
pub fn output_of(mut command: Command) -> Output {
    let child = command.spawn().unwrap();
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    receiver.recv_timeout(PATIENCE).map(Result::unwrap).unwrap_or_else(|_| {
        signal(id, "KILL");
        panic!("it started though it should not have");
    })
}

fn one_line(output: &Output) -> String {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(output.stdout.is_empty(), "{output:?}");
    error
}

pub fn signal(id: u32, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().unwrap();
    assert!(status.success());
}

/// A process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running service.
pub struct Service {
    child: Process,
    /// Where it listens by TCP; 0.0.0.0:0 where it does not.
    pub address: SocketAddr,
    /// The first place where it says it listens.
    pub url: String,
    /// What it printed up to and with the line that says where it listens, and all after it.
    banner: String,
    rest: std::process::ChildStdout,
    log: Mutex<Log>,
}

/// What it logs: lines as they come, and all that came.
struct Log {
    lines: mpsc::Receiver<String>,
    seen: String,
}

impl Log {
    fn of(stderr: impl Read + Send + 'static) -> Mutex<Self> {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut stderr = BufReader::new(stderr);
            let mut line = Vec::new();
            while stderr.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
                line.clear();
            }
        });
        Mutex::new(Self { lines, seen: String::new() })
    }

    /// The next line; none when no more can come.
    fn next(&mut self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.seen += &line;
                Some(line)
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing more is logged after: {}", self.seen),
        }
    }
}

/// How it ended.
pub struct Ended {
    pub code: Option<i32>,
    pub banner: String,
    pub log: String,
}

impl Service {
    pub fn start(mut command: Command) -> Self {
        let mut child = Process(command.spawn().unwrap());
        let log = Log::of(child.0.stderr.take().unwrap());
        let mut output = BufReader::new(child.0.stdout.take().unwrap());
        let mut banner = String::new();
        loop {
            let begin = banner.len();
            let read = output.read_line(&mut banner).unwrap();
            if read == 0 {
                let mut log = log.into_inner().unwrap();
                while log.next().is_some() {}
                panic!("it did not start: {banner}{}", log.seen);
            }
            if let Some((_, url)) = banner[begin..].trim_end().split_once("listening on ") {
                let url = url.to_owned();
                let address = url.split_once("://").map(|(_, address)| address.parse().unwrap());
                let address = address.unwrap_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
                banner.push_str(&String::from_utf8_lossy(output.buffer()));
                return Self { child, address, url, banner, rest: output.into_inner(), log };
            }
        }
    }

    pub fn id(&self) -> u32 {
        self.child.0.id()
    }

    /// Waits until it logs a line with these words, after all lines that were waited for before.
    pub fn logs(&self, words: &str) -> String {
        let mut log = self.log.lock().unwrap();
        while let Some(line) = log.next() {
            if line.contains(words) {
                return line;
            }
        }
        panic!("it ended and never said {words:?}: {}", log.seen);
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.0.id(), name);
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ended {
        let mut log = self.log.into_inner().unwrap();
        while log.next().is_some() {}
        let code = self.child.0.wait().unwrap().code();
        self.rest.read_to_string(&mut self.banner).unwrap();
        Ended { code, banner: self.banner, log: log.seen }
    }

    /// Ends it as a power cut does.
    pub fn kill(self) {
        self.signal("KILL");
        assert_eq!(self.ended().code, None);
    }

    /// Ends it in peace.
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body)
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        exchange(&mut self.connect(), method, path, headers, body)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

/// One request on a connection of its own, however it was made.
pub fn exchange(
    stream: &mut (impl Read + Write),
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("content-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    Answer::read(stream)
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn read(stream: &mut impl Read) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// Tells threads that a test is over, also when it fails.
#[derive(Default)]
pub struct Over(AtomicBool);

/// Tells them when it goes.
pub struct Ending<'a>(&'a Over);

impl Over {
    pub fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn at_the_end(&self) -> Ending<'_> {
        Ending(self)
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Every file under a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
