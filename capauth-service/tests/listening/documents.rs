//! The units for systemd, and the chapter on how the service is reached: what they say is so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::tls::{Authority, Files};
use crate::support::{Place, Service};

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(name: &str) -> String {
    let path = workspace().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn help() -> String {
    let output = Place::new().command().arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Words that begin with `prefix`, as settings are written.
fn words<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.split(|c| !of_a_word(c))
        .filter(|word| word.starts_with(prefix) && word.len() > prefix.len())
        .collect()
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect()
}

fn unit(kind: &str) -> String {
    read(&format!("contrib/systemd/capauth-service.{kind}"))
}

/// Lines of a unit: key and value.
fn entries(unit: &str) -> Vec<(&str, &str)> {
    let lines = unit.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
    lines.map(|line| line.split_once('=').unwrap_or_else(|| panic!("no entry: {line}"))).collect()
}

#[test]
fn every_setting_that_is_named_exists() {
    let (help, chapter) = (help(), read("docs/listening.md"));
    let service = unit("service");
    for text in [&chapter, &service, &unit("socket")] {
        for variable in words(text, "CAPAUTH_") {
            assert!(help.contains(variable), "{variable}");
        }
    }
    let start = entries(&service).into_iter().find(|(key, _)| *key == "ExecStart").unwrap().1;
    for flag in words(start, "--") {
        assert!(help.contains(flag), "{flag}");
    }
    assert!(words(&chapter, "CAPAUTH_").len() >= 8);
}

#[test]
fn the_units_are_what_systemd_understands_and_let_the_service_do_little() {
    let Ok(version) = Command::new("systemd-analyze").arg("--version").output() else {
        eprintln!("skipped: systemd-analyze is not here");
        return;
    };
    assert!(version.status.success());
    let place = Place::new();
    for kind in ["service", "socket"] {
        // Elsewhere than where it will be installed.
        let text = unit(kind).replace("/usr/bin/capauth-service", env!("CARGO_BIN_EXE_capauth-service"));
        place.write(&format!("capauth-service.{kind}"), &text);
    }
    let analyze = |arguments: &[&str], file: &str| {
        let mut command = Command::new("systemd-analyze");
        let output = command.args(arguments).arg(place.path(file)).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "{text}");
        text
    };
    for file in ["capauth-service.service", "capauth-service.socket"] {
        assert_eq!(analyze(&["verify", "--man=no"], file), "");
    }
    analyze(&["security", "--offline=yes", "--no-pager", "--threshold=15"], "capauth-service.service");
}

#[test]
fn the_units_and_the_chapter_name_the_same_places() {
    let (chapter, socket, service) = (read("docs/listening.md"), unit("socket"), unit("service"));
    let path = entries(&socket).into_iter().find(|(key, _)| *key == "ListenStream").unwrap().1.to_owned();
    let proxies = [blocks(&chapter, "nginx"), blocks(&chapter, "caddy")].concat();
    assert_eq!(proxies.len(), 4);
    let (by_socket, by_port): (Vec<_>, Vec<_>) = proxies.iter().partition(|block| block.contains("unix"));
    assert!(by_socket.iter().all(|block| block.contains(&path)) && by_socket.len() == 2, "{path}");
    assert!(by_port.iter().all(|block| block.contains("127.0.0.1:8420")), "the service's own port");
    for (key, value) in [("Type", "notify"), ("DynamicUser", "yes"), ("StateDirectory", "capauth")] {
        assert!(entries(&service).contains(&(key, value)), "{key}={value}");
    }
    for block in blocks(&chapter, "ini").iter().chain(&proxies) {
        assert_eq!(block.matches('{').count(), block.matches('}').count());
    }
}

/// Each block of settings, in a place where its folders stand and its ports are free.
#[test]
fn the_chapters_settings_start_a_service() {
    let chapter = read("docs/listening.md");
    let place = Place::new();
    let settings = blocks(&chapter, "sh").into_iter().filter(|block| block.starts_with("CAPAUTH_"));
    let mut started = 0;
    for block in settings {
        let block = block.replace("/run/capauth", place.folder.path().to_str().unwrap());
        let variables: Vec<_> = block.lines().map(|line| line.split_once('=').unwrap()).collect();
        let mut command = place.command();
        command.envs(variables.iter().copied());
        if !block.contains("CAPAUTH_SOCKET") {
            command.env("CAPAUTH_PORT", "0");
        }
        let banner = Service::start(command).stop().banner;
        assert!(!banner.contains("look like one") && banner.contains("auth.example.com"), "{banner}");
        started += 1;
    }
    assert_eq!(started, 2);

    let authority = Authority::new();
    let files = Files::of(&place);
    files.put(&authority.issue());
    let toml = blocks(&chapter, "toml").remove(0);
    let folder = "/etc/letsencrypt/live/auth.example.com/";
    let mut own = toml.replace("443", "0").replace("\"::\"", "\"127.0.0.1\"");
    for (name, file) in [("fullchain.pem", &files.cert), ("privkey.pem", &files.key)] {
        own = own.replace(&format!("{folder}{name}"), file.to_str().unwrap());
    }
    let config: PathBuf = place.write("c.toml", &own);
    let mut command = place.command();
    command.arg("--config").arg(config);
    let service = Service::start(command);
    assert_eq!(authority.client().get(service.address, "/health").status, 200);
    service.stop();
}
