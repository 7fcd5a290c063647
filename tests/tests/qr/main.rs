//! Signing in from another device, over real sockets: one client shows a QR code, another scans the picture and signs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[macro_use]
#[path = "../life_http/suite.rs"]
mod suite;

mod answers;
mod applications;
mod bystanders;
mod hang_ups;
mod logins;
mod outsiders;
#[expect(dead_code, reason = "of these people some do more elsewhere")]
#[path = "../life_http/people.rs"]
mod people;
#[path = "../life_http/servers.rs"]
mod servers;
mod service;
mod streams;
mod world;

use servers::Framework;

suite! {
    logins:
        a_code_is_typed_on_the_phone,
        without_a_code_the_person_confirms_the_key_they_see,
        a_result_is_fetched_once,
        claims_come_with_the_answer,
        a_key_that_waits_for_approval_is_told_so,
        the_person_says_no,
        the_server_signs_what_the_phone_signs,
        a_listed_services_login_leads_to_that_service,
        it_can_be_switched_off,
        every_member_is_held_against_its_form;
    bystanders:
        attack_status_without_the_poll_token,
        attack_poll_token_in_the_query,
        attack_answer_without_the_code,
        attack_code_guessed_by_who_proves_nothing,
        attack_three_wrong_codes,
        attack_wrong_codes_all_at_once,
        attack_result_fetched_by_sixty_four,
        attack_answer_swapped_while_the_click_is_awaited,
        attack_code_used_while_somebody_elses_answer_waits,
        attack_answers_to_wear_the_person_out,
        attack_login_declined_by_a_stranger,
        attack_answer_to_find_out_who_is_enrolled,
        attack_flood_of_qr_codes,
        attack_session_of_the_attacker_in_the_victims_browser;
    outsiders:
        attack_codes_tried_with_keys_that_are_not_let_in,
        attack_codes_tried_with_keys_that_wait,
        attack_codes_tried_where_nobody_new_comes_in;
    answers:
        attack_answer_sent_twice,
        attack_nonce_of_a_qr_code_at_verify,
        attack_nonce_of_a_challenge_at_qr_verify,
        attack_answer_to_another_qr_code,
        attack_signature_that_names_no_origin,
        attack_origin_of_another_service,
        attack_answer_that_comes_too_late,
        attack_result_that_nobody_fetched_in_time,
        attack_server_signature_reflected,
        attack_key_revoked_while_its_answer_waited,
        attack_key_revoked_before_the_result_was_fetched,
        attack_administration_from_another_device;
    streams:
        a_stream_tells_of_each_step,
        a_stream_ends_when_the_time_is_over,
        a_stream_needs_the_poll_token,
        a_login_has_two_streams_at_most,
        a_server_that_stops_ends_its_streams;
}
