//! Settings of how the service is reached that stop the start, and those beside them that do not.

use std::os::unix::fs::PermissionsExt;

use crate::support::Place;
use crate::support::tls::{Authority, Files};

#[test]
fn every_pair_of_files_that_tls_cannot_be_spoken_with_stops_the_start() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    let (issued, other) = (authority.issue(), authority.issue());
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMARKER\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let half = &issued.key[..issued.key.len() / 2];
    let large = "MARKER".repeat(100_000);
    let garbage = "-----BEGIN CERTIFICATE-----\nTUFSS0VS\n-----END CERTIFICATE-----\n";
    let cases = [
        (issued.chain.as_str(), other.key.as_str(), "CAPAUTH_TLS_KEY", "is not the key"),
        (&issued.chain, half, "CAPAUTH_TLS_KEY", "half"),
        (&issued.chain, locked, "CAPAUTH_TLS_KEY", "passphrase"),
        (&issued.chain, "MARKER", "CAPAUTH_TLS_KEY", "no private key"),
        (&issued.key, &issued.key, "CAPAUTH_TLS_CERT", "no certificate"),
        (garbage, &issued.key, "CAPAUTH_TLS_CERT", "no certificate"),
        (&issued.chain[..300], &issued.key, "CAPAUTH_TLS_CERT", "not whole"),
        (&large, &issued.key, "CAPAUTH_TLS_CERT", "too large"),
    ];
    for (cert, key, named, words) in cases {
        std::fs::write(&files.cert, cert).unwrap();
        std::fs::write(&files.key, key).unwrap();
        let error = place.refusal(&["--port", "0"], &files.settings());
        assert!(error.contains(named) && error.contains(words), "{error}");
        assert!(error.contains(place.folder.path().to_str().unwrap()), "{error}");
        assert!(!error.contains("MARKER") && !error.contains("BEGIN"), "{error}");
    }
    let missing = [("CAPAUTH_TLS_CERT", "/nowhere/cert.pem"), ("CAPAUTH_TLS_KEY", "/dev/null")];
    let error = place.refusal(&["--port", "0"], &missing);
    assert!(error.contains("CAPAUTH_TLS_CERT") && error.contains("/nowhere/cert.pem"), "{error}");
    std::fs::write(&files.cert, &issued.chain).unwrap();
    let [cert, _] = files.settings();
    let error = place.refusal(&["--port", "0"], &[cert, ("CAPAUTH_TLS_KEY", "/dev/null")]);
    assert!(error.contains("CAPAUTH_TLS_KEY") && error.contains("is no file"), "{error}");

    files.put(&issued);
    place.start(&files.settings()).stop();
}

#[test]
fn what_makes_no_sense_together_stops_the_start() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    files.put(&authority.issue());
    let [cert, key] = files.settings();
    let socket = ("CAPAUTH_SOCKET", "s");
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[cert], "CAPAUTH_TLS_KEY"),
        (&[key], "CAPAUTH_TLS_CERT"),
        (&[cert, key, ("CAPAUTH_INSECURE_HTTP", "true")], "CAPAUTH_INSECURE_HTTP"),
        (&[cert, key, socket], "CAPAUTH_PORT"),
        (&[("CAPAUTH_TRUSTED_PROXIES", "unix")], "CAPAUTH_SOCKET"),
        (&[socket, ("CAPAUTH_TRUSTED_PROXIES", "Unix")], "unix"),
        (&[socket, ("CAPAUTH_INSECURE_HTTP", "true")], "CAPAUTH_INSECURE_HTTP"),
    ];
    for (settings, words) in cases {
        let error = place.refusal::<&str>(&[], settings);
        assert!(error.contains(words), "{words}: {error}");
    }
    // A token that can be guessed, where a proxy hands the world on.
    let weak = ("CAPAUTH_ADMIN_TOKEN", "short");
    let error = place.refusal::<&str>(&[], &[socket, weak, ("CAPAUTH_TRUSTED_PROXIES", "unix")]);
    assert!(error.contains("CAPAUTH_ADMIN_TOKEN"), "{error}");
    let error = place.refusal::<&str>(&[], &[socket, weak, ("CAPAUTH_HOST", "0.0.0.0")]);
    assert!(error.contains("CAPAUTH_ADMIN_TOKEN"), "{error}");
}

#[test]
fn an_old_certificate_and_a_key_that_anybody_reads_are_spoken_of() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    files.put(&authority.issue_until(2020));
    std::fs::set_permissions(&files.key, PermissionsExt::from_mode(0o644)).unwrap();
    let banner = place.start(&files.settings()).stop().banner;
    assert!(banner.contains("has expired") && banner.contains("chmod o= "), "{banner}");
    files.put(&authority.issue());
    std::fs::set_permissions(&files.key, PermissionsExt::from_mode(0o640)).unwrap();
    let banner = place.start(&files.settings()).stop().banner;
    assert!(!banner.contains("expire") && !banner.contains("chmod"), "{banner}");
}

#[test]
fn flags_and_the_file_name_them_as_well() {
    let (place, authority) = (Place::new(), Authority::new());
    let files = Files::of(&place);
    files.put(&authority.issue());
    let toml = "port = 0\nsocket = \"s\"\ntls_cert = \"cert.pem\"\ntls_key = \"key.pem\"\n";
    let config = place.write("c.toml", &format!("{toml}trusted_proxies = [\"unix\", \"::1\"]\n"));
    let mut command = place.command();
    command.arg("--config").arg(config);
    let service = crate::support::Service::start(command);
    assert_eq!(authority.client().get(service.address, "/health").status, 200);
    let banner = service.stop().banner;
    assert!(banner.contains("and unix:s"), "{banner}");

    let error = place.refusal(&["--port", "0", "--tls-cert", "cert.pem", "--tls-key", "none.pem"], &[]);
    assert!(error.contains("--tls-key names none.pem"), "{error}");
}
