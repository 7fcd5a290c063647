//! The life of a key over HTTP: every endpoint, member and error of rotation, linking, enrolment, administration, sessions
//! and refreshing, over real sockets, with the whole service mounted in each framework.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[macro_use]
mod suite;

mod administration;
mod administrators;
mod bodies;
mod document;
mod enrolment;
mod lifetimes;
mod linking;
mod linking_refused;
mod names;
mod people;
mod privacy;
mod refresh;
mod rotation;
mod rotation_refused;
mod servers;
mod sessions;
mod world;

use servers::Framework;

suite! {
    rotation:
        a_primary_key_is_replaced_at_once_and_its_identity_stays,
        an_identity_outlives_any_number_of_keys,
        fingerprints_are_signed_as_they_are_spelled,
        a_subkeys_rotation_waits_a_week,
        a_waiting_rotation_happens_on_whatever_request_comes_first,
        the_primary_key_cancels_a_waiting_rotation,
        an_administrator_cancels_a_waiting_rotation,
        a_waiting_rotation_ends_with_its_subkey,
        attack_rotation_by_the_thief_of_a_subkey,
        attack_rotation_that_waited_while_its_key_was_revoked,
        an_old_keys_revocation_suspends_until_an_administrator_decides,
        attack_suspension_by_the_thief_of_a_key_long_retired,
        the_primary_key_confirms_what_a_subkey_began,
        a_waiting_rotation_goes_with_an_identity_that_is_erased,
        a_rotation_whose_week_is_over_is_seen_by_administrators_first,
        a_key_of_the_newest_kind_takes_the_place_of_an_older_one,
        a_rotation_is_no_enrolment,
        a_suspended_identitys_key_is_suspended_wherever_it_is_linked;
    rotation_refused:
        a_rotation_is_signed_within_five_minutes_of_now,
        a_cancellation_is_signed_within_five_minutes_of_now,
        attack_rotation_with_a_challenge_that_is_not_the_old_keys,
        attack_rotation_sent_twice,
        of_many_rotations_at_once_one_happens,
        a_rotations_challenge_lasts_a_minute,
        attack_rotation_with_signatures_of_something_else,
        attack_cancellation_with_signatures_of_something_else,
        attack_rotation_to_another_certificate_than_was_signed,
        the_new_key_is_a_good_one,
        the_old_key_is_a_good_one,
        a_new_key_is_unknown_here,
        a_key_that_waits_for_approval_neither_rotates_nor_is_rotated_to,
        a_linked_key_is_not_rotated_and_its_primary_keeps_it,
        attack_the_servers_own_key_in_a_rotation_or_link;
    linking:
        two_keys_become_one_identity,
        a_key_that_is_unlinked_has_its_own_identity_again_without_grants,
        a_new_key_joins_where_enrolment_is_open,
        a_new_key_joins_on_an_administrators_word_elsewhere,
        known_keys_link_in_every_mode,
        an_administrator_unlinks_without_a_signature,
        the_primary_keys_end_ends_its_secondaries,
        a_secondary_keys_end_leaves_its_primary,
        an_erased_secondary_key_leaves_its_primary,
        an_erased_primary_key_takes_its_secondaries_along;
    linking_refused:
        attack_chains_cycles_and_stolen_keys,
        attack_link_to_a_key_that_did_not_sign,
        attack_link_with_signatures_of_something_else,
        attack_link_sent_again_after_it_was_undone,
        a_link_needs_a_challenge_of_the_primary_key_within_its_minute,
        a_link_is_signed_within_five_minutes_of_now,
        only_the_primary_key_undoes_a_link,
        a_key_that_is_not_in_order_is_not_linked,
        a_key_about_to_be_replaced_is_not_linked,
        an_identity_has_room_for_sixteen_more_keys,
        a_submitted_certificate_of_a_known_key_is_merged,
        attack_link_by_the_thief_of_a_subkey,
        attack_change_of_an_identity_signed_for_an_application;
    enrolment:
        new_keys_come_in_as_the_mode_says,
        a_code_lets_one_key_in,
        a_code_lets_a_key_in_that_waits,
        a_code_works_on_the_login_page,
        attack_code_that_is_wrong_or_past_its_time,
        attack_code_used_by_many_at_once,
        what_a_code_may_say,
        an_administrator_lets_a_key_in_without_its_holder,
        attack_barred_key_let_in_again,
        a_key_that_waits_is_forgotten_after_two_weeks,
        attack_queue_of_new_keys_filled_from_one_address;
    names:
        an_administrator_gives_a_name_and_takes_it_away,
        what_a_name_may_be,
        attack_name_of_somebody_before,
        attack_account_name_by_claim,
        a_linked_key_has_its_identitys_name,
        an_administrator_vouches_for_an_address,
        attack_address_of_somebody_else,
        what_an_address_may_be,
        a_group_taken_away_ends_what_was_given_out_and_one_more_does_not;
    administrators:
        the_administrators_token_opens_every_endpoint,
        attack_administration_without_an_administrators_credentials,
        a_listed_keys_fresh_session_opens_every_endpoint,
        attack_administration_with_a_stale_session,
        attack_administration_by_another_sites_page,
        attack_administration_by_a_session_that_named_no_page,
        attack_administration_carried_to_another_key,
        without_administrators_every_endpoint_says_so;
    administration:
        keys_are_listed_with_everything_that_is_known_of_them,
        keys_are_listed_page_by_page,
        every_session_of_an_identity_is_ended_by_an_administrator,
        what_is_done_is_written_down,
        what_happens_by_itself_is_the_servers,
        the_log_is_read_page_by_page,
        the_log_names_nobody_who_was_erased,
        the_network_is_written_down_where_that_is_wanted,
        keys_are_found_by_what_is_known_of_them;
    sessions:
        sessions_are_listed_to_their_holder,
        a_person_sees_every_key_that_signs_for_them,
        sessions_past_their_time_are_not_listed,
        one_session_is_ended_by_its_holder,
        attack_session_of_somebody_else,
        all_sessions_are_ended_by_their_holder,
        attack_sessions_without_a_login_to_the_service_itself,
        attack_sessions_ended_by_another_sites_page,
        attack_sessions_with_a_token_that_others_can_make,
        a_token_is_ended_by_its_holder_an_administrator_or_an_application,
        attack_token_ended_by_a_stranger,
        attack_token_ended_by_an_administrator_of_an_hour_ago;
    refresh:
        a_refresh_token_is_given_to_whoever_asks,
        an_access_token_is_renewed,
        groups_are_todays,
        a_refresh_token_is_answered_again_for_twenty_seconds,
        attack_stolen_refresh_token,
        sixty_four_at_once_advance_by_one,
        refreshing_ends_with_the_key_the_session_and_the_identitys_tokens,
        a_session_that_is_ended_ends_its_renewed_tokens,
        refreshing_ends_after_a_month,
        what_is_asked_is_a_refresh_token,
        attack_token_of_another_kind_or_place,
        a_page_gets_a_session_and_no_refresh_token,
        no_renewed_token_outlives_its_key;
    lifetimes:
        what_is_not_used_ends,
        without_a_bound_what_is_not_used_lasts,
        a_session_has_its_time_however_much_it_is_used,
        the_verifiers_own_setting_of_a_sessions_time_counts,
        the_other_times_are_set_too;
    privacy:
        attack_login_to_find_out_who_is_enrolled,
        attack_rotation_to_find_out_who_is_enrolled,
        attack_rotation_to_a_key_of_somebody_else_to_find_out_about_it,
        attack_link_to_find_out_who_is_enrolled,
        attack_unlinking_to_find_out_who_is_enrolled,
        how_many_are_enrolled_is_told_only_where_membership_is_public,
        whoever_proves_possession_is_told_how_things_are;
    bodies:
        every_member_is_held_against_its_form,
        every_body_is_json_of_a_version_that_is_spoken_here,
        every_endpoint_has_its_methods;
}
