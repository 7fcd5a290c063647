//! What a service manager hears and asks, spoken to by a socket of the test's own.

use std::os::unix::net::UnixDatagram;

use crate::support::tls::{Authority, Files};
use crate::support::{PATIENCE, Place, Service};

/// Where the service's messages come in.
struct Manager(UnixDatagram, String);

impl Manager {
    fn of(place: &Place) -> Self {
        let path = place.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket, path.to_str().unwrap().to_owned())
    }

    fn start(&self, place: &Place, more: &[(&str, &str)]) -> Service {
        place.start(&[&[("NOTIFY_SOCKET", self.1.as_str())], more].concat())
    }

    /// The next message, as its lines.
    fn hears(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.0.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap().lines().map(str::to_owned).collect()
    }

    fn hears_nothing(&self) {
        self.0.set_nonblocking(true).unwrap();
        let error = self.0.recv(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[test]
fn it_hears_when_the_service_answers_reads_again_and_stops() {
    let place = Place::new();
    let manager = Manager::of(&place);
    let service = manager.start(&place, &[]);
    let ready = ["READY=1".to_owned(), format!("STATUS=answers at http://{}", service.address)];
    assert_eq!(manager.hears(), ready);
    assert_eq!(service.get("/health").status, 200);

    // Also where there is nothing to read again, and SIGHUP ends nothing.
    for _ in 0..2 {
        service.signal("HUP");
        let reloading = manager.hears();
        assert_eq!(reloading[0], "RELOADING=1");
        let time = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
        assert!(time.parse::<u64>().unwrap() > 0);
        assert_eq!(manager.hears(), ready);
    }
    assert_eq!(service.get("/health").status, 200);
    service.signal("TERM");
    assert_eq!(manager.hears()[0], "STOPPING=1");
    assert_eq!(service.ended().code, Some(0));
    manager.hears_nothing();
}

#[test]
fn readiness_is_said_only_of_a_service_that_answers() {
    let place = Place::new();
    place.start(&[]).stop();
    let manager = Manager::of(&place);
    // It has its port when the stores turn out to be another key's.
    let other = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    place.refusal(&["--port", "0"], &[("CAPAUTH_MASTER_KEY", other), ("NOTIFY_SOCKET", &manager.1)]);
    manager.hears_nothing();
}

#[test]
fn what_was_asked_for_is_done_before_it_is_said_to_be() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    files.put(&authority.issue());
    let manager = Manager::of(&place);
    let service = manager.start(&place, &files.settings());
    assert!(manager.hears()[1].contains("https://"));
    let renewed = authority.issue();
    files.put(&renewed);
    service.signal("HUP");
    assert_eq!(manager.hears()[0], "RELOADING=1");
    assert_eq!(manager.hears()[0], "READY=1");
    assert_eq!(authority.client().shown(service.address), renewed.der);
    service.stop();
}

#[test]
fn it_hears_in_time_that_the_service_lives() {
    let place = Place::new();
    let manager = Manager::of(&place);
    let service = manager.start(&place, &[("WATCHDOG_USEC", "100000")]);
    let heard: Vec<_> = (0..5).map(|_| manager.hears().remove(0)).collect();
    assert_eq!(heard.iter().filter(|line| *line == "WATCHDOG=1").count(), 4, "{heard:?}");
    service.stop();
}

#[test]
fn a_manager_that_is_gone_keeps_nothing_from_running() {
    let place = Place::new();
    let service = place.start(&[("NOTIFY_SOCKET", "/nowhere/notify")]);
    assert_eq!(service.get("/health").status, 200);
    let ended = service.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.log.contains("NOTIFY_SOCKET"), "{}", ended.log);
}
