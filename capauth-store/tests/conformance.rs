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
    attack_of_64_simultaneous_group_changes_one_is_lost
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
    a_name_of_a_key_that_is_dropped_is_nobodys
    a_key_that_waits_comes_in_by_a_code
    a_secondary_keys_own_revocation_is_its_own
    an_owner_is_heard_after_an_administrator_revoked_the_old_key
    a_suspension_reaches_a_key_that_was_linked_onward
    a_revoked_key_that_waited_stays_and_keeps_itself_out
    a_new_key_takes_the_place_of_an_old_one
    only_an_unknown_key_takes_another_ones_place
    a_rotation_waits_and_comes_due
    a_rotation_that_waits_is_cancelled
    an_archived_keys_own_revocation_suspends_the_identity_for_a_while
    a_linked_key_has_the_identity_of_another_and_gets_its_own_back
    attack_links_that_make_chains_and_circles
    a_primary_keys_end_is_everybodys_and_a_secondary_keys_its_own
    a_linked_key_takes_part_in_a_rotation_of_its_identity
    erasing_takes_everything_of_an_identity_and_keeps_thieves_out
    names_are_given_once
    an_administrator_vouches_for_addresses
    a_code_lets_one_key_in
    of_64_keys_with_one_code_one_comes_in
    the_queue_is_bounded_and_whoever_fills_it_loses_first
    who_waits_too_long_is_forgotten
    ending_everything_raises_the_generation
    the_audit_log_says_who_did_what_and_forgets_whom
    sessions_are_listed_the_newest_first_until_they_end
    a_refresh_family_advances_and_ends_when_an_old_token_is_shown
    attack_refresh_token_of_long_ago_or_of_the_future
    of_64_simultaneous_refreshes_one_advances
    a_family_ends_with_its_session_and_at_its_time
}
