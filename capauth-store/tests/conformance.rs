//! What every store must do, run against each that there is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(missing_docs, unreachable_pub)]

mod suite;

use capauth_verifier::Stores;

/// A database in a folder that lives as long as the test.
async fn sqlite() -> (tempfile::TempDir, Stores) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("keys.db").display());
    let stores = capauth_store::open(&url, None).await.unwrap();
    (folder, stores)
}

macro_rules! conformance {
    ($($test:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let (_folder, stores) = super::sqlite().await;
                super::suite::$test(stores).await;
            })*
        }

        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::suite::$test(capauth_store::open("memory:", None).await.unwrap()).await;
            })*
        }
    };
}

conformance! {
    an_enrolled_key_is_found_as_it_was_enrolled
    a_fingerprint_enrols_once
    of_64_simultaneous_enrolments_one_wins
    an_update_from_an_old_revision_is_refused
    of_64_simultaneous_updates_one_wins
    a_key_revoked_by_its_owner_stays_revoked_and_is_told
    an_update_that_ends_tokens_raises_the_generation
    an_administrators_revocation_is_final_and_told
    approving_lets_a_pending_identity_in
    granted_groups_are_sorted_and_taking_one_away_ends_tokens
    an_erased_key_is_gone_and_may_come_back
    an_erased_revoked_key_may_not_come_back
    the_last_login_never_goes_backwards
    keys_are_listed_in_pages_in_the_order_of_their_text
    calls_for_unknown_keys_say_so
    a_revoked_token_is_known_told_once_and_forgotten
    a_token_that_ended_stays_so_until_the_latest_time_that_anybody_said
    an_installation_has_an_epoch_of_its_own
    the_feed_is_read_in_pages_and_says_how_far_it_goes
    a_token_key_is_added_only_after_the_newest_known
    of_64_simultaneous_token_keys_one_is_added
    the_master_keys_check_value_is_set_once
    server_keys_are_remembered_for_good
    the_store_is_healthy
}
