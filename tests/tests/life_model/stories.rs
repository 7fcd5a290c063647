//! Sequences that chance finds seldom, each on every store.

use capauth_tests::life::{self, By, Cert, K};
use capauth_verifier::memory;

use crate::people::Play;
use crate::steps::Step;

const DAY: u64 = 24 * 3600;

async fn on_every_store(open: bool, steps: &[Step]) {
    Play::begin(memory::stores().unwrap(), open).await.run(steps).await;
    let folder = tempfile::tempdir().unwrap();
    Play::begin(life::sqlite_in(folder.path(), "keys.db").await, open).await.run(steps).await;
}

fn comes(k: K, by: By, cert: impl Into<Option<Cert>>) -> Step {
    Step::LogIn { k, by, cert: cert.into(), code: None, refresh: true }
}

fn rotates(old: K, new: K, by: By) -> Step {
    Step::Rotate { old, new, by, cert: Cert::Plain }
}

fn links(primary: K, secondary: K) -> Step {
    Step::Link { primary, secondary, cert: Some(Cert::Plain) }
}

/// *Attack: the victim's own certificate, retired once and renewed since, is sent by somebody who cannot sign.* The
/// renewal stands in it as well.
#[tokio::test]
async fn attack_a_renewed_certificate_sent_by_a_stranger_retires_its_key() {
    let steps = [
        comes(0, By::Primary, Cert::Plain),
        comes(0, By::Stranger, Cert::Renewed),
        comes(0, By::Primary, None),
    ];
    on_every_store(true, &steps).await;
}

#[tokio::test]
async fn a_revoked_subkey_that_comes_with_a_renewal_retires_nothing() {
    let steps = [
        comes(0, By::Primary, Cert::SubkeyRevoked),
        comes(0, By::Subkey, Cert::Renewed),
        comes(0, By::Primary, None),
    ];
    on_every_store(true, &steps).await;
}

/// What it had before must be worthless; what it gets now must count everywhere.
#[tokio::test]
async fn who_waited_too_long_may_come_again_and_whoever_follows_the_feed_lets_it_in() {
    let steps = [
        comes(0, By::Primary, Cert::Plain),
        comes(0, By::Primary, Cert::SubkeyRevoked),
        Step::EndAllOf(0),
        Step::Wait(25 * DAY),
        Step::EnrolForThem(0, Cert::Plain),
        comes(0, By::Primary, None),
    ];
    on_every_store(false, &steps).await;
}

#[tokio::test]
async fn who_lost_a_group_while_waiting_may_come_again_likewise() {
    let groups = |names: &[&'static str]| Step::Groups(0, names.iter().copied().collect());
    let steps = [
        comes(0, By::Primary, Cert::Plain),
        groups(&["staff"]),
        groups(&[]),
        Step::Wait(25 * DAY),
        comes(0, By::Primary, Cert::Plain),
        Step::Approve(0),
        comes(0, By::Primary, None),
    ];
    on_every_store(false, &steps).await;
}

#[tokio::test]
async fn a_linked_key_whose_former_key_says_that_it_was_robbed_is_suspended_and_approved_again() {
    let steps = [
        comes(0, By::Primary, Cert::Plain),
        comes(1, By::Primary, Cert::Plain),
        rotates(1, 2, By::Primary),
        links(0, 2),
        comes(2, By::Primary, None),
        comes(1, By::Primary, Cert::Revoked),
        comes(2, By::Primary, None),
        comes(0, By::Primary, None),
        Step::Approve(2),
        comes(2, By::Primary, None),
        Step::Unlink { primary: 0, secondary: 2 },
        comes(2, By::Primary, None),
    ];
    on_every_store(true, &steps).await;
}

#[tokio::test]
async fn an_identity_whose_last_key_is_linked_elsewhere_is_nobodys_until_it_is_unlinked() {
    let steps = [
        comes(0, By::Primary, Cert::Plain),
        comes(1, By::Primary, Cert::Plain),
        rotates(1, 2, By::Primary),
        comes(1, By::Primary, Cert::Revoked),
        Step::Approve(2),
        links(0, 2),
        comes(2, By::Primary, None),
        Step::Revoke(1),
        Step::Name(1, Some("ada")),
        Step::Name(2, Some("ada")),
        Step::EndAllOf(1),
        comes(2, By::Primary, None),
        rotates(0, 3, By::Primary),
        Step::Unlink { primary: 3, secondary: 2 },
        comes(2, By::Primary, None),
        Step::Erase(1),
        comes(2, By::Primary, Cert::Plain),
    ];
    on_every_store(true, &steps).await;
}

#[tokio::test]
async fn erasing_an_archived_key_erases_the_key_that_took_its_place_wherever_it_is() {
    let steps = [
        comes(0, By::Primary, Cert::Plain),
        comes(1, By::Primary, Cert::Plain),
        rotates(1, 2, By::Primary),
        links(0, 2),
        comes(2, By::Primary, None),
        comes(0, By::Primary, None),
        Step::Erase(1),
        comes(2, By::Primary, Cert::Plain),
        rotates(0, 1, By::Primary),
        rotates(0, 3, By::Primary),
    ];
    on_every_store(true, &steps).await;
}

#[tokio::test]
async fn an_archived_key_that_an_administrator_revoked_still_says_that_it_was_robbed_once() {
    let steps = [
        comes(0, By::Primary, Cert::Plain),
        rotates(0, 1, By::Primary),
        comes(1, By::Primary, None),
        Step::Revoke(0),
        comes(1, By::Primary, None),
        comes(0, By::Stranger, Cert::Revoked),
        comes(1, By::Primary, None),
        Step::Approve(1),
        comes(0, By::Stranger, Cert::Revoked),
        comes(1, By::Primary, None),
        Step::Revoke(0),
        comes(0, By::Stranger, Cert::Revoked),
        comes(1, By::Primary, None),
    ];
    on_every_store(true, &steps).await;
}

#[tokio::test]
async fn what_an_archived_key_says_of_itself_counts_for_thirty_days() {
    for days in [30, 31] {
        let steps = [
            comes(0, By::Primary, Cert::Plain),
            rotates(0, 1, By::Primary),
            Step::Wait(days * DAY),
            comes(1, By::Primary, None),
            comes(0, By::Stranger, Cert::Revoked),
            comes(1, By::Primary, None),
        ];
        on_every_store(true, &steps).await;
    }
}

#[tokio::test]
async fn what_waits_for_a_key_is_cancelled_by_that_key_and_by_none_that_is_linked_to_it() {
    let steps = [
        comes(0, By::Primary, Cert::Plain),
        comes(1, By::Primary, Cert::Plain),
        links(0, 1),
        rotates(0, 2, By::Subkey),
        comes(1, By::Primary, Cert::SubkeyRevoked),
        comes(1, By::Stranger, Cert::Revoked),
        comes(0, By::Stranger, Cert::SubkeyRevoked),
        rotates(0, 2, By::Primary),
        Step::Wait(8 * DAY),
        comes(2, By::Primary, None),
    ];
    on_every_store(true, &steps).await;
}

#[tokio::test]
async fn a_primary_key_decides_whatever_waits_for_it() {
    let steps = [
        comes(0, By::Primary, Cert::Plain),
        rotates(0, 1, By::Subkey),
        comes(1, By::Primary, Cert::Plain),
        rotates(0, 2, By::Subkey),
        Step::Cancel { old: 0, by: By::Subkey },
        rotates(0, 1, By::Primary),
        comes(1, By::Primary, None),
        rotates(1, 2, By::Subkey),
        Step::Wait(8 * DAY),
        comes(2, By::Primary, None),
        comes(1, By::Primary, Cert::Revoked),
        comes(2, By::Primary, None),
        rotates(2, 3, By::Primary),
        Step::Approve(2),
        rotates(2, 0, By::Primary),
        rotates(2, 3, By::Subkey),
        comes(0, By::Primary, Cert::Revoked),
        Step::Wait(8 * DAY),
        Step::Approve(2),
        comes(2, By::Primary, None),
    ];
    on_every_store(true, &steps).await;
}

#[tokio::test]
async fn a_code_lets_in_who_waits() {
    let steps = [
        Step::MakeCode(["staff"].into()),
        Step::MakeCode(["admins"].into()),
        comes(0, By::Primary, Cert::Plain),
        Step::LogIn { k: 0, by: By::Stranger, cert: None, code: Some(0), refresh: false },
        Step::LogIn { k: 0, by: By::Primary, cert: None, code: Some(0), refresh: false },
        Step::LogIn { k: 0, by: By::Primary, cert: None, code: Some(1), refresh: false },
        Step::LogIn { k: 1, by: By::Primary, cert: Some(Cert::Plain), code: Some(0), refresh: false },
        Step::LogIn { k: 1, by: By::Primary, cert: Some(Cert::Plain), code: Some(1), refresh: false },
        Step::Revoke(1),
        Step::MakeCode(["staff"].into()),
        Step::LogIn { k: 1, by: By::Primary, cert: Some(Cert::Plain), code: Some(2), refresh: false },
        Step::Wait(8 * DAY),
        Step::LogIn { k: 2, by: By::Primary, cert: Some(Cert::Plain), code: Some(2), refresh: false },
    ];
    on_every_store(false, &steps).await;
}
