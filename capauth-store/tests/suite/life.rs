use capauth_protocol::Fingerprint;
use capauth_verifier::{
    Actor, Admission, AuditEvent, AuditName, Changed, EnrolledKey, Enrollment, KeyFacts, KeyQuery, KeyRole,
    Link, NewCode, NewKey, Note, ROTATION_DOUBT, Revocation, Rotation, Stores, Timestamp, Unlink,
};
use tokio::task::JoinSet;

use super::helpers::{NOW, feed_after, fingerprint, new_key, note};
use super::{note_at, pending, tombstones};

async fn enroll_as(stores: &Stores, n: u8, admission: Admission) -> Enrollment {
    let key = NewKey { admission, ..new_key(stores, fingerprint(n)) };
    stores.keys.enroll(&key, &note()).await.unwrap()
}

async fn member(stores: &Stores, n: u8) -> EnrolledKey {
    match enroll_as(stores, n, Admission::Approved).await {
        Enrollment::Enrolled(key) => key,
        other => panic!("{other:?}"),
    }
}

async fn find(stores: &Stores, n: u8) -> EnrolledKey {
    stores.keys.find(&fingerprint(n)).await.unwrap().expect("the key is there")
}

async fn rotate(stores: &Stores, old: u8, new: u8, due: Option<Timestamp>) -> Changed {
    let old_revision = stores.keys.find(&fingerprint(old)).await.unwrap().map_or(0, |key| key.revision);
    let rotation =
        Rotation { old: fingerprint(old), old_revision, new: new_key(stores, fingerprint(new)), due };
    stores.keys.rotate(&rotation, &note()).await.unwrap()
}

async fn link(stores: &Stores, primary: u8, secondary: u8) -> Changed {
    let revision = async |n| stores.keys.find(&fingerprint(n)).await.unwrap().map(|key| key.revision);
    let secondary_revision = revision(secondary).await;
    let link = Link {
        primary: fingerprint(primary),
        primary_revision: revision(primary).await.unwrap_or(0),
        secondary: fingerprint(secondary),
        secondary_revision,
        new: secondary_revision.is_none().then(|| new_key(stores, fingerprint(secondary))),
    };
    stores.keys.link(&link, &note()).await.unwrap()
}

async fn unlink(stores: &Stores, primary: u8, secondary: u8) -> Changed {
    let unlink = Unlink { primary: fingerprint(primary), secondary: fingerprint(secondary) };
    stores.keys.unlink(&unlink, &note()).await.unwrap()
}

async fn revokes_itself(stores: &Stores, n: u8, at: Timestamp) {
    let key = find(stores, n).await;
    let facts = KeyFacts {
        fingerprint: key.fingerprint,
        revision: key.revision,
        signing_keys: key.signing_keys,
        certificate_digest: [9; 32],
        revoked_at: Some(at),
        ends_tokens: true,
    };
    assert!(stores.keys.update(&facts, &note_at(at)).await.unwrap());
}

async fn erase(stores: &Stores, n: u8) -> bool {
    stores.keys.erase(&fingerprint(n), &tombstones(stores), false, &note()).await.unwrap()
}

const fn done(n: Fingerprint) -> Changed {
    Changed::Done(n)
}

pub async fn a_new_key_takes_the_place_of_an_old_one(stores: Stores) {
    let before = member(&stores, 1).await;
    stores.keys.set_groups(&fingerprint(1), &["admins".to_owned()], &note()).await.unwrap();
    assert_eq!(rotate(&stores, 1, 2, None).await, done(fingerprint(1)));
    let (old, new) = (find(&stores, 1).await, find(&stores, 2).await);
    assert_eq!((old.role, new.role), (KeyRole::Archived(NOW), KeyRole::Primary));
    assert_eq!(new.identity.sub, fingerprint(1), "the identity stays");
    assert_eq!(new.identity.groups, ["admins"]);
    assert!(new.identity.generation > before.identity.generation, "every token ends");
    let told = Revocation::Generation { sub: fingerprint(1), generation: new.identity.generation };
    assert!(feed_after(&stores, 0).await.contains(&told));
    assert_eq!(stores.keys.count().await.unwrap(), 1);
    // And on: what was rotated away twice stays away.
    assert_eq!(rotate(&stores, 2, 3, None).await, done(fingerprint(1)));
    for (old, new) in [(1, 4), (2, 4), (3, 1), (3, 2), (3, 3), (9, 4)] {
        assert_ne!(rotate(&stores, old, new, None).await, done(fingerprint(1)), "{old} {new}");
    }
}

pub async fn only_an_unknown_key_takes_another_ones_place(stores: Stores) {
    for n in [1, 2, 5] {
        member(&stores, n).await;
    }
    enroll_as(&stores, 3, pending(1)).await;
    assert_eq!(rotate(&stores, 1, 2, None).await, Changed::Conflict, "another's key");
    assert_eq!(rotate(&stores, 1, 3, None).await, Changed::Conflict, "a pending key");
    assert_eq!(rotate(&stores, 3, 4, None).await, Changed::Conflict, "a pending key rotates");
    stores.keys.revoke(&fingerprint(5), &note()).await.unwrap();
    assert_eq!(rotate(&stores, 5, 4, None).await, Changed::Conflict, "a revoked key rotates");
    assert!(erase(&stores, 5).await);
    assert_eq!(rotate(&stores, 1, 5, None).await, Changed::Conflict, "a tombstone");
    let stale = Rotation {
        old: fingerprint(1),
        old_revision: find(&stores, 1).await.revision + 1,
        new: new_key(&stores, fingerprint(6)),
        due: None,
    };
    assert_eq!(stores.keys.rotate(&stale, &note()).await.unwrap(), Changed::Conflict, "old facts");
    assert_eq!(rotate(&stores, 1, 6, None).await, done(fingerprint(1)));
}

pub async fn a_rotation_waits_and_comes_due(stores: Stores) {
    member(&stores, 1).await;
    member(&stores, 7).await;
    let due = NOW.plus(1000);
    assert_eq!(rotate(&stores, 1, 2, Some(due)).await, done(fingerprint(1)));
    assert_eq!(find(&stores, 1).await.waiting, Some((fingerprint(2), due)));
    assert_eq!(find(&stores, 1).await.role, KeyRole::Primary, "nothing has changed yet");
    assert_eq!(enroll_as(&stores, 2, Admission::Approved).await, Enrollment::Tombstone);
    assert_eq!(rotate(&stores, 1, 3, Some(due)).await, Changed::Conflict, "one at a time");
    assert_eq!(rotate(&stores, 7, 2, None).await, Changed::Conflict, "it is on its way elsewhere");
    assert_eq!(link(&stores, 7, 2).await, Changed::Conflict);
    assert_eq!(link(&stores, 7, 1).await, Changed::Conflict);

    let at = |seconds| note_at(NOW.plus(seconds));
    assert!(!stores.keys.do_what_is_due(NOW, &at(999)).await.unwrap());
    assert!(stores.keys.do_what_is_due(NOW, &at(1000)).await.unwrap());
    assert_eq!(find(&stores, 1).await.role, KeyRole::Archived(due));
    assert_eq!(find(&stores, 2).await.identity.sub, fingerprint(1));
    assert_eq!(find(&stores, 2).await.waiting, None);
    assert!(!stores.keys.do_what_is_due(NOW, &at(2000)).await.unwrap());
}

pub async fn a_rotation_that_waits_is_cancelled(stores: Stores) {
    for n in [1, 2, 3, 4] {
        member(&stores, n).await;
        assert_eq!(rotate(&stores, n, 10 + n, Some(NOW.plus(1000))).await, done(fingerprint(n)));
    }
    assert!(stores.keys.cancel_rotation(&fingerprint(1), &note()).await.unwrap());
    assert!(!stores.keys.cancel_rotation(&fingerprint(1), &note()).await.unwrap());
    // A subkey was revoked, an administrator revoked the key, the primary chose another one at once.
    let key = find(&stores, 2).await;
    let facts = KeyFacts {
        fingerprint: key.fingerprint,
        revision: key.revision,
        signing_keys: key.signing_keys,
        certificate_digest: [9; 32],
        revoked_at: None,
        ends_tokens: true,
    };
    assert!(stores.keys.update(&facts, &note()).await.unwrap());
    stores.keys.revoke(&fingerprint(3), &note()).await.unwrap();
    assert_eq!(rotate(&stores, 4, 20, None).await, done(fingerprint(4)));
    assert!(!stores.keys.do_what_is_due(NOW, &note_at(NOW.plus(2000))).await.unwrap());
    for n in [11, 12, 13, 14] {
        assert_eq!(stores.keys.find(&fingerprint(n)).await.unwrap(), None, "{n}");
    }
    assert!(matches!(enroll_as(&stores, 11, Admission::Approved).await, Enrollment::Enrolled(_)));
}

pub async fn an_archived_keys_own_revocation_suspends_the_identity_for_a_while(stores: Stores) {
    for (old, new, after, suspended) in [(1, 11, ROTATION_DOUBT, true), (2, 12, ROTATION_DOUBT + 1, false)] {
        member(&stores, old).await;
        rotate(&stores, old, new, None).await;
        let before = find(&stores, new).await.identity;
        revokes_itself(&stores, old, NOW.plus(after)).await;
        let identity = find(&stores, new).await.identity;
        assert_eq!(identity.suspended, suspended, "{after}");
        assert_eq!(identity.generation > before.generation, suspended, "{after}");
        assert!(!identity.ended, "the new key is not revoked");
    }
    assert_eq!(rotate(&stores, 11, 21, None).await, Changed::Conflict);
    assert!(stores.keys.approve(&fingerprint(11), &note()).await.unwrap());
    assert!(!find(&stores, 11).await.identity.suspended, "an administrator has decided");
    // It can say so once.
    revokes_itself(&stores, 1, NOW.plus(1)).await;
    assert!(!find(&stores, 11).await.identity.suspended);
}

pub async fn a_linked_key_has_the_identity_of_another_and_gets_its_own_back(stores: Stores) {
    for n in [1, 2] {
        member(&stores, n).await;
        stores.keys.set_groups(&fingerprint(n), &[format!("group-{n}")], &note()).await.unwrap();
    }
    let before = find(&stores, 2).await.identity;
    stores.keys.confirm_email(&fingerprint(2), &[5; 32], true, &note()).await.unwrap();
    assert_eq!(link(&stores, 1, 2).await, done(fingerprint(1)));
    let key = find(&stores, 2).await;
    assert_eq!(key.role, KeyRole::Secondary(fingerprint(1)));
    assert_eq!((key.identity.sub, &key.identity.groups), (fingerprint(1), &vec!["group-1".to_owned()]));
    let ended = |told: &Revocation| {
        matches!(told, Revocation::Generation { sub, generation }
            if *sub == fingerprint(2) && *generation > before.generation)
    };
    assert!(feed_after(&stores, 0).await.iter().any(ended), "its former tokens end");
    assert!(!stores.keys.is_email_confirmed(&fingerprint(2), &[5; 32]).await.unwrap());

    let linked = find(&stores, 1).await.identity;
    assert_eq!(unlink(&stores, 1, 2).await, done(fingerprint(2)));
    let key = find(&stores, 2).await;
    assert_eq!((key.role, key.identity.sub), (KeyRole::Primary, fingerprint(2)));
    assert!(key.identity.groups.is_empty(), "grants do not come back");
    assert!(key.identity.generation > before.generation, "nor do tokens");
    assert!(find(&stores, 1).await.identity.generation > linked.generation);
    assert_eq!(unlink(&stores, 1, 2).await, Changed::Conflict);
    assert_eq!(unlink(&stores, 1, 9).await, Changed::NotFound);
}

pub async fn attack_links_that_make_chains_and_circles(stores: Stores) {
    for n in [1, 2, 3, 4] {
        member(&stores, n).await;
    }
    enroll_as(&stores, 5, pending(1)).await;
    assert_eq!(link(&stores, 1, 2).await, done(fingerprint(1)));
    for (primary, secondary) in [(1, 1), (2, 1), (2, 3), (3, 1), (3, 2), (1, 2), (1, 5), (5, 4)] {
        assert_eq!(link(&stores, primary, secondary).await, Changed::Conflict, "{primary} {secondary}");
    }
    assert_eq!(link(&stores, 9, 1).await, Changed::NotFound);
    assert_eq!(rotate(&stores, 2, 8, None).await, Changed::Conflict, "a secondary key does not rotate");
    assert_eq!(unlink(&stores, 3, 2).await, Changed::Conflict, "it is another's");
    stores.keys.revoke(&fingerprint(4), &note()).await.unwrap();
    assert_eq!(link(&stores, 1, 4).await, Changed::Conflict);
    assert_eq!(link(&stores, 1, 3).await, done(fingerprint(1)));
    // A new one comes in by its link, and its own sub is kept for it.
    assert_eq!(link(&stores, 1, 7).await, done(fingerprint(1)));
    assert_eq!(stores.keys.count().await.unwrap(), 6);
    assert_eq!(unlink(&stores, 1, 7).await, done(fingerprint(7)));
}

pub async fn a_primary_keys_end_is_everybodys_and_a_secondary_keys_its_own(stores: Stores) {
    for n in [1, 2, 3] {
        member(&stores, n).await;
    }
    link(&stores, 1, 2).await;
    link(&stores, 1, 3).await;
    let before = find(&stores, 1).await.identity.generation;
    stores.keys.revoke(&fingerprint(3), &note()).await.unwrap();
    assert!(feed_after(&stores, 0).await.contains(&Revocation::Key { fingerprint: fingerprint(3) }));
    for n in [1, 2] {
        let key = find(&stores, n).await;
        assert!(!key.identity.ended && key.revoked.is_none(), "{n}");
        assert_eq!(key.identity.generation, before, "{n}");
    }
    stores.keys.revoke(&fingerprint(1), &note()).await.unwrap();
    let key = find(&stores, 2).await;
    assert!(key.identity.ended && key.revoked.is_none());
    assert!(key.identity.generation > before);
    // What was linked may go its own way again, if an administrator says so.
    assert_eq!(unlink(&stores, 1, 2).await, done(fingerprint(2)));
    assert!(!find(&stores, 2).await.identity.ended);
}

pub async fn a_linked_key_takes_part_in_a_rotation_of_its_identity(stores: Stores) {
    for n in [1, 2] {
        member(&stores, n).await;
    }
    link(&stores, 1, 2).await;
    assert_eq!(rotate(&stores, 1, 11, None).await, done(fingerprint(1)));
    assert_eq!(find(&stores, 2).await.role, KeyRole::Secondary(fingerprint(11)));
    let beside = stores.keys.keys_beside(&fingerprint(2)).await.unwrap();
    assert_eq!(beside.len(), 3);
    assert_eq!(unlink(&stores, 11, 2).await, done(fingerprint(2)));
}

pub async fn erasing_takes_everything_of_an_identity_and_keeps_thieves_out(stores: Stores) {
    for n in [1, 2, 3, 4] {
        member(&stores, n).await;
    }
    link(&stores, 1, 2).await;
    rotate(&stores, 1, 11, None).await;
    link(&stores, 3, 4).await;
    assert!(erase(&stores, 4).await, "a secondary key alone");
    assert!(!erase(&stores, 4).await);
    assert!(stores.keys.find(&fingerprint(3)).await.unwrap().is_some());
    assert!(matches!(enroll_as(&stores, 4, Admission::Approved).await, Enrollment::Enrolled(_)));

    assert!(erase(&stores, 11).await, "an identity, with all its keys");
    assert_eq!(stores.keys.count().await.unwrap(), 2);
    for n in [1, 2, 11] {
        assert_eq!(stores.keys.find(&fingerprint(n)).await.unwrap(), None, "{n}");
        assert_eq!(enroll_as(&stores, n, Admission::Approved).await, Enrollment::Tombstone, "{n}");
    }
    assert!(erase(&stores, 3).await);
    assert!(matches!(enroll_as(&stores, 3, Admission::Approved).await, Enrollment::Enrolled(_)));
}

pub async fn names_are_given_once(stores: Stores) {
    for n in [1, 2] {
        member(&stores, n).await;
    }
    let name = async |n, name: Option<&str>| {
        let name = name.map(|name| (name, stores.master_key.keyed_hash("test", name.as_bytes())));
        stores.keys.set_user_name(&fingerprint(n), name, &note()).await.unwrap()
    };
    assert_eq!(name(1, Some("ada")).await, done(fingerprint(1)));
    assert_eq!(find(&stores, 1).await.identity.user_name.as_deref(), Some("ada"));
    let found = stores.keys.find_by_user_name("ada").await.unwrap();
    assert_eq!(found.iter().map(|key| key.fingerprint).collect::<Vec<_>>(), [fingerprint(1)]);
    assert!(stores.keys.find_by_user_name("ad").await.unwrap().is_empty());
    assert_eq!(name(2, Some("ada")).await, Changed::Conflict);
    assert_eq!(name(1, Some("lovelace")).await, done(fingerprint(1)));
    assert_eq!(name(2, Some("ada")).await, Changed::Conflict, "it was another's");
    assert_eq!(name(1, None).await, done(fingerprint(1)));
    assert_eq!(find(&stores, 1).await.identity.user_name, None);
    assert_eq!(name(1, Some("ada")).await, done(fingerprint(1)), "it may have its own again");
    assert_eq!(name(9, Some("x")).await, Changed::NotFound);
    assert!(erase(&stores, 1).await);
    member(&stores, 1).await;
    for n in [1, 2] {
        assert_eq!(name(n, Some("ada")).await, Changed::Conflict, "{n}");
    }
}

pub async fn an_administrator_vouches_for_addresses(stores: Stores) {
    member(&stores, 1).await;
    let confirmed = async || stores.keys.is_email_confirmed(&fingerprint(1), &[3; 32]).await.unwrap();
    let confirm = async |n, confirmed| {
        stores.keys.confirm_email(&fingerprint(n), &[3; 32], confirmed, &note()).await.unwrap()
    };
    assert!(!confirmed().await);
    assert_eq!(confirm(1, true).await, done(fingerprint(1)));
    assert!(confirmed().await);
    assert!(!stores.keys.is_email_confirmed(&fingerprint(2), &[3; 32]).await.unwrap());
    assert_eq!(confirm(1, true).await, done(fingerprint(1)), "once more");
    // Applications match accounts by it: it cannot be two people's.
    member(&stores, 2).await;
    assert_eq!(confirm(2, true).await, Changed::Conflict);
    assert_eq!(confirm(2, false).await, done(fingerprint(2)));
    assert!(confirmed().await, "another's withdrawal is nothing to it");
    assert_eq!(confirm(1, false).await, done(fingerprint(1)));
    assert!(!confirmed().await);
    assert_eq!(confirm(2, true).await, done(fingerprint(2)));
    assert_eq!(confirm(9, true).await, Changed::NotFound);
}

pub async fn a_code_lets_one_key_in(stores: Stores) {
    let code =
        |n: u8| NewCode { hash: [n; 32], groups: vec!["b".into(), "a".into()], expires: NOW.plus(100) };
    for n in [1, 2] {
        stores.keys.add_code(&code(n), &note()).await.unwrap();
    }
    let Enrollment::Enrolled(key) = enroll_as(&stores, 1, Admission::Code([1; 32])).await else {
        panic!("the code is good")
    };
    assert!(key.identity.approved);
    assert_eq!(key.identity.groups, ["a", "b"]);
    assert_eq!(enroll_as(&stores, 2, Admission::Code([1; 32])).await, Enrollment::BadCode, "used");
    assert_eq!(enroll_as(&stores, 2, Admission::Code([9; 32])).await, Enrollment::BadCode, "unknown");
    let late = NewKey { admission: Admission::Code([2; 32]), ..new_key(&stores, fingerprint(2)) };
    let late = stores.keys.enroll(&late, &note_at(NOW.plus(100))).await.unwrap();
    assert_eq!(late, Enrollment::BadCode, "past its time");
    assert_eq!(stores.keys.count().await.unwrap(), 1);
}

pub async fn of_64_keys_with_one_code_one_comes_in(stores: Stores) {
    let code = NewCode { hash: [1; 32], groups: Vec::new(), expires: NOW.plus(100) };
    stores.keys.add_code(&code, &note()).await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..64 {
        let stores = stores.clone();
        tasks.spawn(async move { enroll_as(&stores, n, Admission::Code([1; 32])).await });
    }
    let answers = tasks.join_all().await;
    let won = |answer: &&Enrollment| matches!(answer, Enrollment::Enrolled(_));
    assert_eq!(answers.iter().filter(won).count(), 1);
    assert_eq!(stores.keys.count().await.unwrap(), 1);
}

/// *Attack: a flood of new keys, so that an honest one cannot wait.*
pub async fn the_queue_is_bounded_and_whoever_fills_it_loses_first(stores: Stores) {
    for n in 0..5 {
        assert!(matches!(enroll_as(&stores, n, pending(1)).await, Enrollment::Enrolled(_)));
    }
    assert_eq!(enroll_as(&stores, 5, pending(1)).await, Enrollment::TooMany);
    for n in 10..14 {
        enroll_as(&stores, n, pending(2)).await;
    }
    for n in 20..23 {
        enroll_as(&stores, n, pending(3)).await;
    }
    // Twelve wait, and that is all there is room for.
    assert!(matches!(enroll_as(&stores, 30, pending(4)).await, Enrollment::Enrolled(_)));
    assert_eq!(stores.keys.find(&fingerprint(0)).await.unwrap(), None, "the flood's oldest made room");
    assert_eq!(stores.keys.count().await.unwrap(), 12);
    for n in [1, 10, 20, 30] {
        assert!(stores.keys.find(&fingerprint(n)).await.unwrap().is_some(), "{n}");
    }
    // Who was approved waits no longer, and takes nobody's place.
    stores.keys.approve(&fingerprint(1), &note()).await.unwrap();
    assert!(matches!(enroll_as(&stores, 31, pending(1)).await, Enrollment::Enrolled(_)));
    assert_eq!(stores.keys.count().await.unwrap(), 13);
}

pub async fn who_waits_too_long_is_forgotten(stores: Stores) {
    enroll_as(&stores, 1, pending(1)).await;
    enroll_as(&stores, 2, pending(1)).await;
    member(&stores, 3).await;
    stores.keys.approve(&fingerprint(2), &note()).await.unwrap();
    let due = note_at(NOW.plus(100));
    assert!(!stores.keys.do_what_is_due(NOW, &due).await.unwrap());
    assert!(stores.keys.do_what_is_due(NOW.plus(1), &due).await.unwrap());
    let listed = stores.keys.list(&KeyQuery { limit: 9, ..KeyQuery::default() }).await.unwrap();
    assert_eq!(
        listed.iter().map(|key| key.fingerprint).collect::<Vec<_>>(),
        [fingerprint(2), fingerprint(3)]
    );
    assert!(matches!(enroll_as(&stores, 1, pending(1)).await, Enrollment::Enrolled(_)), "it may come again");
}

pub async fn ending_everything_raises_the_generation(stores: Stores) {
    let before = member(&stores, 1).await.identity.generation;
    assert!(stores.keys.end_all(&fingerprint(1), &note()).await.unwrap());
    let after = find(&stores, 1).await.identity.generation;
    assert!(after > before);
    let told = Revocation::Generation { sub: fingerprint(1), generation: after };
    assert_eq!(feed_after(&stores, 0).await, [told]);
    assert!(!stores.keys.end_all(&fingerprint(9), &note()).await.unwrap());
}

pub async fn the_audit_log_says_who_did_what_and_forgets_whom(stores: Stores) {
    let own = Note { network: Some("192.0.2.0/24".into()), ..Note::new(NOW, Actor::Key(fingerprint(1))) };
    member(&stores, 1).await;
    stores.keys.set_groups(&fingerprint(1), &[], &own).await.unwrap();
    member(&stores, 2).await;
    assert_eq!(link(&stores, 1, 2).await, done(fingerprint(1)));
    let page = stores.keys.audit(0, 2).await.unwrap();
    let words: Vec<_> = page.entries.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(words, ["enrolled", "groups"]);
    assert_eq!(page.entries[0].who, AuditName::Administrator);
    let sub = |name: &AuditName| match name {
        AuditName::Identity { sub, .. } => *sub,
        other => panic!("{other:?}"),
    };
    assert_eq!(sub(&page.entries[1].who), Some(fingerprint(1)));
    assert_eq!(page.entries[1].network.as_deref(), Some("192.0.2.0/24"));
    let rest = stores.keys.audit(page.cursor, 100).await.unwrap();
    let words: Vec<_> = rest.entries.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(words, ["enrolled", "linked"]);
    assert_eq!(stores.keys.audit(rest.cursor, 100).await.unwrap().cursor, rest.cursor);
    let newest = stores.keys.audit_back(0, 3).await.unwrap();
    let words: Vec<_> = newest.entries.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(words, ["linked", "enrolled", "groups"]);
    let first = stores.keys.audit_back(newest.cursor, 3).await.unwrap();
    assert_eq!(first.entries, page.entries[..1]);
    let none = stores.keys.audit_back(first.cursor, 3).await.unwrap();
    assert_eq!((none.entries.len(), none.cursor), (0, first.cursor));

    assert!(erase(&stores, 1).await);
    let all = stores.keys.audit(0, 100).await.unwrap().entries;
    assert!(all.iter().filter_map(|entry| entry.subject.as_ref()).all(|name| sub(name).is_none()));
    assert_eq!(all.last().map(|entry| entry.what.as_str()), Some("erased"));
    stores.keys.write_audit(AuditEvent::CodeMade, None, &Note::new(NOW, Actor::Shell)).await.unwrap();
    let last = stores.keys.audit(0, 100).await.unwrap().entries.pop();
    assert_eq!(last.map(|entry| entry.who), Some(AuditName::Shell));
}

pub async fn a_revoked_key_that_waited_stays_and_keeps_itself_out(stores: Stores) {
    for n in [1, 2] {
        enroll_as(&stores, n, pending(1)).await;
    }
    stores.keys.revoke(&fingerprint(1), &note()).await.unwrap();
    revokes_itself(&stores, 2, NOW).await;
    // Neither the end of its wait nor others who come make it forgotten.
    let later = note_at(NOW.plus(1_000_000));
    assert!(!stores.keys.do_what_is_due(NOW.plus(999_999), &later).await.unwrap());
    for n in 10..15 {
        assert!(matches!(enroll_as(&stores, n, pending(1)).await, Enrollment::Enrolled(_)), "{n}");
    }
    for n in [1, 2] {
        assert!(find(&stores, n).await.revoked.is_some());
        assert!(erase(&stores, n).await);
        assert_eq!(enroll_as(&stores, n, Admission::Approved).await, Enrollment::Tombstone);
    }
}

pub async fn a_suspension_reaches_a_key_that_was_linked_onward(stores: Stores) {
    for n in [1, 2] {
        member(&stores, n).await;
    }
    rotate(&stores, 1, 11, None).await;
    assert_eq!(link(&stores, 2, 11).await, done(fingerprint(2)));
    let before = find(&stores, 11).await.identity.generation;
    revokes_itself(&stores, 1, NOW).await;
    let identity = find(&stores, 11).await.identity;
    assert!(identity.suspended);
    assert!(identity.generation > before, "its tokens end elsewhere too");
    assert!(!find(&stores, 2).await.identity.suspended, "the others are not to blame");
    stores.keys.approve(&fingerprint(11), &note()).await.unwrap();
    assert!(!find(&stores, 11).await.identity.suspended);
}

/// *Attack: a thief who rotated has an administrator revoke the old key, so that its owner is not heard any longer.*
pub async fn an_owner_is_heard_after_an_administrator_revoked_the_old_key(stores: Stores) {
    member(&stores, 1).await;
    rotate(&stores, 1, 11, None).await;
    stores.keys.revoke(&fingerprint(1), &note()).await.unwrap();
    assert!(!find(&stores, 11).await.identity.suspended);
    revokes_itself(&stores, 1, NOW.plus(5)).await;
    assert!(find(&stores, 11).await.identity.suspended);
}

pub async fn a_secondary_keys_own_revocation_is_its_own(stores: Stores) {
    for n in [1, 2] {
        member(&stores, n).await;
    }
    link(&stores, 1, 2).await;
    rotate(&stores, 1, 11, Some(NOW.plus(1000))).await;
    let before = find(&stores, 1).await;
    revokes_itself(&stores, 2, NOW).await;
    assert_eq!(find(&stores, 1).await, before);
}

pub async fn a_key_that_waits_comes_in_by_a_code(stores: Stores) {
    enroll_as(&stores, 1, pending(1)).await;
    member(&stores, 2).await;
    let code = NewCode { hash: [1; 32], groups: vec!["a".into(), "a".into()], expires: NOW.plus(100) };
    stores.keys.add_code(&code, &note()).await.unwrap();
    let uses = async |n, code| stores.keys.use_code(&fingerprint(n), &[code; 32], &note()).await.unwrap();
    let has = async |code, now| stores.keys.has_code(&[code; 32], now).await.unwrap();
    assert!(has(1, NOW).await && has(1, NOW.plus(99)).await);
    assert!(!has(9, NOW).await && !has(1, NOW.plus(100)).await, "unknown, or past its time");
    assert!(!uses(1, 9).await, "an unknown code");
    assert!(!uses(2, 1).await, "a key that does not wait uses none up");
    assert!(uses(1, 1).await);
    let identity = find(&stores, 1).await.identity;
    assert!(identity.approved);
    assert_eq!(identity.groups, ["a"]);
    assert!(!uses(1, 1).await && !has(1, NOW).await, "used");
}

pub async fn a_name_of_a_key_that_is_dropped_is_nobodys(stores: Stores) {
    enroll_as(&stores, 1, pending(1)).await;
    let name = |name: &'static str| Some((name, stores.master_key.keyed_hash("test", name.as_bytes())));
    stores.keys.set_user_name(&fingerprint(1), name("ada"), &note()).await.unwrap();
    assert!(stores.keys.do_what_is_due(NOW.plus(1), &note_at(NOW.plus(2))).await.unwrap());
    for n in [1, 2] {
        member(&stores, n).await;
        let given = stores.keys.set_user_name(&fingerprint(n), name("ada"), &note()).await.unwrap();
        assert_eq!(given, Changed::Conflict, "{n}");
    }
}
