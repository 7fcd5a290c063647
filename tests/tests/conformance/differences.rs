//! What frameworks do otherwise, each with its reason: the only ways in which answers may differ.

use std::collections::BTreeSet;
use std::fs;

use capauth_tests::service::workspace;
use capauth_tests::sites::Framework::{self, Actix, Axum, Rocket};

use crate::CASES;

/// One row of the table in `docs/frameworks.md`.
#[derive(Debug)]
pub(crate) struct Difference {
    /// What is sent.
    case: &'static str,
    /// What becomes of it, unlike elsewhere.
    what: &'static str,
    why: &'static str,
    /// Headers that are added to every answer without one of the name, if that is the difference.
    pub(crate) adds: &'static [&'static str],
    /// Where it happens.
    at: &'static [At],
}

/// One step of one case at which a framework's answer is another one.
#[derive(Debug)]
pub(crate) struct At {
    framework: Framework,
    case: &'static str,
    /// The step's name; with a `*` at its end, all whose names begin so.
    step: &'static str,
    /// The answer in brief.
    pub(crate) brief: &'static str,
}

const fn at(framework: Framework, case: &'static str, step: &'static str, brief: &'static str) -> At {
    At { framework, case, step, brief }
}

const METHODS: &str = "endpoints_have_their_methods";
const GUARDED_METHODS: &str = "a_guard_stands_before_every_method";
const LAYER: &str = "a_layer_refuses_bad_tokens_everywhere";
const NO_TEXT: &str = "attack_bytes_that_are_no_text";
const PATHS: &str = "attack_path_that_means_an_endpoint_to_somebody_else";
const GUARDED_PATHS: &str = "attack_path_around_a_guard";
const UNKNOWN: &str = "unknown_paths_are_nobodys";
const OVERSIZED: &str = "attack_oversized_body";
const HIDDEN: &str = "attack_request_hidden_in_a_refused_body";

/// All there are.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        case: "Anything",
        what: "`Server` and `Permissions-Policy` are added; `X-Frame-Options` and `X-Content-Type-Options`, where missing",
        why: "Rocket names itself, and its Shield adds the others",
        adds: &[
            "permissions-policy: interest-cohort=()",
            "server: Rocket",
            "x-content-type-options: nosniff",
            "x-frame-options: SAMEORIGIN",
        ],
        at: &[at(Rocket, UNKNOWN, "GET /", "200")],
    },
    Difference {
        case: "A bad token, or a session from another site, on a route without a guard",
        what: "The route answers; elsewhere a layer in front of it says 401 or 403",
        why: "Nothing in Rocket refuses a request before its route: only guards do",
        adds: &[],
        at: &[
            at(Rocket, LAYER, "a bad token at /", "200"),
            at(Rocket, LAYER, "a bad token at /nothing", "404"),
            at(Rocket, LAYER, "a bad token that asks for the methods", "404"),
            at(Rocket, LAYER, "a session from another site", "404"),
        ],
    },
    Difference {
        case: "`Authorization` with bytes that are not UTF-8",
        what: "It is missing: guards say that nobody is signed in, and `MaybeAuthenticated` is nobody",
        why: "Rocket drops such a header",
        adds: &[],
        at: &[
            at(Rocket, NO_TEXT, "in Authorization at /me", "401 invalid_token"),
            at(Rocket, NO_TEXT, "in Authorization at /maybe", "200"),
        ],
    },
    Difference {
        case: "`Cookie` with bytes that are not UTF-8, in whichever cookie",
        what: "There is no session, and none is cleared",
        why: "Rocket drops such a header",
        adds: &[],
        at: &[
            at(Rocket, NO_TEXT, "in another cookie at /me", "401 invalid_token"),
            at(Rocket, NO_TEXT, "in another cookie at /maybe", "200"),
            at(Rocket, NO_TEXT, "in the session", "401 invalid_token"),
        ],
    },
    Difference {
        case: "A method that HTTP does not name (`FOO`, `get`)",
        what: "400 in HTML on every path",
        why: "Rocket parses only the methods that it knows",
        adds: &[],
        at: &[
            at(Rocket, METHODS, "FOO *", "400"),
            at(Rocket, METHODS, "get *", "400"),
            at(Rocket, GUARDED_METHODS, "FOO *", "400"),
        ],
    },
    Difference {
        case: "A method that an application's path has no handler for",
        what: "404, and not 405",
        why: "The method is a part of what a route matches",
        adds: &[],
        at: &[
            at(Actix, GUARDED_METHODS, "OPTIONS /me", "404"),
            at(Actix, GUARDED_METHODS, "DELETE /me", "404"),
            at(Actix, GUARDED_METHODS, "PUT /me", "404"),
            at(Actix, GUARDED_METHODS, "TRACE /me", "404"),
            at(Actix, GUARDED_METHODS, "FOO /me", "404"),
            at(Actix, GUARDED_METHODS, "a preflight for /me", "404"),
            at(Rocket, GUARDED_METHODS, "OPTIONS /me", "404"),
            at(Rocket, GUARDED_METHODS, "DELETE /me", "404"),
            at(Rocket, GUARDED_METHODS, "PUT /me", "404"),
            at(Rocket, GUARDED_METHODS, "TRACE /me", "404"),
            at(Rocket, GUARDED_METHODS, "a preflight for /me", "404"),
            at(Actix, LAYER, "a preflight, whatever it shows", "404"),
            at(Rocket, LAYER, "a preflight, whatever it shows", "404"),
        ],
    },
    Difference {
        case: "`HEAD` where an application has `GET`",
        what: "404",
        why: "actix-web has no `HEAD` that the application does not name",
        adds: &[],
        at: &[at(Actix, GUARDED_METHODS, "HEAD / by nobody", "404")],
    },
    Difference {
        case: "A method without a handler in a guarded branch",
        what: "404, and not 401",
        why: "A guard belongs to a route, and there is none",
        adds: &[],
        at: &[
            at(Rocket, GUARDED_METHODS, "OPTIONS /area/inside", "404"),
            at(Rocket, GUARDED_METHODS, "DELETE /area/inside", "404"),
            at(Rocket, GUARDED_METHODS, "PUT /area/inside", "404"),
            at(Rocket, GUARDED_METHODS, "TRACE /area/inside", "404"),
            at(Rocket, GUARDED_METHODS, "a preflight for /area/inside", "404"),
        ],
    },
    Difference {
        case: "A method without a handler, behind a layer that refuses",
        what: "The 401 has an `Allow`",
        why: "axum adds it outside of every layer",
        adds: &[],
        at: &[
            at(Axum, GUARDED_METHODS, "OPTIONS /area/inside", "401 invalid_token"),
            at(Axum, GUARDED_METHODS, "DELETE /area/inside", "401 invalid_token"),
            at(Axum, GUARDED_METHODS, "PUT /area/inside", "401 invalid_token"),
            at(Axum, GUARDED_METHODS, "TRACE /area/inside", "401 invalid_token"),
            at(Axum, GUARDED_METHODS, "FOO /area/inside", "401 invalid_token"),
            at(Axum, GUARDED_METHODS, "a preflight for /area/inside", "401 invalid_token"),
            at(Axum, LAYER, "a bad token that asks for the methods", "401 invalid_token"),
        ],
    },
    Difference {
        case: "A form whose first field is `_method=PUT`",
        what: "It is a `PUT`, and judged as one",
        why: "So Rocket lets forms have other methods",
        adds: &[],
        at: &[at(Rocket, METHODS, "a form that says PUT", "405 method_not_allowed")],
    },
    Difference {
        case: "`HEAD` of a browser that is sent to sign in",
        what: "`Content-Length: 0` is said",
        why: "Both write the length of every body; bare hyper and Rocket leave it out",
        adds: &[],
        at: &[
            at(Axum, "a_browser_is_sent_to_sign_in_and_back", "a look at the head", "303"),
            at(Actix, "a_browser_is_sent_to_sign_in_and_back", "a look at the head", "303"),
        ],
    },
    Difference {
        case: "A guarded path with encoded letters (`/%6de`)",
        what: "The route is found, and its guard asked",
        why: "It is decoded before it is compared",
        adds: &[],
        at: &[
            at(Actix, GUARDED_PATHS, "/%6de", "401 invalid_token"),
            at(Rocket, GUARDED_PATHS, "/%6de", "401 invalid_token"),
        ],
    },
    Difference {
        case: "A guarded path with another slash (`/me/`, `//me`)",
        what: "The route is found, and its guard asked",
        why: "Rocket passes over empty steps of a path",
        adds: &[],
        at: &[
            at(Rocket, GUARDED_PATHS, "/me/", "401 invalid_token"),
            at(Rocket, GUARDED_PATHS, "//me", "401 invalid_token"),
        ],
    },
    Difference {
        case: "An endpoint's path with encoded letters (`/auth/capauth/%6de`)",
        what: "404 by CapAuth, in JSON, and not by the application",
        why: "actix-web decodes a path before it compares it, and CapAuth does not",
        adds: &[],
        at: &[
            at(Actix, PATHS, "/auth/capauth/%6de", "404 not_found"),
            at(Actix, PATHS, "/auth/capauth/m%65", "404 not_found"),
            at(Actix, PATHS, "/auth/c%61pauth/me", "404 not_found"),
            at(Actix, PATHS, "/%61uth/capauth/me", "404 not_found"),
        ],
    },
    Difference {
        case: "Whatever is no endpoint below `/auth/capauth`, and that path itself",
        what: "404 by CapAuth, in JSON, and not by the application",
        why: "In Rocket the whole branch is CapAuth's",
        adds: &[],
        at: &[
            at(Rocket, UNKNOWN, "GET /auth/capauth*", "404 not_found"),
            at(Rocket, UNKNOWN, "POST /auth/capauth*", "404 not_found"),
            at(Rocket, PATHS, "/auth/capauth/*", "404 not_found"),
            at(Rocket, PATHS, "//auth/capauth/me", "404 not_found"),
            at(Rocket, PATHS, "/auth//capauth/me", "404 not_found"),
            at(Rocket, PATHS, "/auth/c%61pauth/me", "404 not_found"),
            at(Rocket, PATHS, "/%61uth/capauth/me", "404 not_found"),
            at(Rocket, "targets_in_every_form", "a byte beyond ASCII", "404 not_found"),
        ],
    },
    Difference {
        case: "A path with bytes beyond ASCII",
        what: "400 without a body",
        why: "actix-web takes it for no path",
        adds: &[],
        at: &[at(Actix, "targets_in_every_form", "a byte beyond ASCII", "400")],
    },
    Difference {
        case: "A body that is refused unread",
        what: "The answer says `Connection: close`",
        why: "hyper closes the connection too, and does not say so",
        adds: &[],
        at: &[
            at(Actix, HIDDEN, "too long", "413 payload_too_large"),
            at(Actix, HIDDEN, "of another type", "413 payload_too_large"),
            at(Actix, HIDDEN, "of another site", "403 forbidden"),
            at(Actix, HIDDEN, "of another method", "405 method_not_allowed"),
            at(Actix, HIDDEN, "of nobody", "401 invalid_token"),
            at(Rocket, HIDDEN, "too long", "413 payload_too_large"),
            at(Rocket, HIDDEN, "of another type", "413 payload_too_large"),
            at(Rocket, HIDDEN, "of another site", "403 forbidden"),
            at(Rocket, HIDDEN, "of another method", "405 method_not_allowed"),
            at(Rocket, HIDDEN, "of nobody", "401 invalid_token"),
        ],
    },
    Difference {
        case: "A body in chunks that is too long, and does not end",
        what: "413 at once, and the connection stays open; what comes is dropped",
        why: "actix-web reads such a body to its end, whatever the answer",
        adds: &[],
        at: &[at(Actix, OVERSIZED, "in chunks, to *", "413 payload_too_large, left open")],
    },
    Difference {
        case: "`Expect: 100-continue` before a body too long",
        what: "100 comes before 413",
        why: "actix-web says it before it asks a handler",
        adds: &[],
        at: &[
            at(Actix, OVERSIZED, "262145 bytes after a word", "413 payload_too_large"),
            at(Actix, OVERSIZED, "99999999999 bytes after a word", "413 payload_too_large"),
        ],
    },
    Difference {
        case: "A body too long of which nothing is sent",
        what: "No answer before half a KiB of it is there (100, where one waits for that)",
        why: "Rocket reads the beginning of every body before it looks for a route",
        adds: &[],
        at: &[
            at(Rocket, OVERSIZED, "262145 bytes after a word", "no answer"),
            at(Rocket, OVERSIZED, "99999999999 bytes after a word", "no answer"),
            at(Rocket, OVERSIZED, "262145 bytes, none sent", "no answer"),
            at(Rocket, OVERSIZED, "99999999999 bytes, none sent", "no answer"),
        ],
    },
];

impl At {
    fn is(&self, case: &str, step: &str, framework: Framework) -> bool {
        let named = self.step.strip_suffix('*').map_or(self.step == step, |start| step.starts_with(start));
        named && self.case == case && self.framework == framework
    }
}

/// A step of the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed {
    /// Which one of all.
    pub(crate) place: usize,
    pub(crate) difference: &'static Difference,
    pub(crate) at: &'static At,
}

fn all() -> impl Iterator<Item = Listed> {
    let steps =
        DIFFERENCES.iter().flat_map(|difference| difference.at.iter().map(move |at| (difference, at)));
    steps.enumerate().map(|(place, (difference, at))| Listed { place, difference, at })
}

/// What is listed for a step.
pub(crate) fn find(case: &str, step: &str, framework: Framework) -> Option<Listed> {
    all().find(|listed| listed.at.is(case, step, framework))
}

/// What is listed for a case.
pub(crate) fn of_case(case: &str, framework: Framework) -> impl Iterator<Item = Listed> {
    all().filter(move |listed| listed.at.case == case && listed.at.framework == framework)
}

/// The headers that a framework adds to its answers.
pub(crate) fn added(framework: Framework) -> Vec<&'static str> {
    let own = all().filter(|listed| listed.at.framework == framework);
    own.flat_map(|listed| listed.difference.adds).copied().collect()
}

impl Difference {
    /// Its row in the table.
    fn row(&self) -> String {
        let frameworks: BTreeSet<Framework> = self.at.iter().map(|at| at.framework).collect();
        let names: Vec<&str> = frameworks.into_iter().map(Framework::name).collect();
        format!("| {} | {} | {} | {} |", self.case, names.join(", "), self.what, self.why)
    }
}

#[test]
fn the_documentation_has_exactly_these_rows() {
    let text = fs::read_to_string(workspace().join("docs/frameworks.md")).expect("docs/frameworks.md");
    let section = text.split("\n## ").find(|section| section.starts_with("Differences\n"));
    let rows: Vec<&str> =
        section.expect("## Differences").lines().filter(|line| line.starts_with('|')).collect();
    let expected: Vec<String> = ["| case | framework | what | why |", "|---|---|---|---|"]
        .map(str::to_owned)
        .into_iter()
        .chain(DIFFERENCES.iter().map(Difference::row))
        .collect();
    assert!(rows == expected, "docs/frameworks.md should have this table:\n{}", expected.join("\n"));
}

#[test]
fn differences_speak_of_cases_that_there_are() {
    for Listed { at, .. } in all() {
        assert!(CASES.contains(&at.case), "{at:?}");
        assert_ne!(at.framework, Framework::Tower, "the others are compared with it: {at:?}");
    }
}
