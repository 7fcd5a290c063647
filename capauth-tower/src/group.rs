//! Who is let through: [`Rule`], and groups as types.

use std::borrow::Cow;

use capauth_verifier::{AuthError, AuthErrorKind, Authenticated};

/// A group as a type, so that a guard can name it in a handler's signature. Made by [`group!`](crate::group!).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a group",
    label = "not a group",
    note = "declare one with `group!(pub Admins = \"admins\");`"
)]
pub trait Group: Send + Sync + 'static {
    /// What administrators call it.
    const NAME: &'static str;
}

/// Declares a group as a type: `group!(pub Admins = "admins");`
///
/// The name has 1 to 64 ASCII letters, digits and characters of `. _ : @ / -`, as administrators may grant it;
/// another one does not compile.
///
/// ```
/// use capauth_tower::{Group, group};
///
/// group!(pub Admins = "admins");
/// assert_eq!(Admins::NAME, "admins");
/// ```
///
/// ```compile_fail
/// capauth_tower::group!(pub Admins = "no spaces");
/// ```
#[macro_export]
macro_rules! group {
    ($(#[$meta:meta])* $visibility:vis $name:ident = $group:literal $(;)?) => {
        #[doc = concat!("The group `", $group, "`.")]
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        $visibility struct $name;

        impl $crate::Group for $name {
            const NAME: &'static str = $group;
        }

        const _: () = assert!($crate::is_group_name($group), "a group's name has 1 to 64 of A-Z a-z 0-9 . _ : @ / -");
    };
}

/// Whether an administrator may grant a group of this name.
pub const fn is_group_name(name: &str) -> bool {
    let mut rest = name.as_bytes();
    if rest.is_empty() || rest.len() > capauth_protocol::limits::MAX_GROUP_NAME {
        return false;
    }
    while let [byte, more @ ..] = rest {
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'@' | b'/' | b'-')) {
            return false;
        }
        rest = more;
    }
    true
}

/// Who is let through.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// Whoever is signed in.
    Login,
    /// Who is in this group.
    Group(Cow<'static, str>),
    /// Who does not say of themselves that they are a program.
    Human,
}

impl Rule {
    /// The rule of a [`Group`].
    pub const fn group<G: Group>() -> Self {
        Self::Group(Cow::Borrowed(G::NAME))
    }

    pub(crate) fn check(&self, who: &Authenticated) -> Result<(), AuthError> {
        let fulfilled = match self {
            Self::Login => true,
            Self::Group(group) => who.in_group(group),
            Self::Human => !who.is_ai(),
        };
        if fulfilled { Ok(()) } else { Err(AuthErrorKind::Forbidden.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_names_are_what_an_administrator_may_grant() {
        for good in ["admins", "a", "org:team@x/y_z.w-v", &"x".repeat(64)] {
            assert!(is_group_name(good), "{good}");
        }
        for bad in ["", " ", "a b", "é", "a\n", "a,b", &"x".repeat(65)] {
            assert!(!is_group_name(bad), "{bad}");
        }
    }
}
