//! What may happen, in any order.

use std::collections::BTreeSet;

use capauth_tests::life::{By, CERTS, Cert, K, KEYS};
use proptest::prelude::*;

pub(crate) const GROUPS: [&str; 2] = ["admins", "staff"];
pub(crate) const NAMES: [&str; 2] = ["ada", "lovelace"];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    LogIn { k: K, by: By, cert: Option<Cert>, code: Option<usize>, refresh: bool },
    Rotate { old: K, new: K, by: By, cert: Cert },
    Cancel { old: K, by: By },
    Link { primary: K, secondary: K, cert: Option<Cert> },
    Unlink { primary: K, secondary: K },
    Approve(K),
    Revoke(K),
    Erase(K),
    Groups(K, BTreeSet<&'static str>),
    Name(K, Option<&'static str>),
    EndAllOf(K),
    MakeCode(BTreeSet<&'static str>),
    EnrolForThem(K, Cert),
    CancelForThem(K),
    UnlinkForThem { primary: K, secondary: K },
    Refresh { login: usize, first: bool },
    EndOne { login: usize, other: usize },
    EndAll { login: usize },
    LogOut { login: usize },
    Wait(u64),
}

fn k() -> impl Strategy<Value = K> {
    // The first ones more often: what happens to one key after another is what goes wrong.
    prop_oneof![4 => 0..3_usize, 1 => 0..KEYS]
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![6 => Just(By::Primary), 3 => Just(By::Subkey), 1 => Just(By::Stranger)]
}

fn cert() -> impl Strategy<Value = Cert> {
    prop_oneof![5 => Just(Cert::Plain), 5 => prop::sample::select(&CERTS[..])]
}

fn groups() -> impl Strategy<Value = BTreeSet<&'static str>> {
    prop::sample::subsequence(&GROUPS[..], 0..=GROUPS.len()).prop_map(|groups| groups.into_iter().collect())
}

fn login() -> impl Strategy<Value = usize> {
    0..4_usize
}

fn log_in() -> BoxedStrategy<Step> {
    let cert = prop_oneof![2 => Just(None), 5 => cert().prop_map(Some)];
    let code = prop_oneof![3 => Just(None), 1 => (0..3_usize).prop_map(Some)];
    (k(), by(), cert, code, any::<bool>())
        .prop_map(|(k, by, cert, code, refresh)| Step::LogIn { k, by, cert, code, refresh })
        .boxed()
}

fn of_two() -> BoxedStrategy<Step> {
    let some_cert = prop_oneof![Just(None), cert().prop_map(Some)];
    prop_oneof![
        3 => (k(), k(), by(), cert()).prop_map(|(old, new, by, cert)| Step::Rotate { old, new, by, cert }),
        3 => (k(), k(), some_cert).prop_map(|(primary, secondary, cert)| Step::Link { primary, secondary, cert }),
        2 => (k(), k()).prop_map(|(primary, secondary)| Step::Unlink { primary, secondary }),
        1 => (k(), k()).prop_map(|(primary, secondary)| Step::UnlinkForThem { primary, secondary }),
        1 => (k(), by()).prop_map(|(old, by)| Step::Cancel { old, by }),
    ]
    .boxed()
}

fn by_administrator() -> BoxedStrategy<Step> {
    let name = prop_oneof![1 => Just(None), 3 => prop::sample::select(&NAMES[..]).prop_map(Some)];
    prop_oneof![
        4 => k().prop_map(Step::Approve),
        2 => k().prop_map(Step::Revoke),
        3 => k().prop_map(Step::Erase),
        3 => (k(), groups()).prop_map(|(k, groups)| Step::Groups(k, groups)),
        2 => (k(), name).prop_map(|(k, name)| Step::Name(k, name)),
        1 => k().prop_map(Step::EndAllOf),
        2 => groups().prop_map(Step::MakeCode),
        2 => (k(), cert()).prop_map(|(k, cert)| Step::EnrolForThem(k, cert)),
        1 => k().prop_map(Step::CancelForThem),
    ]
    .boxed()
}

fn of_sessions() -> BoxedStrategy<Step> {
    prop_oneof![
        3 => (login(), any::<bool>()).prop_map(|(login, first)| Step::Refresh { login, first }),
        2 => (login(), login()).prop_map(|(login, other)| Step::EndOne { login, other }),
        1 => login().prop_map(|login| Step::EndAll { login }),
        1 => login().prop_map(|login| Step::LogOut { login }),
    ]
    .boxed()
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn wait() -> BoxedStrategy<Step> {
    prop::sample::select(&[10, 30, 2 * HOUR, 13 * HOUR, 8 * DAY, 25 * DAY][..]).prop_map(Step::Wait).boxed()
}

fn step() -> BoxedStrategy<Step> {
    prop_oneof![
        8 => log_in(),
        6 => of_two(),
        6 => by_administrator(),
        3 => of_sessions(),
        2 => wait(),
    ]
    .boxed()
}

fn comes(k: K, by: By, cert: Option<Cert>, refresh: bool) -> Step {
    Step::LogIn { k, by, cert, code: None, refresh }
}

/// What chance alone would seldom put in this order.
fn story() -> BoxedStrategy<Vec<Step>> {
    let plain = Some(Cert::Plain);
    prop_oneof![
        // Somebody rotates, and the old key says that it was not them.
        (k(), k(), by(), cert(), any::<bool>()).prop_map(move |(old, new, by, cert, approve)| {
            let waits = Step::Wait(if by == By::Subkey { 8 * DAY } else { 10 });
            let rotate = Step::Rotate { old, new, by, cert: Cert::Plain };
            let after = if approve { Step::Approve(new) } else { Step::Erase(new) };
            let says = comes(old, By::Primary, Some(cert), false);
            vec![rotate, waits, comes(new, By::Primary, plain, true), says, after]
        }),
        (k(), k(), cert()).prop_map(move |(old, new, cert)| {
            let rotate = Step::Rotate { old, new, by: By::Subkey, cert: Cert::Plain };
            vec![rotate, comes(old, By::Primary, Some(cert), false), Step::Cancel { old, by: By::Primary }]
        }),
        (k(), k(), any::<bool>()).prop_map(move |(primary, secondary, own)| {
            let link = Step::Link { primary, secondary, cert: plain };
            let undo = match own {
                true => Step::Unlink { primary, secondary },
                false => Step::UnlinkForThem { primary, secondary },
            };
            vec![
                link,
                comes(secondary, By::Primary, plain, false),
                undo,
                comes(secondary, By::Primary, None, true),
            ]
        }),
        (k(), login(), prop::sample::select(&[10, 30][..]), any::<bool>()).prop_map(
            move |(k, login, wait, first)| {
                let refresh = |first| Step::Refresh { login, first };
                vec![
                    comes(k, By::Primary, plain, true),
                    refresh(false),
                    Step::Wait(wait),
                    refresh(first),
                    refresh(true),
                ]
            }
        ),
        (k(), login(), login(), any::<bool>()).prop_map(move |(k, login, other, refresh)| {
            let come = || comes(k, By::Primary, None, refresh);
            vec![come(), come(), Step::EndOne { login, other }, Step::EndAll { login: other }]
        }),
    ]
    .boxed()
}

/// A few steps, of which one may come in between others.
fn scene() -> impl Strategy<Value = Vec<Step>> {
    (story(), prop::option::of((0..6_usize, step()))).prop_map(|(mut story, between)| {
        if let Some((place, step)) = between {
            story.insert(place.min(story.len()), step);
        }
        story
    })
}

/// A sequence. The first few are let in, so that there is something to go wrong.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let first = |k| {
        let asks = move |by| comes(k, by, Some(Cert::Plain), true);
        prop_oneof![Just(Step::EnrolForThem(k, Cert::Plain)), by().prop_map(asks)]
    };
    let then = prop_oneof![1 => scene(), 2 => step().prop_map(|step| vec![step])];
    ((first(0), first(1)), prop::collection::vec(then, 3..8)).prop_map(|((first, second), rest)| {
        [first, second].into_iter().chain(rest.into_iter().flatten()).collect()
    })
}
