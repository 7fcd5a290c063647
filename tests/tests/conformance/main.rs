//! One suite for every framework, with keys of its own and with those of a central service: the same requests over real
//! sockets, and the same answers, byte for byte.
//!
//! What is random is masked, and what a framework does otherwise is in the table [`differences::DIFFERENCES`], from
//! which `docs/frameworks.md` has its words. Nothing else may differ.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod bearers;
mod bodies;
mod browsers;
mod compare;
mod cookies;
mod cross_site;
mod differences;
mod groups;
mod headers;
mod login;
mod logout;
mod methods;
mod paths;
mod redirects;
mod visit;

use capauth_tests::sites::Options;

/// Makes a test of each case, and a list of their names.
macro_rules! suite {
    ($($module:ident: $($case:ident $(($option:ident))?),+;)+) => {
        $($(
            #[tokio::test]
            async fn $case() {
                let options = Options { $($option: true,)? ..Options::default() };
                compare::for_every_site(stringify!($case), options, $module::$case).await;
            }
        )+)+

        /// Every case, as the differences name them.
        const CASES: &[&str] = &[$($(stringify!($case)),+),+];
    };
}

suite! {
    login:
        a_key_enrols_once_and_returns_without_its_certificate,
        a_program_signs_for_no_page,
        a_new_key_waits_for_approval(approval),
        claims_are_shared_with_the_application,
        attack_signature_of_another_key,
        attack_challenge_of_another_login,
        attack_challenge_for_another_service,
        malformed_logins_are_refused;
    logout:
        a_session_ends_where_it_is_said_to,
        a_token_ends_where_it_is_said_to;
    groups:
        a_group_opens_a_branch_and_its_loss_ends_the_session,
        humans_are_told_from_programs,
        a_login_may_be_optional;
    bearers:
        a_token_opens_what_a_session_opens,
        attack_bad_token,
        attack_token_of_another_service,
        attack_expired_token,
        attack_revoked_token,
        attack_revoked_key,
        a_token_decides_over_a_cookie,
        a_layer_refuses_bad_tokens_everywhere;
    cookies:
        a_session_ends_with_its_time,
        attack_tampered_cookie,
        attack_cookie_of_another_site,
        attack_several_sessions_at_once;
    headers:
        attack_ambiguous_authorization,
        attack_bytes_that_are_no_text,
        attack_encoded_cookie;
    browsers:
        a_browser_is_sent_to_sign_in_and_back,
        a_program_hears_that_it_must_sign_in,
        a_browser_is_told_from_a_program_by_what_it_accepts,
        a_stale_cookie_is_taken_away,
        the_login_page_is_served;
    redirects:
        attack_open_redirect_after_login,
        attack_open_redirect_before_login;
    cross_site:
        attack_cross_site_request_with_a_session,
        attack_cross_site_login;
    bodies:
        a_body_may_have_256_kib,
        attack_oversized_body,
        attack_request_hidden_in_a_refused_body,
        a_body_is_json;
    methods:
        endpoints_have_their_methods,
        a_guard_stands_before_every_method;
    paths:
        attack_path_that_means_an_endpoint_to_somebody_else,
        unknown_paths_are_nobodys,
        attack_path_around_a_guard,
        targets_in_every_form;
}

/// Without anything in front of the routes every guard finds out for itself who asks.
mod bare {
    use super::*;

    const BARE: Options = Options { approval: false, bare: true, limits: false };

    macro_rules! suite {
        ($($module:ident: $($case:ident),+;)+) => {
            $($(
                #[tokio::test]
                async fn $case() {
                    compare::for_every_site(stringify!($case), BARE, $module::$case).await;
                }
            )+)+
        };
    }

    suite! {
        groups:
            a_group_opens_a_branch_and_its_loss_ends_the_session,
            humans_are_told_from_programs,
            a_login_may_be_optional;
        bearers:
            a_token_opens_what_a_session_opens,
            attack_bad_token,
            attack_revoked_key,
            a_token_decides_over_a_cookie;
        cookies:
            attack_tampered_cookie,
            attack_several_sessions_at_once;
        headers:
            attack_ambiguous_authorization,
            attack_bytes_that_are_no_text;
        browsers:
            a_browser_is_sent_to_sign_in_and_back,
            a_stale_cookie_is_taken_away;
        cross_site:
            attack_cross_site_request_with_a_session;
    }
}
