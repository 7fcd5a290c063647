//! `keys approve`, `revoke`, `groups`, `name`: decided in the shell, in force in the running service.

use std::time::Instant;

use serde_json::Value;

use crate::support::person::Person;
use crate::support::{PATIENCE, Place, Service};
use crate::terminal::at_a_terminal;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const ADMIN: (&str, &str) = ("CAPAUTH_ADMIN_TOKEN", TOKEN);
/// The same people sign in again and again here.
const UNLIMITED: (&str, &str) = ("CAPAUTH_NO_RATE_LIMITS", "true");

fn get(service: &Service, path: &str, token: &str) -> (u16, Value) {
    let answer = service.send("GET", path, &[("authorization", &format!("Bearer {token}"))], "");
    (answer.status, answer.json())
}

fn userinfo(service: &Service, token: &str) -> u16 {
    get(service, "/capauth/v1/userinfo", token).0
}

/// Asks with a token again and again until it is refused, which takes a second at most.
fn ends(service: &Service, token: &str) {
    let begin = Instant::now();
    while userinfo(service, token) != 401 {
        assert!(begin.elapsed() < PATIENCE, "the token does not end");
    }
}

/// Tries to sign in until it is refused for the key's revocation, which takes a second at most.
fn is_revoked(service: &Service, person: &Person) {
    let begin = Instant::now();
    while person.log_in(service).json()["error"] != "key_revoked" {
        assert!(begin.elapsed() < PATIENCE, "the key still signs in");
    }
}

fn last_audit(service: &Service) -> (String, String) {
    let (_, log) = get(service, "/capauth/v1/audit", TOKEN);
    let last = log["entries"].as_array().unwrap().last().unwrap();
    (last["who"].as_str().unwrap().to_owned(), last["what"].as_str().unwrap().to_owned())
}

#[test]
fn attack_a_session_that_outlives_its_keys_revocation_in_the_shell() {
    let place = Place::new();
    let service = place.start(&[ADMIN, UNLIMITED, ("CAPAUTH_AUDIT_FILE", "audit.jsonl")]);
    let (thief, friend) = (Person::new(), Person::new());
    let (stolen, kept) = (thief.token(&service), friend.token(&service));
    // Seen before, so that the service has it in memory.
    assert_eq!((userinfo(&service, &stolen), userinfo(&service, &kept)), (200, 200));
    let said = place.run(&["keys", "revoke", "--yes", &thief.fingerprint()], &[]).good();
    assert!(said.contains("revoked") && said.contains(&thief.fingerprint()), "{said}");
    ends(&service, &stolen);
    is_revoked(&service, &thief);
    assert_eq!((userinfo(&service, &kept), friend.log_in(&service).status), (200, 200), "nobody else's");
    let (_, log) = get(&service, "/capauth/v1/audit", TOKEN);
    let revoked = log["entries"].as_array().unwrap().iter().find(|entry| entry["what"] == "revoked").unwrap();
    assert_eq!(revoked["who"], "shell");
    service.stop();
    let file = std::fs::read_to_string(place.path("audit.jsonl")).unwrap();
    let lines: Vec<&str> = file.lines().filter(|line| line.contains("\"shell\"")).collect();
    assert_eq!(lines.len(), 1, "the service writes it into its file, once: {file}");
    assert!(!file.contains(&thief.fingerprint()));
}

#[test]
fn keys_that_wait_are_let_in_several_at_once() {
    let place = Place::new();
    let service = place.start(&[ADMIN, UNLIMITED, ("CAPAUTH_REQUIRE_APPROVAL", "true")]);
    let (alice, bob, eve) = (Person::new(), Person::new(), Person::new());
    for person in [&alice, &bob, &eve] {
        assert_eq!(person.log_in(&service).status, 403);
    }
    let pending = || place.run(&["keys", "list", "--pending", "--json"], &[]).good().lines().count();
    assert_eq!(pending(), 3);
    // Unquoted, as GnuPG prints it.
    let printed = alice.certificate.fingerprint().to_spaced_hex();
    let mut arguments = vec!["keys", "approve"];
    arguments.extend(printed.split_whitespace());
    let bobs = bob.fingerprint().to_lowercase();
    arguments.push(&bobs);
    let said = place.run(&arguments, &[]).good();
    assert_eq!(said.matches("approved").count(), 2, "{said}");
    assert_eq!(pending(), 1);
    assert_eq!(last_audit(&service), ("shell".to_owned(), "approved".to_owned()));
    for (person, status) in [(&alice, 200), (&bob, 200), (&eve, 403)] {
        let begin = Instant::now();
        while person.log_in(&service).status != status {
            assert!(begin.elapsed() < PATIENCE, "not within a second");
        }
    }
    // One that is not there: nothing is done for the other either.
    let refused = place.run(&["keys", "approve", &eve.fingerprint(), &"00".repeat(20)], &[]).refused(1);
    assert!(refused.contains("no key 0000"), "{refused}");
    assert_eq!(pending(), 1);
    service.stop();
}

#[test]
fn what_is_revoked_stays_revoked() {
    let place = Place::new();
    let service = place.start(&[UNLIMITED]);
    let person = Person::new();
    person.token(&service);
    place.run(&["keys", "revoke", "-y", &person.fingerprint()], &[]).good();
    let refused = place.run(&["keys", "approve", &person.fingerprint()], &[]).refused(1);
    assert!(refused.contains("revoked"), "{refused}");
    is_revoked(&service, &person);
    service.stop();
}

#[test]
fn revoking_is_confirmed_at_a_terminal_or_by_a_flag() {
    let place = Place::new();
    let service = place.start(&[UNLIMITED]);
    let person = Person::new();
    person.token(&service);
    let state = || place.run(&["keys", "list"], &[]).good().contains("revoked");
    let refused = place.run(&["keys", "revoke", &person.fingerprint()], &[]).refused(2);
    assert!(refused.contains("--yes"), "{refused}");
    let command = format!("keys revoke {}", person.fingerprint());
    for no in ["", "no", "y", "yes please"] {
        let said = at_a_terminal(&place, &command, &[("Type yes:", no)]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.out.contains("nothing was revoked") && !state(), "{said:?}");
    }
    let said = at_a_terminal(&place, &command, &[("Type yes:", "yes")]).good();
    assert!(said.contains("for good") && state(), "{said}");
    service.stop();
}

#[test]
fn groups_are_shown_set_added_and_taken_away() {
    let place = Place::new();
    let service = place.start(&[UNLIMITED]);
    let person = Person::new();
    person.token(&service);
    let fingerprint = person.fingerprint();
    let groups = |arguments: &[&str]| {
        let said = place.run(&[&["keys", "groups", fingerprint.as_str()], arguments].concat(), &[]).good();
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(groups(&[]).is_empty());
    assert_eq!(groups(&["staff", "admins"]), ["admins", "staff"]);
    assert_eq!(groups(&["--add", "humans,staff", "--remove", "admins"]), ["humans", "staff"]);
    // What was granted is in what an application hears; what is taken away ends what was given out.
    let begin = Instant::now();
    let token = loop {
        let token = person.token(&service);
        let (status, info) = get(&service, "/capauth/v1/token-info", &token);
        if status == 200 && info["groups"] == serde_json::json!(["humans", "staff"]) {
            break token;
        }
        assert!(begin.elapsed() < PATIENCE, "{info}");
    };
    assert_eq!(groups(&["--remove", "staff"]), ["humans"]);
    ends(&service, &token);
    assert!(groups(&["--none"]).is_empty());
    for bad in
        [&["a b"][..], &["a", "a"], &[""], &["--add", "é"], &["a", "--add", "b"], &["--none", "--add", "b"]]
    {
        let said = place.run(&[&["keys", "groups", fingerprint.as_str()], bad].concat(), &[]);
        assert_eq!(said.code, Some(2), "{bad:?} {said:?}");
    }
    assert!(groups(&[]).is_empty());
    service.stop();
}

#[test]
fn attack_of_two_who_change_groups_at_once_one_is_not_heard() {
    let place = Place::new();
    let service = place.start(&[UNLIMITED]);
    let person = Person::new();
    person.token(&service);
    service.stop();
    let fingerprint = person.fingerprint();
    place.run(&["keys", "groups", &fingerprint, "admins", "staff"], &[]).good();
    std::thread::scope(|scope| {
        scope.spawn(|| place.run(&["keys", "groups", &fingerprint, "--remove", "admins"], &[]).good());
        for n in 0..8 {
            let (place, fingerprint) = (&place, &fingerprint);
            scope.spawn(move || {
                place.run(&["keys", "groups", fingerprint, "--add", &format!("g{n}")], &[]).good()
            });
        }
    });
    let groups = place.run(&["keys", "groups", &fingerprint], &[]).good();
    assert_eq!(groups.lines().collect::<Vec<_>>(), ["g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7", "staff"]);
}

#[test]
fn names_are_given_to_one_identity_and_not_just_any_name() {
    let place = Place::new();
    let service = place.start(&[UNLIMITED]);
    let (alice, bob) = (Person::new(), Person::new());
    alice.token(&service);
    bob.token(&service);
    service.stop();
    let name = |person: &Person, arguments: &[&str]| {
        place.run(&[&["keys", "name", person.fingerprint().as_str()], arguments].concat(), &[])
    };
    assert_eq!(name(&alice, &["alice"]).good(), "alice\n");
    assert_eq!(name(&alice, &[]).good(), "alice\n");
    assert!(name(&bob, &["alice"]).refused(1).contains("not given twice"));
    assert!(name(&bob, &["root"]).refused(2).contains("reserved"));
    assert!(name(&bob, &["Bob B"]).refused(2).contains("small letters"));
    assert_eq!(name(&alice, &["--remove"]).good(), "");
    assert!(name(&bob, &["alice"]).refused(1).contains("not given twice"), "not even then");
    assert_eq!(name(&bob, &["bob"]).good(), "bob\n");
}
