//! When the files of a certificate have changed, and when what stands in them is to be used.

use super::files::{Content, Loaded, TlsError, TlsFiles};

/// What was seen, from look to look.
#[derive(Clone)]
pub(super) struct Replacing {
    used: [u8; 32],
    /// What the last look saw, unless that is used.
    seen: Option<Seen>,
    /// Whether that was dealt with: it is wrong, and was said to be.
    settled: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Seen {
    Content([u8; 32]),
    Unreadable(TlsError),
}

/// What follows from a look.
pub(super) enum Step {
    Nothing,
    /// New connections get this.
    Use(Loaded),
    /// The files have changed, and cannot be used.
    Complain(TlsError),
}

impl Replacing {
    pub(super) fn new(used: [u8; 32]) -> Self {
        Self { used, seen: None, settled: false }
    }

    /// Looks at the files. What is new is dealt with when it is seen for the second time, or when `at_once`.
    pub(super) fn look(&mut self, files: &TlsFiles, at_once: bool) -> Step {
        self.judge(files.read(), at_once, |content| files.fit(content))
    }

    fn judge(
        &mut self,
        look: Result<Content, TlsError>,
        at_once: bool,
        fit: impl FnOnce(&Content) -> Result<Loaded, TlsError>,
    ) -> Step {
        let seen = match &look {
            Ok(content) if content.digest == self.used => {
                self.seen = None;
                return Step::Nothing;
            }
            Ok(content) => Seen::Content(content.digest),
            Err(error) => Seen::Unreadable(error.clone()),
        };
        let again = self.seen.as_ref() == Some(&seen);
        self.settled &= again;
        self.seen = Some(seen);
        if !at_once && (self.settled || !again) {
            return Step::Nothing;
        }
        match look.and_then(|content| fit(&content)) {
            Ok(loaded) => {
                self.used = loaded.digest;
                self.seen = None;
                Step::Use(loaded)
            }
            Err(error) => {
                self.settled = true;
                Step::Complain(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Writes a certificate and its key.
    fn issue(folder: &Path) {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("cert.pem"), issued.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), issued.signing_key.serialize_pem()).unwrap();
    }

    fn start(folder: &Path) -> (TlsFiles, Replacing) {
        issue(folder);
        let named = |file: &str, place: &str| (folder.join(file), place.to_owned());
        let files = TlsFiles::new(named("cert.pem", "CAPAUTH_TLS_CERT"), named("key.pem", "CAPAUTH_TLS_KEY"));
        let used = files.load().unwrap_or_else(|e| panic!("{e}")).digest;
        (files, Replacing::new(used))
    }

    fn word(step: Step) -> String {
        match step {
            Step::Nothing => "nothing".to_owned(),
            Step::Use(_) => "use".to_owned(),
            Step::Complain(error) => error.to_string(),
        }
    }

    #[test]
    fn a_replacement_is_used_when_it_was_seen_twice_or_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (files, mut replacing) = start(folder.path());
        let mut look = |at_once| word(replacing.look(&files, at_once));
        assert_eq!([look(false), look(false), look(true)], ["nothing"; 3]);
        issue(folder.path());
        assert_eq!([look(false), look(false), look(false)], ["nothing", "use", "nothing"]);
        issue(folder.path());
        assert_eq!([look(true), look(false)], ["use", "nothing"]);
        // Once more while it is being looked at: the newer one is what must be seen twice.
        issue(folder.path());
        assert_eq!(look(false), "nothing");
        issue(folder.path());
        assert_eq!([look(false), look(false)], ["nothing", "use"]);
    }

    #[test]
    fn what_does_not_fit_is_said_once_and_tried_until_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let (files, mut replacing) = start(folder.path());
        let mut look = |at_once| word(replacing.look(&files, at_once));
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let (old_cert, old_key) = (std::fs::read(&cert).unwrap(), std::fs::read(&key).unwrap());
        issue(folder.path());
        let new_key = std::fs::read(&key).unwrap();

        // The key of another certificate; it is said again to whoever asks.
        std::fs::write(&key, &old_key).unwrap();
        assert_eq!(look(false), "nothing");
        let said = look(false);
        assert!(said.starts_with("CAPAUTH_TLS_KEY names ") && said.contains("cert.pem"), "{said}");
        assert_eq!(
            [look(false), look(true), look(false)],
            ["nothing".to_owned(), said, "nothing".to_owned()]
        );
        // Half of a key, and none.
        std::fs::write(&key, &new_key[..new_key.len() / 2]).unwrap();
        assert_eq!(look(false), "nothing");
        assert!(look(false).contains("CAPAUTH_TLS_KEY"));
        std::fs::remove_file(&key).unwrap();
        assert_eq!(look(false), "nothing");
        assert!(look(false).contains("cannot be read"));
        assert_eq!(look(false), "nothing");
        // The other half comes.
        std::fs::write(&key, &new_key).unwrap();
        assert_eq!([look(false), look(false)], ["nothing", "use"]);
        // And back to the first.
        std::fs::write(&cert, &old_cert).unwrap();
        std::fs::write(&key, &old_key).unwrap();
        assert_eq!([look(false), look(false)], ["nothing", "use"]);
    }
}
