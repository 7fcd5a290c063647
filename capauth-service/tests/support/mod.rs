//! The real binary, and a client that knows just enough HTTP.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
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

/// Lets a command end, and ends it when it does not.
fn output_of(mut command: Command) -> Output {
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
    pub address: SocketAddr,
    /// What it printed up to and with the line that says where it listens, and all after it.
    banner: String,
    rest: std::process::ChildStdout,
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
        let mut output = BufReader::new(child.0.stdout.take().unwrap());
        let mut banner = String::new();
        loop {
            let begin = banner.len();
            let read = output.read_line(&mut banner).unwrap();
            if read == 0 {
                let mut log = String::new();
                child.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
                panic!("it did not start: {banner}{log}");
            }
            if let Some((_, address)) = banner[begin..].trim_end().split_once("listening on http://") {
                let address = address.parse().unwrap();
                banner.push_str(&String::from_utf8_lossy(output.buffer()));
                return Self { child, address, banner, rest: output.into_inner() };
            }
        }
    }

    pub fn signal(&self, name: &str) {
        signal(self.child.0.id(), name);
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Ended {
        let (sender, receiver) = mpsc::channel();
        let id = self.child.0.id();
        let mut stderr = self.child.0.stderr.take().unwrap();
        std::thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            let code = self.child.0.wait().unwrap().code();
            self.rest.read_to_string(&mut self.banner).unwrap();
            sender.send(Ended { code, log, banner: std::mem::take(&mut self.banner) })
        });
        receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            signal(id, "KILL");
            panic!("it did not end");
        })
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
        let mut stream = self.connect();
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).unwrap();
        Answer::read(&mut stream)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Answer {
    pub fn read(stream: &mut TcpStream) -> Self {
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

/// Every file under a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
