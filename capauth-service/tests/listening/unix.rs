//! The Unix socket.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::person::Person;
use crate::support::{Answer, Over, PATIENCE, Place, Service, exchange};

fn socket_of(place: &Place) -> PathBuf {
    place.path("capauth.sock")
}

/// A service at a Unix socket alone.
fn start(place: &Place, variables: &[(&str, &str)]) -> Service {
    let mut command = place.command();
    command.env("CAPAUTH_SOCKET", socket_of(place)).envs(variables.iter().copied());
    Service::start(command)
}

fn refusal(place: &Place) -> String {
    place.refusal::<&str>(&[], &[("CAPAUTH_SOCKET", socket_of(place).to_str().unwrap())])
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn get(socket: &Path, path: &str) -> Answer {
    exchange(&mut connect(socket), "GET", path, &[], "")
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn somebody_signs_in_over_the_socket_and_it_goes_with_the_service() {
    let place = Place::new();
    let socket = socket_of(&place);
    // This user alone reaches it, so a short token will do.
    let service = start(&place, &[("CAPAUTH_ADMIN_TOKEN", "short")]);
    assert_eq!(service.url, format!("unix:{}", socket.display()));
    assert_eq!(mode(&socket), 0o600);
    let headers = [("content-type", "application/json")];
    let post = |path: &str, body: &str| exchange(&mut connect(&socket), "POST", path, &headers, body);
    let login = Person::new().log_in_by(post);
    assert_eq!((login.status, &login.json()["authenticated"]), (200, &true.into()), "{login:?}");
    let ended = service.stop();
    assert_eq!(ended.code, Some(0));
    assert!(!socket.exists());
    assert!(ended.banner.contains("CAPAUTH_TRUSTED_PROXIES=unix") && !ended.banner.contains("http://"));
    // Nor is anything else left beside it.
    let left: Vec<_> =
        std::fs::read_dir(place.folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(left, [".capauth"]);
}

#[test]
fn socket_and_port_are_both_listened_at_when_both_are_set() {
    let place = Place::new();
    let socket = socket_of(&place);
    let service = place.start(&[("CAPAUTH_SOCKET", socket.to_str().unwrap())]);
    assert_eq!((service.get("/health").status, get(&socket, "/health").status), (200, 200));
    let banner = service.stop().banner;
    assert!(banner.contains(&format!("and unix:{}", socket.display())), "{banner}");
}

#[test]
fn the_socket_of_a_killed_process_is_replaced() {
    let place = Place::new();
    let socket = socket_of(&place);
    start(&place, &[]).kill();
    assert!(std::fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    let service = start(&place, &[]);
    assert_eq!((get(&socket, "/health").status, mode(&socket)), (200, 0o600));
    service.stop();
    assert!(!socket.exists());
}

#[test]
fn a_socket_where_somebody_answers_is_left_to_them() {
    let place = Place::new();
    let socket = socket_of(&place);
    let service = start(&place, &[]);
    let second = Place::new();
    let error = second.refusal::<&str>(&[], &[("CAPAUTH_SOCKET", socket.to_str().unwrap())]);
    assert!(error.contains("another program listens") && error.contains("CAPAUTH_SOCKET"), "{error}");
    assert!(error.contains(socket.to_str().unwrap()), "{error}");
    assert_eq!(get(&socket, "/health").status, 200);
    service.stop();
    // Also one that does not come to answering.
    let listener = UnixListener::bind(&socket).unwrap();
    assert!(refusal(&place).contains("another program listens"));
    drop(listener);
}

/// *Attack, or mishap: the service is made to delete what is no socket of its own.*
#[test]
fn attack_other_files_at_the_path_are_left_alone() {
    let place = Place::new();
    let socket = socket_of(&place);
    std::fs::write(&socket, "MARKER").unwrap();
    assert!(refusal(&place).contains("is no socket"));
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "MARKER");
    std::fs::remove_file(&socket).unwrap();

    let precious = place.write("precious", "MARKER");
    std::os::unix::fs::symlink(&precious, &socket).unwrap();
    assert!(refusal(&place).contains("is no socket"));
    assert_eq!(std::fs::read_to_string(&precious).unwrap(), "MARKER");
    std::fs::remove_file(&socket).unwrap();

    std::fs::create_dir(&socket).unwrap();
    assert!(refusal(&place).contains("is no socket"));
    std::fs::remove_dir(&socket).unwrap();

    // Nor what was put in its place while it ran.
    let service = start(&place, &[]);
    std::fs::remove_file(&socket).unwrap();
    std::fs::write(&socket, "MARKER").unwrap();
    service.stop();
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "MARKER");
}

#[test]
fn a_socket_that_cannot_be_is_said_in_one_line() {
    let place = Place::new();
    let long = place.path(&"a".repeat(120));
    for (path, words) in [
        ("/nowhere/at/all.sock", "folder does not exist"),
        (long.to_str().unwrap(), "too long"),
        ("@abstract", "abstract"),
    ] {
        let error = place.refusal::<&str>(&[], &[("CAPAUTH_SOCKET", path)]);
        assert!(error.contains(words) && error.contains("CAPAUTH_SOCKET"), "{error}");
    }
    let left = std::fs::read_dir(place.folder.path()).unwrap().count();
    assert_eq!(left, 0);
}

/// *Attack: another user connects in the moment between the socket's making and its mode.* The process allows everybody
/// everything that it does not forbid by itself.
#[test]
fn attack_nobody_else_reaches_the_socket_at_any_moment() {
    let place = Place::new();
    let folder = place.folder.path();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o777)).unwrap();
    let (over, seen) = (Over::default(), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| {
            while !over.is() {
                let open = open_sockets(folder, false, &seen);
                assert!(open.is_empty(), "others reach {open:?}");
            }
        });
        let ending = over.at_the_end();
        for _ in 0..5 {
            let mut command = Command::new("sh");
            let binary = env!("CARGO_BIN_EXE_capauth-service");
            command.args(["-c", "umask 000; exec \"$0\"", binary]).env_clear().env("HOME", folder);
            command.env("CAPAUTH_SOCKET", socket_of(&place)).env("CAPAUTH_DATABASE_URL", "memory:");
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            Service::start(command).stop();
        }
        drop(ending);
        watching.join().unwrap();
    });
    assert!(seen.load(Ordering::Relaxed) > 0, "the socket was seen");
}

/// Sockets below a folder that others may connect to, on their way and by their mode.
fn open_sockets(folder: &Path, closed: bool, seen: &AtomicUsize) -> Vec<PathBuf> {
    let mut open = Vec::new();
    for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Ok(file) = std::fs::symlink_metadata(&path) else { continue };
        let to_others = file.permissions().mode() & 0o077 != 0;
        if file.is_dir() {
            open.extend(open_sockets(&path, closed || !to_others, seen));
        } else if file.file_type().is_socket() {
            seen.fetch_add(1, Ordering::Relaxed);
            if to_others && !closed {
                open.push(path);
            }
        }
    }
    open
}

/// *Attack: whoever reaches the socket claims another's address.* Believed only where the operator says so.
#[test]
fn attack_an_address_is_believed_over_the_socket_only_by_name() {
    for (proxies, wanted) in
        [("127.0.0.1", None), ("unix", Some("203.0.113.")), ("unix,10.0.0.0/8", Some("203.0.113."))]
    {
        let place = Place::new();
        let socket = socket_of(&place);
        let audit = place.path("audit.jsonl");
        let service = start(
            &place,
            &[
                ("CAPAUTH_TRUSTED_PROXIES", proxies),
                ("CAPAUTH_AUDIT_NETWORK", "true"),
                ("CAPAUTH_AUDIT_FILE", audit.to_str().unwrap()),
            ],
        );
        let forwarded = [("content-type", "application/json"), ("x-forwarded-for", "127.0.0.1, 203.0.113.9")];
        let post = |path: &str, body: &str| exchange(&mut connect(&socket), "POST", path, &forwarded, body);
        assert_eq!(Person::new().log_in_by(post).status, 200);
        service.stop();
        let audit = std::fs::read_to_string(audit).unwrap();
        assert!(audit.lines().count() > 0);
        match wanted {
            Some(network) => assert!(audit.contains(network), "{audit}"),
            None => assert!(!audit.contains("203.0.113") && !audit.contains("127.0.0"), "{audit}"),
        }
    }
}
