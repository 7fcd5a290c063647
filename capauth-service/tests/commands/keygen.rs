//! `keygen`: a key is made, the service signs with it, and real gpg verifies what it signed.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::person::{Person, payload};
use crate::support::{Place, Variables};
use crate::terminal::asked_in_secret;

const PASSPHRASE: (&str, &str) = ("CAPAUTH_SERVER_KEY_PASSPHRASE", "correct horse battery staple");
const ID: (&str, &str) = ("CAPAUTH_SERVICE_ID", "auth.example.com");
const FILE: (&str, &str) = ("CAPAUTH_SERVER_KEY_FILE", "server-key.asc");

fn gpg(place: &Place, arguments: &[&str]) -> (bool, String) {
    let home = place.path("gpg");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new("gpg");
    command.args(["--batch", "--no-autostart", "--status-fd", "1", "--homedir"]).arg(&home).args(arguments);
    let output = command.current_dir(place.folder.path()).output().expect("gpg is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_service_signs_with_a_made_key_and_gpg_verifies_it() {
    let place = Place::new();
    let made = place.run(
        &["keygen", "--output", "server-key.asc", "--certificate", "server.asc", "--json"],
        &[ID, PASSPHRASE],
    );
    let made: serde_json::Value = serde_json::from_str(&made.good()).unwrap();
    let fingerprint = made["fingerprint"].as_str().unwrap();
    let certificate = std::fs::read_to_string(place.path("server.asc")).unwrap();
    assert_eq!(made["certificate"], certificate.as_str());
    let secret = std::fs::read_to_string(place.path("server-key.asc")).unwrap();
    assert!(secret.starts_with("-----BEGIN PGP PRIVATE KEY BLOCK-----") && !certificate.contains("PRIVATE"));
    let mode = std::fs::metadata(place.path("server-key.asc")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let service = place.start(&[ID, PASSPHRASE, FILE]);
    let well_known = service.get("/capauth/v1/well-known").json();
    assert_eq!(well_known["server_fingerprint"], fingerprint);
    assert_eq!(well_known["server_public_key"], certificate.as_str());
    let challenge = Person::new().ask(&service).json();
    assert_eq!(challenge["server_public_key"], certificate.as_str());
    service.stop();

    place.write("signed", &payload(&challenge));
    place.write("forged", &payload(&challenge).replace("auth.example.com", "evil.example.com"));
    place.write("signature", challenge["server_signature"].as_str().unwrap());
    let (imported, said) = gpg(&place, &["--import", "server.asc"]);
    assert!(imported && said.contains("CapAuth server auth.example.com"), "{said}");
    let (verified, said) = gpg(&place, &["--verify", "signature", "signed"]);
    assert!(verified && said.contains(&format!("VALIDSIG {fingerprint}")), "{said}");
    let (verified, said) = gpg(&place, &["--verify", "signature", "forged"]);
    assert!(!verified && said.contains("BADSIG"), "{said}");
}

#[test]
fn without_a_file_for_it_the_certificate_is_what_standard_output_has() {
    let place = Place::new();
    let made = place.run(&["keygen", "-o", "server-key.asc", "--service-id", "auth.example.com"], &[]);
    assert!(
        made.err.contains("CAPAUTH_SERVER_KEY_FILE=/") && made.err.contains("server_key_file"),
        "{made:?}"
    );
    let certificate = made.good();
    assert!(certificate.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----"), "{certificate}");
    assert!(certificate.trim_end().ends_with("-----END PGP PUBLIC KEY BLOCK-----"), "{certificate}");
    let service = place.start(&[FILE]);
    assert_eq!(service.get("/capauth/v1/well-known").json()["server_public_key"], certificate.as_str());
    service.stop();
}

#[test]
fn a_passphrase_that_does_not_open_the_key_stops_the_start() {
    let place = Place::new();
    place.run(&["keygen", "-o", "server-key.asc"], &[PASSPHRASE]).good();
    for wrong in [&[FILE][..], &[FILE, ("CAPAUTH_SERVER_KEY_PASSPHRASE", "MARKER")]] {
        let error = place.refusal(&["--port", "0"], wrong);
        assert!(error.contains("CAPAUTH_SERVER_KEY_PASSPHRASE") && !error.contains("MARKER"), "{error}");
    }
    place.start(&[FILE, PASSPHRASE]).stop();
}

#[test]
fn nothing_that_is_there_is_overwritten_and_nothing_half_made_stays() {
    let place = Place::new();
    for name in ["server-key.asc", "server.asc"] {
        place.write(name, "precious");
        let refused = place.run(&["keygen", "-o", "server-key.asc", "-c", "server.asc"], &[]).refused(1);
        assert!(refused.contains(name) && refused.contains("not overwritten"), "{refused}");
        assert_eq!(place.files(), [place.path(name)]);
        assert_eq!(std::fs::read_to_string(place.path(name)).unwrap(), "precious");
        std::fs::remove_file(place.path(name)).unwrap();
    }
    assert!(place.run(&["keygen", "-o", "nowhere/key.asc"], &[]).refused(1).contains("nowhere"));
    place.run(&["keygen", "-o", "server-key.asc", "-c", "server.asc"], &[]).good();
}

#[test]
fn a_passphrase_is_asked_for_twice_at_a_terminal_alone() {
    let place = Place::new();
    let ask = "keygen -o server-key.asc -c server.asc --ask-passphrase";
    let typed = |first, second| asked_in_secret(&place, ask, &[("Passphrase", first), ("again", second)]);
    let differing = typed("one", "other");
    assert_eq!(differing.code, Some(1));
    assert!(differing.out.contains("differ") && place.files().is_empty(), "{differing:?}");
    let empty = asked_in_secret(&place, ask, &[("Passphrase", "")]);
    assert_eq!(empty.code, Some(1));
    assert!(place.files().is_empty(), "{empty:?}");
    let good = typed(PASSPHRASE.1, PASSPHRASE.1);
    assert!(!good.out.contains(PASSPHRASE.1), "what is typed is not shown: {good:?}");
    assert!(good.good().contains("CAPAUTH_SERVER_KEY_PASSPHRASE"));
    place.start(&[FILE, PASSPHRASE]).stop();
}

#[test]
fn senseless_requests_are_refused_and_make_nothing() {
    let place = Place::new();
    let cases: [(&[&str], Variables<'_>); 4] = [
        (&["keygen", "-o", "k", "--service-id", "Alice <alice@example.com>"], &[]),
        (&["keygen", "-o", "k", "--ask-passphrase"], &[PASSPHRASE]),
        (&["keygen", "-o", "k", "--server-key-passphrase-file", "missing"], &[]),
        (&["keygen", "-o", "k", "--config", "missing"], &[]),
    ];
    for (arguments, variables) in cases {
        place.run(arguments, variables).refused(2);
    }
    assert_eq!(place.run(&["keygen"], &[]).code, Some(2));
    let flag = place.run(&["keygen", "-o", "k", "--passphrase", "MARKER"], &[]);
    assert_eq!(flag.code, Some(2), "a passphrase is no flag: {flag:?}");
    assert!(place.files().is_empty());
}
