//! A browser without JavaScript: it keeps cookies, follows relative addresses, and sends forms as they stand in pages.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use capauth_tests::foreign::succeed;
use capauth_tests::http::{Answer, Client, send};

use crate::people::Key;
use crate::world::ORIGIN;

pub(crate) const LOGIN: &str = "/auth/capauth/login";
/// What a browser says when somebody follows a link.
pub(crate) const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

pub(crate) struct Browser {
    pub(crate) client: Client,
    /// What it says of the page that sends a form; nothing where this is empty.
    pub(crate) origin: String,
    pub(crate) cookies: BTreeMap<String, String>,
}

/// A page that somebody looks at.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// Where it is.
    pub(crate) path: String,
    pub(crate) answer: Answer,
    pub(crate) html: String,
}

impl Browser {
    pub(crate) fn of(client: &Client) -> Self {
        Self { client: client.clone(), origin: ORIGIN.to_owned(), cookies: BTreeMap::new() }
    }

    fn cookie(&self) -> String {
        let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    fn keep(&mut self, answer: &Answer) {
        for set in answer.headers.get_all("set-cookie") {
            let (pair, attributes) = set.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            match attributes.contains("Max-Age=0") {
                true => self.cookies.remove(name),
                false => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
    }

    /// Opens a page.
    pub(crate) async fn open(&mut self, path: &str) -> Page {
        let request = self.client.request("GET", path).header("accept", HTML).header("cookie", self.cookie());
        let answer = send(request).await;
        self.keep(&answer);
        Page { path: path.to_owned(), html: answer.text(), answer }
    }

    /// Sends the form of a page, with these fields filled in or added.
    pub(crate) async fn submit(&mut self, page: &Page, fill: &[(&str, &str)]) -> Page {
        let mut fields = page.fields();
        for (name, value) in fill {
            fields.insert((*name).to_owned(), (*value).to_owned());
        }
        self.post(&page.action(), &encoded(&fields)).await
    }

    /// Sends a form that is written already.
    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Page {
        let mut request = self
            .client
            .request("POST", path)
            .header("accept", HTML)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", self.cookie())
            .body(body.to_owned());
        if !self.origin.is_empty() {
            request = request.header("origin", &self.origin);
        }
        let answer = send(request).await;
        self.keep(&answer);
        Page { path: path.to_owned(), html: answer.text(), answer }
    }

    /// From the first page to the second: with the certificate, for a key that is new.
    pub(crate) async fn ask(&mut self, key: &Key) -> Page {
        let page = self.open(LOGIN).await;
        let fill = [("fingerprint", &*key.fingerprint), ("public_key", &key.certificate)];
        let page = self.submit(&page, &fill).await;
        assert_eq!(page.answer.status, 200, "{}", page.html);
        page
    }

    /// Pastes a signature into the second page.
    pub(crate) async fn sign(&mut self, page: &Page, key: &Key, at: SystemTime) -> Page {
        self.submit(page, &[("signature", &key.sign(&page.payload(), at))]).await
    }

    /// Who is signed in.
    pub(crate) async fn me(&self) -> Answer {
        send(self.client.request("GET", "/auth/capauth/me").header("cookie", self.cookie())).await
    }
}

impl Page {
    /// Where its form is sent, as the browser makes it out.
    pub(crate) fn action(&self) -> String {
        let form = tag(&self.html, "<form").expect("a form");
        assert!(form.contains("method=\"post\""), "{form}");
        self.resolve(&attribute(form, "action").expect("an action"))
    }

    /// A relative address on this page.
    pub(crate) fn resolve(&self, address: &str) -> String {
        let base = reqwest::Url::parse(&format!("https://a.example{}", self.path)).unwrap();
        let url = base.join(address).unwrap();
        assert_eq!(url.host_str(), Some("a.example"), "{address}");
        url.as_str().trim_start_matches("https://a.example").to_owned()
    }

    /// What stands in its form.
    pub(crate) fn fields(&self) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        for rest in self.html.split("<input").skip(1) {
            let tag = rest.split('>').next().unwrap();
            if let Some(name) = attribute(tag, "name") {
                fields.insert(name, attribute(tag, "value").unwrap_or_default());
            }
        }
        for rest in self.html.split("<textarea").skip(1) {
            let (tag, rest) = rest.split_once('>').unwrap();
            let text = rest.split_once("</textarea>").expect("it ends").0;
            let text = text.strip_prefix('\n').unwrap_or(text);
            fields.insert(attribute(tag, "name").unwrap(), unescaped(text));
        }
        fields
    }

    pub(crate) fn field(&self, name: &str) -> String {
        self.fields().remove(name).unwrap_or_else(|| panic!("no field {name}: {}", self.html))
    }

    /// The commands that it shows: for a POSIX shell, for PowerShell.
    pub(crate) fn commands(&self) -> Vec<String> {
        let commands = self.html.split("<pre><code translate=\"no\">").skip(1);
        let commands = commands.map(|rest| unescaped(rest.split("</code>").next().unwrap()));
        commands.filter(|command| command.contains("--detach-sign")).collect()
    }

    /// The text that its command signs, without gpg: what the shell prints.
    pub(crate) fn payload(&self) -> String {
        let command = self.commands().into_iter().next().unwrap_or_else(|| panic!("{}", self.html));
        let print = command.split_once(" | gpg ").expect("a command that prints and signs").0;
        String::from_utf8(succeed(Command::new("sh").args(["-c", print])).stdout).unwrap()
    }

    /// The whole command, run in a shell with the keys of this home.
    pub(crate) fn run(&self, shell: &str, home: &Path) -> String {
        let command = self.commands().remove(0);
        let output = succeed(Command::new(shell).args(["-c", &command]).env("GNUPGHOME", home));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What is said that went wrong; empty where nothing is.
    pub(crate) fn trouble(&self) -> String {
        let Some((_, rest)) = self.html.split_once("role=\"alert\">") else { return String::new() };
        let words = rest.split("</div>").next().unwrap();
        unescaped(&words.replace("<p>", "").replace("</p>", " "))
    }

    /// Fails unless it refuses with this status, and says why.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16) -> &Self {
        assert_eq!(self.answer.status, status, "{}", self.html);
        assert_eq!(self.answer.header("content-type"), "text/html; charset=utf-8");
        assert!(self.trouble().len() > 10, "{}", self.html);
        self
    }

    /// Fails unless somebody is signed in by it, and sent to this path.
    #[track_caller]
    pub(crate) fn signed_in(&self, path: &str) {
        assert_eq!((self.answer.status, self.answer.header("location")), (303, path), "{}", self.html);
    }
}

/// The first tag that begins so.
pub(crate) fn tag<'a>(html: &'a str, begins: &str) -> Option<&'a str> {
    let from = html.find(begins)?;
    html[from..].split('>').next()
}

/// An attribute's value.
pub(crate) fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(unescaped(rest.split('"').next()?))
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// Fields as a browser sends them: every line end is CRLF.
pub(crate) fn encoded(fields: &BTreeMap<String, String>) -> String {
    let one = |(name, value): (&String, &String)| {
        format!("{}={}", percent(name), percent(&value.replace('\n', "\r\n")))
    };
    fields.iter().map(one).collect::<Vec<_>>().join("&")
}

pub(crate) fn percent(text: &str) -> String {
    let code = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(code).collect()
}
