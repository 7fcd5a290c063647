//! The login page's form, which needs no JavaScript, and what every page is sent with: over real sockets, with the whole
//! service mounted in each framework.
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

mod attacks;
mod browser;
mod headers;
mod logins;
mod mounted;
#[expect(dead_code, reason = "of these people some do more elsewhere")]
#[path = "../life_http/people.rs"]
mod people;
mod refusals;
#[path = "../life_http/servers.rs"]
mod servers;
mod vendored;
mod world;

use servers::Framework;

suite! {
    logins:
        somebody_signs_in_with_gpg_and_without_a_script,
        a_key_that_is_known_needs_no_certificate,
        somebody_comes_back_to_the_page_they_asked_for,
        forms_in_two_tabs_are_both_good,
        a_code_lets_a_new_key_in,
        somebody_goes_back_to_name_another_key,
        the_second_page_is_for_the_origin_that_asks,
        development_without_tls_uses_a_cookie_of_its_own;
    refusals:
        a_wrong_key_is_told_so_and_asked_again,
        an_unknown_key_is_asked_for_its_certificate_and_its_signature_stays_good,
        a_challenge_past_its_time_is_replaced_at_once,
        a_key_that_waits_is_told_so,
        what_is_no_fingerprint_is_asked_for_again,
        a_missing_signature_is_asked_for_again,
        a_secret_key_goes_no_further,
        too_many_attempts_are_told_when_to_come_back,
        a_form_is_a_form_of_some_size,
        refusals_are_pages_for_people_and_json_for_programs;
    attacks:
        attack_login_csrf,
        attack_login_csrf_with_the_attackers_own_cookie,
        attack_token_of_another_browser,
        attack_token_past_its_time,
        attack_secret_key_out_of_a_stale_form,
        attack_form_replayed,
        attack_state_of_another_form,
        attack_open_redirect_of_the_form,
        attack_markup_in_every_parameter_of_the_page,
        attack_form_with_fields_twice,
        attack_page_in_a_frame;
    headers:
        every_page_has_its_policy,
        what_pages_load_is_kept_for_ever,
        each_answer_has_a_nonce_of_its_own,
        pages_that_answer_a_form_run_no_script;
    mounted:
        the_form_works_below_a_path;
}
