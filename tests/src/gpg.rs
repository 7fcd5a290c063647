//! GnuPG with a throw-away home.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A GnuPG home with keys of its own, and an agent that ends with it.
#[derive(Debug)]
pub struct Gpg {
    home: TempDir,
    passphrase: String,
}

impl Gpg {
    /// An empty home, whose keys need no passphrase.
    pub fn new() -> Self {
        Self::with_passphrase("")
    }

    /// An empty home, whose keys are protected by this passphrase.
    pub fn with_passphrase(passphrase: &str) -> Self {
        // The agent's sockets stand in the home, and a socket's path has about a hundred characters at most.
        let home = tempfile::Builder::new().prefix("cg").tempdir_in("/tmp").expect("a temporary folder");
        let write =
            |name: &str, text: &str| fs::write(home.path().join(name), text).expect("a file is written");
        write(
            "gpg-agent.conf",
            "allow-loopback-pinentry\ndefault-cache-ttl 0\nmax-cache-ttl 0\ndisable-scdaemon\n",
        );
        write("gpg.conf", "batch\nno-tty\nyes\nquiet\ntrust-model always\nno-auto-key-locate\n");
        Self { home, passphrase: passphrase.to_owned() }
    }

    /// The folder, for programs that find it in `GNUPGHOME`.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs gpg and answers what it prints.
    pub fn run(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = self
            .command("gpg")
            .args(["--pinentry-mode", "loopback", "--passphrase", &self.passphrase])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("gpg is missing: run `cargo xtask setup`");
        child.stdin.take().expect("stdin is piped").write_all(input).expect("gpg reads its input");
        let output = child.wait_with_output().expect("gpg ends");
        assert!(output.status.success(), "gpg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn text(&self, args: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.run(args, input)).expect("gpg prints text")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("GNUPGHOME", self.home()).env("LC_ALL", "C");
        command
    }

    /// Makes a key that signs and certifies (`ed25519`, `rsa3072`, `nistp256`); answers its fingerprint.
    pub fn generate(&self, user_id: &str, algorithm: &str) -> String {
        self.run(&["--quick-gen-key", user_id, algorithm, "sign,cert", "never"], b"");
        self.fingerprint(user_id)
    }

    /// Makes a key as of `days` ago.
    pub fn generate_days_ago(&self, user_id: &str, days: u64) -> String {
        self.at_days_ago(days, &["--quick-gen-key", user_id, "ed25519", "sign,cert", "never"]);
        self.fingerprint(user_id)
    }

    /// Makes a primary key that only certifies, with a subkey that signs; answers the primary's fingerprint.
    pub fn generate_with_signing_subkey(&self, user_id: &str) -> String {
        self.run(&["--quick-gen-key", user_id, "ed25519", "cert", "never"], b"");
        let fingerprint = self.fingerprint(user_id);
        self.run(&["--quick-add-key", &fingerprint, "ed25519", "sign", "never"], b"");
        fingerprint
    }

    /// The fingerprint of the primary key of this User ID.
    pub fn fingerprint(&self, user_id: &str) -> String {
        let listing = self.text(&["--with-colons", "--list-keys", &format!("={user_id}")], b"");
        let line =
            listing.lines().find(|line| line.starts_with("fpr:")).expect("a fingerprint in the listing");
        line.split(':').nth(9).expect("the tenth field").to_owned()
    }

    /// Lets the key be expired since long: an expiry set the day before yesterday, for an hour. The key must be older.
    pub fn expire(&self, fingerprint: &str) {
        self.at_days_ago(2, &["--quick-set-expire", fingerprint, "seconds=3600"]);
    }

    /// Revokes the key for good, with the certificate that gpg made together with it.
    pub fn revoke(&self, fingerprint: &str) {
        let path = self.home().join(format!("openpgp-revocs.d/{fingerprint}.rev"));
        let revocation = fs::read_to_string(path).expect("gpg made a revocation certificate");
        // gpg puts a colon before the armour against accidents.
        self.run(&["--import"], revocation.replace(":-----BEGIN", "-----BEGIN").as_bytes());
    }

    /// The armoured certificate.
    pub fn export(&self, fingerprint: &str) -> String {
        self.text(&["--armor", "--export", fingerprint], b"")
    }

    /// The armoured secret key.
    pub fn export_secret(&self, fingerprint: &str) -> String {
        self.text(&["--armor", "--export-secret-keys", fingerprint], b"")
    }

    /// A detached signature.
    pub fn detach_sign(&self, fingerprint: &str, data: &[u8]) -> String {
        self.sign(fingerprint, &["--detach-sign"], data)
    }

    /// A detached signature over text: type 0x01.
    pub fn detach_sign_text(&self, fingerprint: &str, data: &[u8]) -> String {
        self.sign(fingerprint, &["--textmode", "--detach-sign"], data)
    }

    /// A message that holds the data and its signature, compressed.
    pub fn inline_sign(&self, fingerprint: &str, data: &[u8]) -> String {
        self.sign(fingerprint, &["--compress-algo", "zip", "--sign"], data)
    }

    /// A cleartext-signed message.
    pub fn clear_sign(&self, fingerprint: &str, data: &[u8]) -> String {
        self.sign(fingerprint, &["--clearsign"], data)
    }

    fn sign(&self, fingerprint: &str, how: &[&str], data: &[u8]) -> String {
        let args = [&["--armor", "--local-user", fingerprint], how].concat();
        self.text(&args, data)
    }

    fn at_days_ago(&self, days: u64, args: &[&str]) {
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
        let then = (now.as_secs() - days * 24 * 3600).to_string();
        self.run(&[&["--faked-system-time", then.as_str()], args].concat(), b"");
    }
}

impl Default for Gpg {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let mut gpgconf = self.command("gpgconf");
        // Without an agent there is nothing to end.
        let _ = gpgconf.args(["--kill", "all"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
