//! `keys list` and `keys show`, and databases that are not there or not to be opened.

use std::io::{BufRead as _, BufReader};

use serde_json::Value;

use crate::support::person::Person;
use crate::support::{Place, Service};

const DATABASE: &str = ".capauth/service/keys.db";

fn lines(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn enrolled(place: &Place, service: &Service, how_many: usize) -> Vec<String> {
    let people: Vec<_> = (0..how_many).map(|_| Person::new()).collect();
    people.iter().for_each(|person| {
        person.log_in(service);
    });
    let mut fingerprints: Vec<_> = people.iter().map(Person::fingerprint).collect();
    fingerprints.sort();
    assert!(place.path(DATABASE).exists());
    fingerprints
}

#[test]
fn keys_are_listed_whether_the_service_runs_or_not() {
    let place = Place::new();
    let service = place.start(&[]);
    let fingerprints = enrolled(&place, &service, 3);
    let listed = |arguments: &[&str]| {
        lines(&place.run(&[&["keys", "list", "--json"], arguments].concat(), &[]).good())
    };
    let names = |keys: Vec<Value>| -> Vec<String> {
        keys.iter().map(|key| key["fingerprint"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(listed(&[])), fingerprints);
    service.stop();
    assert_eq!(names(listed(&[])), fingerprints);
    assert!(listed(&["--pending"]).is_empty());
    assert_eq!(names(listed(&[&fingerprints[1]])), [fingerprints[1].clone()]);
    assert_eq!(names(listed(&[&fingerprints[1][..10].to_lowercase()])), [fingerprints[1].clone()]);

    let words = place.run(&["keys", "list"], &[]).good();
    assert_eq!(words.lines().count(), 4, "{words}");
    assert!(words.contains("approved") && !words.contains("MARKER"), "{words}");
    let shown = place.run(&["keys", "show", &fingerprints[0]], &[]).good();
    assert!(shown.contains(&fingerprints[0]) && shown.contains("enrolled"), "{shown}");
    assert!(place.run(&["keys", "list", "xyz"], &[]).refused(2).contains("hexadecimal"));
    assert!(place.run(&["keys", "show", &"00".repeat(20)], &[]).refused(1).contains("no key"));
}

/// More keys than are read at a time, and a reader that has seen enough.
#[test]
fn many_keys_are_listed_page_by_page() {
    let place = Place::new();
    place.start(&[]).stop();
    let url = format!("sqlite://{}", place.path(DATABASE).display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(enroll(&url, 1203));
    let listed = lines(&place.run(&["keys", "list", "--json"], &[]).good());
    let names: Vec<_> = listed.iter().map(|key| key["fingerprint"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 1203);
    assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]), "each once, in order");

    let mut command = place.command();
    let mut child = command.args(["keys", "list"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
}

async fn enroll(url: &str, how_many: u32) {
    use capauth_verifier::{Actor, Admission, NewKey, Note, Timestamp};
    let stores = capauth_store::open_existing(url, None).await.unwrap();
    let note = Note::new(Timestamp::from_unix(1_700_000_000), Actor::Shell);
    for number in 0..how_many {
        let mut bytes = [7; 20];
        bytes[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
        let key = NewKey {
            fingerprint: capauth_protocol::Fingerprint::from_bytes(&bytes).unwrap(),
            signing_keys: Vec::new(),
            certificate_digest: [0; 32],
            admission: Admission::Approved,
            tombstone: [0; 32],
        };
        stores.keys.enroll(&key, &note).await.unwrap();
    }
    stores.keys.flush().await.unwrap();
}

#[test]
fn a_database_that_is_not_there_is_not_made() {
    let place = Place::new();
    for arguments in [
        &["keys", "list"][..],
        &["keys", "list", "--db-path", "typo.db"],
        &["keys", "approve", &"00".repeat(20)],
    ] {
        let refused = place.run(arguments, &[]).refused(1);
        assert!(refused.contains("there is no database at"), "{refused}");
        assert!(place.files().is_empty());
    }
    let memory = place.run(&["keys", "list", "--database-url", "memory:"], &[]).refused(1);
    assert!(memory.contains("memory"), "{memory}");
}

#[test]
fn a_database_that_does_not_open_is_said_and_left_alone() {
    let place = Place::new();
    let service = place.start(&[]);
    let fingerprints = enrolled(&place, &service, 1);
    service.stop();
    place.write("text", "this is no database at all, whatever its name");
    std::fs::create_dir(place.path("folder")).unwrap();
    let list = |path: &str| place.run(&["keys", "list", "--db-path", path], &[]).refused(1);
    assert!(list("text").contains("text"));
    assert!(list("folder").contains("folder"));
    let other = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let wrong = place.run(&["keys", "revoke", "--yes", &fingerprints[0]], &[("CAPAUTH_MASTER_KEY", other)]);
    let wrong = wrong.refused(1);
    assert!(wrong.contains("master key") && !wrong.contains("0011"), "{wrong}");
    place.run(&["keys", "list"], &[("CAPAUTH_MASTER_KEY", "short")]).refused(2);
    // A mistake in a setting that has nothing to do with the data stops nobody.
    let listed = place.run(&["keys", "list"], &[("CAPAUTH_PORT", "many")]).good();
    assert!(listed.contains(&fingerprints[0]) && listed.contains("approved"), "{listed}");
    // Flags may stand before the command as well.
    let path = place.path(DATABASE);
    let listed =
        place.run(&["--db-path", path.to_str().unwrap(), "keys", "list"], &[("CAPAUTH_DB_PATH", "text")]);
    assert!(listed.good().contains(&fingerprints[0]));
}
