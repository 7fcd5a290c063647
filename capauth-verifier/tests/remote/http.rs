//! A small HTTP/1.1 server whose answers a test decides, and which remembers what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `GET /path`, without the query.
    pub(crate) line: String,
    pub(crate) query: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Json(u16, String),
    /// Bytes as they go over the wire; the connection ends after them.
    Raw(Vec<u8>),
    /// The connection ends without a word.
    HangUp,
    /// Nothing comes, and the connection stays.
    Silence,
}

impl Reply {
    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::Json(status, value.to_string())
    }

    pub(crate) fn raw(text: impl Into<String>) -> Self {
        Self::Raw(text.into().into_bytes())
    }
}

type Handler = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

#[derive(Default)]
struct Script {
    handlers: HashMap<String, Handler>,
    asked: Vec<Request>,
    down: bool,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::new(Mutex::new(Script::default()));
        let server = Self { url, script };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        server
    }

    /// Decides what a path answers from now on: `on("GET /path", …)`.
    pub(crate) fn on(&self, line: &str, handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        self.script.lock().unwrap().handlers.insert(line.to_owned(), Arc::new(handler));
    }

    pub(crate) fn always(&self, line: &str, reply: Reply) {
        self.on(line, move |_| reply.clone());
    }

    /// Hangs up on whoever comes.
    pub(crate) fn set_down(&self, down: bool) {
        self.script.lock().unwrap().down = down;
    }

    pub(crate) fn asked(&self, line: &str) -> Vec<Request> {
        let script = self.script.lock().unwrap();
        script.asked.iter().filter(|request| request.line == line).cloned().collect()
    }

    pub(crate) fn times(&self, line: &str) -> usize {
        self.asked(line).len()
    }

    pub(crate) fn times_in_all(&self) -> usize {
        self.script.lock().unwrap().asked.len()
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut read = Vec::new();
        while let Some(request) = next(&mut stream, &mut read).await {
            let handler = {
                let mut script = self.script.lock().unwrap();
                if script.down {
                    return;
                }
                script.asked.push(request.clone());
                script.handlers.get(&request.line).cloned()
            };
            let not_found = || Reply::Json(404, String::from(r#"{"detail":"Not Found"}"#));
            match handler.map_or_else(not_found, |handler| handler(&request)) {
                Reply::Json(status, body) => {
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                        body.len()
                    );
                    if stream.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
                        return;
                    }
                }
                Reply::Raw(bytes) => {
                    let _ = stream.write_all(&bytes).await;
                    let _ = stream.shutdown().await;
                    return;
                }
                Reply::HangUp => return,
                Reply::Silence => std::future::pending().await,
            }
        }
    }
}

async fn next(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        more(stream, read).await?;
    };
    let head = String::from_utf8(read[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?, first.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while read.len() < end + 4 + length {
        more(stream, read).await?;
    }
    let body = String::from_utf8(read[end + 4..end + 4 + length].to_vec()).unwrap();
    read.drain(..end + 4 + length);
    Some(Request { line: format!("{method} {path}"), query: query.to_owned(), headers, body })
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 8192];
    let length = stream.read(&mut buffer).await.ok()?;
    read.extend_from_slice(&buffer[..length]);
    (length > 0).then_some(())
}
