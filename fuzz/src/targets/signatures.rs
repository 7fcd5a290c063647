//! Signatures in each form: nothing verifies but what the key signed.

use capauth_verifier::fuzzing;

use super::certificates::armour;
use super::text;
use crate::{Outcome, fixed};

/// Packets of a detached signature.
pub fn detached(data: &[u8]) -> Outcome {
    checked(&armour("SIGNATURE", data))
}

/// Packets of a signed message.
pub fn inline(data: &[u8]) -> Outcome {
    checked(&armour("MESSAGE", data))
}

/// A signature as it is sent, in any form; the cleartext one cannot be had otherwise.
pub fn armored(data: &[u8]) -> Outcome {
    text(data).map_or(Outcome::Refused, checked)
}

fn checked(armored: &str) -> Outcome {
    let good = |text: &str| fuzzing::good_signatures(armored, text, fixed::keys(), fixed::now());
    assert!(good(&fixed::other_text()).is_empty(), "a signature over a text that nobody signed");
    let found = good(&fixed::text());
    for signature in &found {
        let made = fixed::signatures().iter().any(|own| {
            own.typ() == signature.typ()
                && own.mpis() == signature.mpis()
                && own.hashed_area() == signature.hashed_area()
        });
        assert!(made, "a signature that the key did not make: {signature:?}");
    }
    Outcome::accepted_if(!found.is_empty())
}
