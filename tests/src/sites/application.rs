//! What the application says, in every framework.

use capauth_tower::{Authenticated, group};

group!(pub(super) Admins = "admins");

pub(super) const HELLO: &str = "hello";
pub(super) const ADMIN: &str = "an administrator";
pub(super) const HUMAN: &str = "a person";
pub(super) const CHANGED: &str = "changed";
pub(super) const INSIDE: &str = "inside";
/// At every path that nothing is said of, with 404.
pub(super) const NOTHING: &str = "nothing here";

/// Who it is, where nobody need be.
pub(super) fn maybe(who: Option<&Authenticated>) -> String {
    who.map_or("nobody".to_owned(), |who| who.fingerprint().to_string())
}
