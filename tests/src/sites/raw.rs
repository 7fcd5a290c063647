//! A client that sends exactly these bytes, over a connection of its own each time.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a test waits for an answer. It takes milliseconds; a machine that builds at once may need more.
const PATIENCE: Duration = Duration::from_secs(40);

/// A request in HTTP/1.1, byte by byte.
#[derive(Debug, Clone)]
pub struct Request {
    head: Vec<u8>,
    body: Vec<u8>,
    keep: bool,
    host: bool,
    waits: bool,
}

impl Request {
    /// A method and a target: `GET /me`.
    pub fn new(line: impl AsRef<[u8]>) -> Self {
        let head = [line.as_ref(), b" HTTP/1.1\r\n"].concat();
        Self { head, body: Vec::new(), keep: false, host: true, waits: false }
    }

    /// Adds a header as it is.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.host &= !name.eq_ignore_ascii_case("host");
        self.head.extend([name.as_bytes(), b": ", value.as_ref(), b"\r\n"].concat());
        self
    }

    /// Adds several headers.
    pub fn headers<'a>(self, headers: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> Self {
        headers.into_iter().fold(self, |request, (name, value)| request.header(name, value))
    }

    /// Adds a body, and its length.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { body: body.clone(), ..self.header("content-length", body.len().to_string()) }
    }

    /// Adds bytes behind the head that no header speaks of.
    pub fn then(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.body.extend(bytes.as_ref());
        self
    }

    /// Adds a body of JSON.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// Does not ask for the connection to be closed.
    pub fn keeping_alive(self) -> Self {
        Self { keep: true, ..self }
    }

    /// Sends the body once the server says `100 Continue`, and never without.
    pub fn waiting(self) -> Self {
        Self { waits: true, ..self.header("expect", "100-continue") }
    }

    fn head(&self) -> Vec<u8> {
        let host: &[u8] = if self.host { b"host: app.example.com\r\n" } else { b"" };
        let close: &[u8] = if self.keep { b"" } else { b"connection: close\r\n" };
        [&self.head[..], host, close, b"\r\n"].concat()
    }

    /// Sends it, and reads all that comes until the server closes the connection.
    pub async fn send(&self, address: SocketAddr) -> Answer {
        let mut heard = Vec::new();
        let ended = timeout(PATIENCE, self.exchange(address, &mut heard)).await;
        let told = || format!("{:?} of {address}: {:?}", self.line(), String::from_utf8_lossy(&heard));
        assert!(ended.is_ok(), "the connection does not end after {}", told());
        Answer::read(&heard).unwrap_or_else(|| panic!("no answer to {}", told()))
    }

    /// Sends it to a server that leaves the connection open, and looks for so long what it says.
    pub async fn send_in_vain(&self, address: SocketAddr, patience: Duration) -> Answer {
        let mut heard = Vec::new();
        let left_open = timeout(patience, self.exchange(address, &mut heard)).await.is_err();
        let continued = heard.starts_with(b"HTTP/1.1 100 ");
        let none = Answer { status: 0, continued, left_open, headers: Vec::new(), body: Vec::new() };
        Answer::read(&heard).map_or(none, |answer| Answer { left_open, ..answer })
    }

    async fn exchange(&self, address: SocketAddr, heard: &mut Vec<u8>) {
        let mut stream = TcpStream::connect(address).await.expect("the site accepts");
        let mut waits = self.waits;
        let sent = if waits { self.head() } else { [&self.head()[..], &self.body].concat() };
        // A server that has heard enough may close while this is still being written, or reset what it did not read.
        let _ = stream.write_all(&sent).await;
        while stream.read_buf(heard).await.is_ok_and(|bytes| bytes > 0) {
            if waits && heard.starts_with(b"HTTP/1.1 100 ") {
                let _ = stream.write_all(&self.body).await;
                waits = false;
            }
        }
    }

    fn line(&self) -> String {
        String::from_utf8_lossy(self.head.split(|byte| *byte == b'\r').next().unwrap_or_default())
            .into_owned()
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status of the last answer that is not interim.
    pub status: u16,
    /// Whether `100 Continue` came first.
    pub continued: bool,
    /// Whether the connection was still open when patience ended.
    pub left_open: bool,
    /// The headers in the order they came, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// All bytes that followed.
    pub body: Vec<u8>,
}

impl Answer {
    fn read(mut bytes: &[u8]) -> Option<Self> {
        let mut continued = false;
        loop {
            let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
            bytes = bytes.get(end + 4..)?;
            let mut lines = head.split("\r\n");
            let status: u16 = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
            if status == 100 {
                continued = true;
                continue;
            }
            let header = |line: &str| {
                let (name, value) = line.split_once(':')?;
                Some((name.to_ascii_lowercase(), value.trim().to_owned()))
            };
            let headers = lines.map(header).collect::<Option<_>>()?;
            return Some(Self { status, continued, left_open: false, headers, body: bytes.to_vec() });
        }
    }

    /// A header's value, empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The status, and the code of a refusal: `200`, `401 invalid_token`; `no answer` where there is none. `left open`
    /// where the connection does not end with it.
    pub fn brief(&self) -> String {
        if self.status == 0 {
            return "no answer".to_owned();
        }
        let body = self.json();
        let code = body["error"].as_str().map(|code| format!(" {code}")).unwrap_or_default();
        let left_open = if self.left_open { ", left open" } else { "" };
        format!("{}{code}{left_open}", self.status)
    }

    /// The cookie that is set, as it is sent back.
    pub fn cookie(&self) -> String {
        self.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
    }
}
