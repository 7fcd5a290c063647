//! Attacks with cleartext-signed messages, and armour that is none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use capauth_tests::keys::{self, CREATED, Draft};
use capauth_tests::login::{World, kind, payload, response};
use capauth_tests::signer::{self, cleartext_of, cleartext_raw, signature};
use capauth_verifier::AuthErrorKind as K;
use proptest::prelude::*;
use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::types::SignatureType;

async fn refused(draft: &Draft, sign: impl FnOnce(&str) -> String) {
    let world = World::new().await;
    let outcome = world.log_in(draft.fingerprint(), Some(draft.armored()), sign).await;
    assert_eq!(kind(outcome), K::InvalidNonceSignature);
    assert_eq!(world.count().await, 0);
}

async fn admitted(draft: &Draft, sign: impl FnOnce(&str) -> String) {
    let world = World::new().await;
    let login = world.log_in(draft.fingerprint(), Some(draft.armored()), sign).await;
    assert!(login.expect("an honest login").response.is_new_enrollment);
}

fn signed(draft: &Draft, text: &str) -> Signature {
    signature(&draft.pair(), text, |b| b.set_type(SignatureType::Text))
}

const FIRST_LINE: &str = "-----BEGIN PGP SIGNED MESSAGE-----\n";

#[tokio::test]
async fn cleartext_of_both_versions_with_either_line_end_and_with_trailing_space() {
    for draft in [Draft::honest(), Draft::of(keys::ed25519_v6(CREATED)).direct_key(|b| b)] {
        let honest = |text: &str| signer::cleartext(&draft.pair(), text);
        admitted(&draft, honest).await;
        admitted(&draft, |text| honest(text).replace('\n', "\r\n")).await;
        // White space at the end of a line is not part of what is signed.
        let trailing = |text: &str| cleartext_raw(&[signed(&draft, text)], &text.replace('\n', " \t\n"));
        admitted(&draft, trailing).await;
        // Any line may be escaped, not only one that must be; the Hash header may be missing, or be there twice.
        let escaped =
            |text: &str| cleartext_raw(&[signed(&draft, text)], &format!("- {}", text.replace('\n', "\n- ")));
        admitted(&draft, escaped).await;
        admitted(&draft, |text| honest(text).replacen("Hash: SHA512\n", "", 1)).await;
        admitted(&draft, |text| honest(text).replacen("Hash: SHA512\n", "Hash: SHA512\nHash: SHA256\n", 1))
            .await;
    }
}

#[tokio::test]
async fn cleartext_with_other_content() {
    let draft = Draft::honest();
    refused(&draft, |_| signer::cleartext(&draft.pair(), "something else")).await;
    refused(&draft, |text| cleartext_of(signed(&draft, text), "something else")).await;
    refused(&draft, |text| cleartext_of(signed(&draft, "something else"), text)).await;
    // Content and signature agree, and are nearly what was asked for.
    let changes: [fn(&str) -> String; 5] = [
        |t| format!("\n{t}"),
        |t| format!("{t}\nadmin=true"),
        |t| format!("I agree to everything.\n{t}"),
        |t| t.replacen('\n', "\n\n", 1),
        |t| t.replace("CAPAUTH_NONCE_V1", "CAPAUTH_NONCE_V2"),
    ];
    for change in changes {
        refused(&draft, |text| signer::cleartext(&draft.pair(), &change(text))).await;
        refused(&draft, |text| cleartext_of(signed(&draft, text), &change(text))).await;
    }
    admitted(&draft, |text| signer::cleartext(&draft.pair(), text)).await;
}

#[tokio::test]
async fn lines_before_and_after_the_cleartext() {
    let draft = Draft::honest();
    let honest = |text: &str| signer::cleartext(&draft.pair(), text);
    refused(&draft, |text| format!("Please sign this:\n{}", honest(text))).await;
    refused(&draft, |text| format!("{}Yours, Eve\n", honest(text))).await;
    refused(&draft, |text| {
        honest(text).replacen("Hash: SHA512\n", "Hash: SHA512\nI agree to everything.\n", 1)
    })
    .await;
    refused(&draft, |text| honest(text).replacen("Hash: SHA512\n", "Comment: I agree\n", 1)).await;
    refused(&draft, |text| {
        honest(text).replacen(FIRST_LINE, "-----BEGIN PGP SIGNED MESSAGE----- I agree\n", 1)
    })
    .await;
    let between = |text: &str| {
        honest(text).replacen(
            "\n-----BEGIN PGP SIGNATURE",
            "\n-----END PGP SIGNED MESSAGE-----\n-----BEGIN PGP SIGNATURE",
            1,
        )
    };
    refused(&draft, between).await;
    admitted(&draft, |text| format!("\n {}\n\n", honest(text))).await;
}

#[tokio::test]
async fn a_second_message() {
    let draft = Draft::honest();
    let honest = |text: &str| signer::cleartext(&draft.pair(), text);
    refused(&draft, |text| format!("{}{}", honest(text), honest(text))).await;
    refused(&draft, |text| format!("{}{}", honest("else"), honest(text))).await;
    refused(&draft, |text| format!("{}{}", honest(text), signer::detached(&draft.pair(), text))).await;
    refused(&draft, |text| {
        format!("{}{}", signer::detached(&draft.pair(), text), signer::detached(&draft.pair(), text))
    })
    .await;
    refused(&draft, |text| {
        format!("{}{}", signer::inline(&draft.pair(), text), signer::inline(&draft.pair(), text))
    })
    .await;
    admitted(&draft, honest).await;
}

#[tokio::test]
async fn unescaped_dashes_in_the_cleartext() {
    let draft = Draft::honest();
    for line in ["-----BEGIN PGP SIGNED MESSAGE-----", "-", "--x"] {
        let with = |text: &str| format!("{text}\n{line}");
        refused(&draft, |text| cleartext_raw(&[signed(&draft, &with(text))], &with(text))).await;
        refused(&draft, |text| cleartext_raw(&[signed(&draft, text)], &with(text))).await;
    }
    admitted(&draft, |text| signer::cleartext(&draft.pair(), text)).await;
}

/// A cleartext signature is a text signature: a binary one over the same bytes would not be what other programs check.
#[tokio::test]
async fn binary_signature_in_a_cleartext_message() {
    let draft = Draft::honest();
    refused(&draft, |text| cleartext_of(signature(&draft.pair(), text, |b| b), text)).await;
    let five = |text: &str| cleartext_raw(&vec![signed(&draft, text); 5], text);
    refused(&draft, five).await;
    admitted(&draft, |text| cleartext_raw(&vec![signed(&draft, text); 4], text)).await;
}

#[tokio::test]
async fn armour_of_another_kind_junk_around_it_and_truncated() {
    let draft = Draft::honest();
    let pair = draft.pair();
    let forms: [fn(&sequoia_openpgp::crypto::KeyPair, &str) -> String; 4] =
        [signer::detached, signer::inline, signer::inline_compressed, signer::cleartext];
    for form in forms {
        refused(&draft, |text| format!("hello\n{}", form(&pair, text))).await;
        refused(&draft, |text| format!("{}hello", form(&pair, text))).await;
        refused(&draft, |text| {
            form(&pair, text)
                .replace("PGP SIGNATURE", "PGP PUBLIC KEY BLOCK")
                .replace("PGP MESSAGE", "PGP ARMORED FILE")
        })
        .await;
        for share in 1..8 {
            refused(&draft, |text| {
                let whole = form(&pair, text);
                whole.chars().take(whole.len() * share / 8).collect()
            })
            .await;
        }
        admitted(&draft, |text| form(&pair, text)).await;
        admitted(&draft, |text| form(&pair, text).replace('\n', "\r\n")).await;
        admitted(&draft, |text| format!("\n\t {}  \n\n", form(&pair, text))).await;
    }
    refused(&draft, |text| signer::detached(&pair, text).replace("PGP SIGNATURE", "PGP MESSAGE")).await;
    refused(&draft, |text| signer::inline(&pair, text).replace("PGP MESSAGE", "PGP SIGNATURE")).await;
    refused(&draft, |_| String::new()).await;
    refused(&draft, |text| text.to_owned()).await;
    refused(&draft, |_| "-----BEGIN PGP SIGNATURE-----\n-----END PGP SIGNATURE-----".to_owned()).await;
    refused(&draft, |_| FIRST_LINE.to_owned()).await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Verifies one answer after the other against one challenge, and finds all of them refused in the one word.
fn never_let_in(sign: impl Fn(&Draft, &str) -> String, honest: bool) {
    runtime().block_on(async {
        let (draft, world) = (Draft::honest(), World::new().await);
        let challenge = world.challenge(draft.fingerprint()).await;
        let attempt = sign(&draft, &payload(&challenge));
        let request = response(draft.fingerprint(), &challenge, attempt, Some(draft.armored()));
        assert_eq!(kind(world.answer(&request).await), K::InvalidNonceSignature);
        assert_eq!(world.count().await, 0);
        if honest {
            let attempt = signer::detached(&draft.pair(), &payload(&challenge));
            let request = response(draft.fingerprint(), &challenge, attempt, Some(draft.armored()));
            world.answer(&request).await.expect("the challenge is still good");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text_is_no_signature(text in ".{0,300}") {
        never_let_in(|_, _| text.clone(), true);
    }

    #[test]
    fn random_bytes_in_armour_are_no_signature(bytes in prop::collection::vec(any::<u8>(), 0..400), message: bool) {
        let kind = if message { sequoia_openpgp::armor::Kind::Message } else { sequoia_openpgp::armor::Kind::Signature };
        never_let_in(|_, _| keys::armored(kind, &bytes), false);
    }

    #[test]
    fn random_lines_in_cleartext_are_no_signature(body in "[-A-Z =\\n\\r\\t]{0,200}") {
        never_let_in(|draft, text| cleartext_raw(&[signed(draft, text)], &body), false);
    }

    /// Packets of an honest message in any order, any number of times, any of them missing.
    #[test]
    fn shuffled_packets_of_an_honest_message(order in prop::collection::vec(0_usize..3, 0..7), deflate: bool) {
        // What is announced as often as it is signed is honest, and so are signatures before the content.
        let only = |places: &[usize], packet: usize| !places.is_empty() && places.iter().all(|place| *place == packet);
        let middle = order.len() / 2;
        let new_style = order.len() % 2 == 1
            && order[middle] == 1 && only(&order[..middle], 0) && only(&order[middle + 1..], 2);
        let old_style = order.split_last().is_some_and(|(last, others)| *last == 1 && only(others, 2));
        prop_assume!(!new_style && !old_style);
        never_let_in(|draft, text| {
            let honest = signer::inline_packets(&draft.pair(), text);
            let packets: Vec<_> = order.iter().map(|place| honest[*place].clone()).collect();
            if deflate { signer::armor_message(&[signer::deflated(packets)]) } else { signer::armor_message(&packets) }
        }, false);
    }

    /// Certificates that are noise: refused as such, whoever signs.
    #[test]
    fn random_bytes_are_no_certificate(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        runtime().block_on(async {
            let (draft, world) = (Draft::honest(), World::new().await);
            for bytes in [bytes.clone(), [keys::bytes_of(&draft.packets[..1]), bytes].concat()] {
                let certificate = keys::armored(sequoia_openpgp::armor::Kind::PublicKey, &bytes);
                let sign = |text: &str| signer::detached(&draft.pair(), text);
                assert!(world.log_in(draft.fingerprint(), Some(certificate), sign).await.is_err());
            }
            assert_eq!(world.count().await, 0);
        });
    }
}
