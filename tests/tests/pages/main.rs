//! The pages in a real browser, with real keys, at the examples of all three frameworks and at the service.
//!
//! Each name is a function that a file of `tests/js/pages/scenarios` exports; its README says how to write and run one.

mod stored;

use capauth_tests::pages::{self, App, Setup};
use capauth_tests::sequoia::Key;
use stored::{MARKUP, MEMBERS};

/// Makes a test of each scenario, named like it. What stands in brackets behind a name is its [`Setup`].
macro_rules! tests_of {
    ($app:ident; $($file:ident: $($scenario:ident $(($setup:expr))?),+;)+) => {
        use super::*;

        $($(
            #[test]
            fn $scenario() {
                let setup = Setup::new();
                $(let setup = { drop(setup); $setup };)?
                pages::run(App::$app, stringify!($file), stringify!($scenario), &setup);
            }
        )+)+
    };
}

/// A key with which a server signs its challenges.
fn server_key() -> String {
    Key::ed25519("CapAuth").secret_armor()
}

/// Scenarios at the example of each framework.
macro_rules! in_every_framework {
    ($($all:tt)+) => {
        mod axum { tests_of! { Axum; $($all)+ } }
        mod actix { tests_of! { Actix; $($all)+ } }
        mod rocket { tests_of! { Rocket; $($all)+ } }
    };
}

/// Scenarios at the service.
macro_rules! at_the_service {
    ($($all:tt)+) => {
        mod service { tests_of! { Service; $($all)+ } }
    };
}

/// New keys wait for an administrator.
fn approval() -> Setup {
    Setup::new().with("CAPAUTH_REQUIRE_APPROVAL", "true")
}

in_every_framework! {
    another_device:
        a_code_is_typed_on_the_phone,
        declined_on_the_phone,
        wrong_codes_on_the_phone,
        a_key_without_the_code_is_confirmed_or_refused,
        a_code_that_nobody_used_is_renewed (Setup::new().clock()),
        a_key_made_on_the_phone (Setup::new().asking());
    another_device_attacks:
        attack_qr_replayed_by_a_stranger;
    browser_key:
        browser_key_made_in_the_page,
        browser_key_stays_unlocked_for_its_time,
        browser_key_wrong_passphrase;
    browser_key_gpg:
        browser_key_from_gpg,
        browser_key_from_gpg_without_a_passphrase,
        browser_key_with_a_signing_subkey;
    gpg:
        gpg_paste,
        wrong_key,
        pending_approval (Setup::new().asking().with("CAPAUTH_REQUIRE_APPROVAL", "true")),
        expired_challenge (Setup::new().clock()),
        claims_of_odd_characters,
        what_is_shared_is_what_was_signed;
    extension:
        an_extension_of_each_kind,
        attack_extension_that_signs_for_another_site;
    login:
        by_keyboard_alone,
        attack_script_in_every_parameter,
        attack_challenge_for_somebody_else,
        attack_open_redirect;
    no_javascript:
        no_javascript,
        no_javascript_wrong_key,
        attack_login_csrf;
}

at_the_service! {
    another_device:
        a_code_is_typed_on_the_phone,
        codes_are_renewed_a_few_times,
        without_streams_it_is_asked_now_and_then,
        leaving_the_panel_ends_it,
        signed_by_gpg_on_the_other_device,
        a_new_key_is_let_in_by_a_code_of_the_administrators (Setup::new().with("CAPAUTH_ENROLLMENT", "closed")),
        attack_code_that_the_server_did_not_sign (Setup::new().with("CAPAUTH_SERVER_KEY_ARMOR", &server_key()));
    another_device_attacks:
        attack_qr_of_another_site,
        attack_answers_of_the_server_that_are_not_its_own,
        the_link_leaves_no_trace;
    another_device_looks:
        every_state_of_the_desktop,
        every_state_of_the_phone,
        every_end_on_the_phone,
        a_login_by_another_device_by_keyboard_alone,
        a_picture_for_cameras_in_every_scheme;
    browser_key:
        browser_key_looks,
        browser_key_erased_on_the_server,
        browser_key_deleted_leaves_nothing,
        browser_key_fields_are_emptied,
        attack_claims_of_another_browser_key,
        browser_key_by_keyboard;
    browser_key_gpg:
        browser_key_of_rsa,
        browser_key_that_cannot_sign_is_refused,
        browser_key_copy_opens_in_gpg;
    browser_key_worker:
        browser_keys_in_several_tabs,
        browser_key_without_argon2,
        browser_key_worker_that_stops,
        attack_worker_asked_to_sign_for_another_site,
        attack_page_reads_the_key,
        attack_secret_key_leaves_the_browser,
        attack_challenge_signed_by_somebody_else;
    admin:
        a_key_is_approved_and_signs_in (approval()),
        groups_are_edited_as_a_list,
        a_name_is_given_and_taken_away,
        an_address_is_confirmed_and_withdrawn,
        an_administrator_ends_sessions,
        an_administrator_revokes_a_key,
        erasing_takes_the_end_of_the_fingerprint,
        a_rotation_is_cancelled,
        keys_of_an_identity_lead_to_each_other,
        a_code_is_made_once_and_used_once (Setup::new().with("CAPAUTH_ENROLLMENT", "closed")),
        a_public_key_is_enrolled_and_a_secret_one_is_not_sent (Setup::new().with("CAPAUTH_ENROLLMENT", "closed"));
    admin_lists:
        thousands_of_keys_are_paged_and_searched (Setup::new().stored(MEMBERS)),
        a_late_answer_changes_nothing (Setup::new().stored(MEMBERS)),
        the_log_is_read_from_its_end (Setup::new().stored(MEMBERS)),
        an_overview_says_what_waits_and_what_is_open (approval());
    admin_access:
        who_may_not_administer_reads_why,
        a_login_that_grew_old_loses_nothing_that_was_typed (Setup::new().clock()),
        a_draft_does_not_grant_again_what_somebody_took_away (Setup::new().clock()),
        a_draft_is_kept_for_some_minutes (Setup::new().clock()),
        attack_draft_of_another_administrator (Setup::new().clock().two_administrators()),
        attack_markup_in_stored_names (Setup::new().stored(MARKUP)),
        attack_administration_in_a_frame,
        attack_request_from_another_site;
    admin_looks:
        administration_without_a_mouse (approval()),
        how_the_lists_look (Setup::new().stored(MEMBERS)),
        how_a_key_looks (approval()),
        how_refusals_look;
    gpg:
        gpg_paste,
        wrong_key,
        pending_approval (Setup::new().asking().with("CAPAUTH_REQUIRE_APPROVAL", "true")),
        expired_challenge (Setup::new().clock()),
        the_challenge_before_still_counts,
        a_command_that_was_copied_long_ago,
        a_command_after_a_pause,
        a_command_that_cannot_be_renewed,
        trying_again_tries_every_command,
        a_hidden_page_renews_nothing,
        files_and_other_forms,
        files_that_are_no_text,
        powershell_signs_the_same_bytes,
        claims_of_odd_characters,
        what_is_shared_is_what_was_signed,
        attack_secret_key_pasted;
    extension:
        an_extension_of_each_kind,
        an_extension_that_comes_late,
        an_extension_that_does_not_sign,
        an_extension_with_another_key,
        looks_with_an_extension,
        attack_extension_that_signs_for_another_site;
    login:
        first_load_is_small,
        a_fingerprint_is_remembered_and_forgotten,
        fingerprints_as_people_write_them,
        an_expired_key_is_extended (Setup::new().clock()),
        a_one_time_code_lets_a_key_in (Setup::new().with("CAPAUTH_ENROLLMENT", "closed")),
        a_wait_that_ends,
        a_server_that_fails_for_a_while,
        a_part_that_cannot_be_loaded,
        storage_that_is_forbidden,
        nothing_that_was_typed_is_lost,
        by_keyboard_alone,
        looks,
        attack_script_in_every_parameter,
        what_one_shares_is_remembered,
        attack_claims_of_the_person_before,
        attack_script_and_shell_in_a_challenge,
        attack_challenge_for_somebody_else,
        attack_challenge_that_the_server_did_not_sign (Setup::new().with("CAPAUTH_SERVER_KEY_ARMOR", &server_key())),
        attack_open_redirect,
        attack_framing;
    no_javascript:
        no_javascript,
        no_javascript_wrong_key,
        no_javascript_keyboard,
        no_javascript_looks,
        no_javascript_expired_challenge (Setup::new().clock()),
        attack_login_csrf;
    harness:
        the_harness_sees_what_goes_wrong,
        the_harness_moves_the_clock (Setup::new().clock()),
        the_harness_reads_a_code;
    me:
        who_one_is,
        sessions_are_ended,
        signing_out,
        own_page_without_javascript,
        a_waiting_rotation_is_cancelled_by_gpg,
        a_waiting_rotation_is_cancelled_by_a_browser_key,
        a_command_is_renewed,
        a_linked_key_is_unlinked,
        a_key_is_revoked,
        a_key_is_replaced,
        own_page_by_keyboard,
        attack_session_of_somebody_else,
        attack_markup_in_names_groups_and_services,
        attack_page_in_a_frame,
        attack_logout_by_another_site,
        attack_revocation_that_did_not_happen;
}
