//! Sockets that a service manager opened and hands over.

use std::io::Write;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};

use crate::support::person::Person;
use crate::support::tls::{Authority, Files};
use crate::support::{Answer, Place, Service, exchange};

/// The service's command, which gets this open file as a service manager would hand it over: as number 3, with its own
/// process number in `LISTEN_PID`.
fn handed(place: &Place, file: impl Into<OwnedFd>, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new("sh");
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" 3<&0 0</dev/null";
    command.args(["-c", script, env!("CARGO_BIN_EXE_capauth-service")]);
    command.env_clear().env("HOME", place.folder.path()).current_dir(place.folder.path());
    command.envs(variables.iter().copied());
    command.stdin(Stdio::from(file.into())).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn refusal(command: Command) -> String {
    let mut command = command;
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn somebody_signs_in_at_a_socket_that_was_handed_over() {
    let place = Place::new();
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let service = Service::start(handed(&place, listener, &[("CAPAUTH_PORT", "1")]));
    assert_eq!(service.address, address);
    let login = Person::new().log_in_by(|path, body| service.post(path, body));
    assert_eq!(login.status, 200, "{login:?}");
    let banner = service.stop().banner;
    assert!(banner.contains("CAPAUTH_PORT does nothing"), "{banner}");
}

#[test]
fn whoever_comes_between_two_runs_is_answered_by_the_next() {
    let place = Place::new();
    let listener = listener();
    let address = listener.local_addr().unwrap();
    let again = || handed(&place, listener.try_clone().unwrap(), &[]);
    Service::start(again()).stop();
    let mut early = std::net::TcpStream::connect(address).unwrap();
    early.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let service = Service::start(again());
    assert_eq!(Answer::read(&mut early).status, 200);
    service.stop();
}

#[test]
fn a_unix_socket_that_was_handed_over_stays_as_it_is() {
    let place = Place::new();
    let path = place.path("handed.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o660)).unwrap();
    let service = Service::start(handed(&place, listener, &[("CAPAUTH_TRUSTED_PROXIES", "unix")]));
    assert_eq!(service.url, format!("unix:{}", path.display()));
    assert_eq!(exchange(&mut UnixStream::connect(&path).unwrap(), "GET", "/health", &[], "").status, 200);
    assert_eq!(service.stop().code, Some(0));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
}

#[test]
fn tls_is_spoken_on_a_tcp_socket_that_was_handed_over_and_needs_one() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    files.put(&authority.issue());
    let service = Service::start(handed(&place, listener(), &files.settings()));
    assert_eq!(authority.client().get(service.address, "/health").status, 200);
    service.stop();
    let unix = UnixListener::bind(place.path("handed.sock")).unwrap();
    let error = refusal(handed(&place, unix, &files.settings()));
    assert!(error.contains("CAPAUTH_TLS_CERT"), "{error}");
}

#[test]
fn what_does_not_listen_is_refused() {
    let place = Place::new();
    let (one, _other) = UnixStream::pair().unwrap();
    let tcp = listener();
    let connected = std::net::TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let files: [OwnedFd; 4] =
        [one.into(), connected.into(), file.into(), UnixDatagram::unbound().unwrap().into()];
    for file in files {
        let error = refusal(handed(&place, file, &[]));
        assert!(error.contains("LISTEN_FDS"), "{error}");
    }
}

#[test]
fn sockets_for_another_process_are_not_taken() {
    let place = Place::new();
    for (pid, sockets) in [("1", "1"), ("", "1"), ("x", "99999999999")] {
        let service = place.start(&[("LISTEN_PID", pid), ("LISTEN_FDS", sockets)]);
        assert_eq!(service.get("/health").status, 200);
        service.stop();
    }
}

/// *Attack: secrets that can be guessed, at a socket of which nobody here knows who reaches it.*
#[test]
fn attack_weak_secrets_are_refused_where_a_manager_decides_who_comes() {
    let place = Place::new();
    let error = refusal(handed(&place, listener(), &[("CAPAUTH_ADMIN_TOKEN", "short")]));
    assert!(error.contains("CAPAUTH_ADMIN_TOKEN"), "{error}");
    let error = refusal(handed(&place, listener(), &[("CAPAUTH_INSECURE_HTTP", "true")]));
    assert!(error.contains("CAPAUTH_INSECURE_HTTP"), "{error}");
    let unix = UnixListener::bind(place.path("handed.sock")).unwrap();
    let error = refusal(handed(&place, unix, &[("CAPAUTH_ADMIN_TOKEN", "short")]));
    assert!(error.contains("CAPAUTH_ADMIN_TOKEN"), "{error}");
    let long = ("CAPAUTH_ADMIN_TOKEN", "0123456789abcdef0123456789abcdef");
    Service::start(handed(&place, listener(), &[long])).stop();
}

/// Several at once, by the program that systemd has for it.
#[test]
fn systemd_hands_several_over() {
    let Ok(found) = Command::new("systemd-socket-activate").arg("--version").output() else {
        eprintln!("skipped: systemd-socket-activate is not here");
        return;
    };
    assert!(found.status.success());
    let place = Place::new();
    let unix = place.path("handed.sock");
    // It starts the service when somebody comes: its own port cannot be any, so one is borrowed.
    let address = listener().local_addr().unwrap();
    let mut command = Command::new("systemd-socket-activate");
    command.arg("-l").arg(address.to_string()).arg("-l").arg(&unix);
    command.arg(format!("-EHOME={}", place.folder.path().display()));
    command.arg(env!("CARGO_BIN_EXE_capauth-service"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let first = std::thread::spawn(move || {
        loop {
            if let Ok(mut stream) = std::net::TcpStream::connect(address) {
                return exchange(&mut stream, "GET", "/health", &[], "").status;
            }
            std::thread::yield_now();
        }
    });
    let service = Service::start(command);
    assert_eq!(first.join().unwrap(), 200);
    assert_eq!(exchange(&mut UnixStream::connect(&unix).unwrap(), "GET", "/health", &[], "").status, 200);
    let ended = service.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.banner.contains("and unix:"), "{}", ended.banner);
}
