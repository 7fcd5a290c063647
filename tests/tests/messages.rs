//! Attacks with the forms a signature comes in: inline-signed messages, cleartext, and what is no form at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail at once and loudly"
)]

use std::io::Write as _;

use capauth_tests::keys::{self, CREATED, Draft, bytes_of};
use capauth_tests::login::{World, kind, response};
use capauth_tests::signer::{self, armor_message, deflated, inline_packets, literal, one_pass, signature};
use capauth_verifier::AuthErrorKind as K;
use sequoia_openpgp::Packet;
use sequoia_openpgp::armor::Kind;
use sequoia_openpgp::packet::prelude::*;
use sequoia_openpgp::types::{SignatureType, SymmetricAlgorithm};

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
    assert_eq!(world.count().await, 1);
}

fn text_signature(draft: &Draft, text: &str) -> Signature {
    signature(&draft.pair(), text, |b| b.set_type(SignatureType::Text))
}

#[tokio::test]
async fn every_form_of_an_inline_message() {
    for draft in [Draft::honest(), Draft::of(keys::ed25519_v6(CREATED)).direct_key(|b| b)] {
        let pair = draft.pair();
        admitted(&draft, |text| signer::inline(&pair, text)).await;
        admitted(&draft, |text| signer::inline_compressed(&pair, text)).await;
        admitted(&draft, |text| signer::inline_old_style(&pair, text)).await;
        admitted(&draft, |text| {
            armor_message(&[deflated([signature(&pair, text, |b| b).into(), literal(text)])])
        })
        .await;
        // Two signatures, the outer one announced first and written last.
        let two = |text: &str| {
            let (inner, outer) = (text_signature(&draft, text), signature(&pair, text, |b| b));
            let packets =
                [one_pass(&outer, false), one_pass(&inner, true), literal(text), inner.into(), outer.into()];
            armor_message(&packets)
        };
        admitted(&draft, two).await;
        // A text signature's content may have any line ends.
        for content in [|t: &str| t.to_owned(), |t: &str| t.replace('\n', "\r\n")] {
            let sign =
                |t: &str| armor_message(&signer::inline_packets_of(text_signature(&draft, t), content(t)));
            admitted(&draft, sign).await;
        }
    }
}

#[tokio::test]
async fn inline_message_with_other_content() {
    let draft = Draft::honest();
    let pair = draft.pair();
    // Both the content and the signature are about something else; then one of the two alone.
    refused(&draft, |_| signer::inline(&pair, "something else")).await;
    let other = |text: &str| {
        armor_message(&signer::inline_packets_of(signature(&pair, text, |b| b), "something else"))
    };
    refused(&draft, other).await;
    let other = |text: &str| armor_message(&signer::inline_packets_of(signature(&pair, "else", |b| b), text));
    refused(&draft, other).await;
    for change in [|t: &str| format!("{t}\n"), |t: &str| format!("{t}\0"), |t: &str| t.replace('\n', "\r\n")]
    {
        let sign = |t: &str| armor_message(&signer::inline_packets_of(signature(&pair, t, |b| b), change(t)));
        refused(&draft, sign).await;
    }
    let empty = |t: &str| armor_message(&signer::inline_packets_of(signature(&pair, t, |b| b), ""));
    refused(&draft, empty).await;
}

#[tokio::test]
async fn inline_message_with_extra_packets() {
    let draft = Draft::honest();
    let pair = draft.pair();
    let with = |place: usize, packet: Packet| {
        let pair = &pair;
        move |text: &str| {
            let mut packets = inline_packets(pair, text);
            packets.insert(place, packet.clone());
            packets
        }
    };
    for place in 0..=3 {
        for extra in [UserID::from("x").into(), literal("x"), draft.packets[0].clone()] {
            let packets = with(place, extra);
            refused(&draft, |text| armor_message(&packets(text))).await;
            refused(&draft, |text| armor_message(&[deflated(packets(text))])).await;
        }
    }
    // After a compressed packet nothing follows, and nothing stands before it.
    refused(&draft, |text| armor_message(&[deflated(inline_packets(&pair, text)), literal("x")])).await;
    refused(&draft, |text| armor_message(&[literal("x"), deflated(inline_packets(&pair, text))])).await;
    let outside = |text: &str| {
        let mut packets = inline_packets(&pair, text);
        let last = packets.pop().unwrap();
        armor_message(&[deflated(packets), last])
    };
    refused(&draft, outside).await;
    admitted(&draft, |text| signer::inline(&pair, text)).await;
}

#[tokio::test]
async fn two_literals() {
    let draft = Draft::honest();
    let pair = draft.pair();
    for contents in [["", "payload"], ["payload", ""], ["payload", "payload"]] {
        let sign = |text: &str| {
            let made = signature(&pair, text, |b| b);
            let [first, second] = contents.map(|c| literal(if c.is_empty() { c } else { text }));
            armor_message(&[one_pass(&made, true), first, second, made.into()])
        };
        refused(&draft, sign).await;
    }
    // The payload in two halves.
    let halves = |text: &str| {
        let made = signature(&pair, text, |b| b);
        let (a, b) = text.split_at(text.len() / 2);
        armor_message(&[one_pass(&made, true), literal(a), literal(b), made.into()])
    };
    refused(&draft, halves).await;
    refused(&draft, |text| armor_message(&[literal(text)])).await;
}

#[tokio::test]
async fn nested_compression() {
    let draft = Draft::honest();
    let pair = draft.pair();
    admitted(&draft, |text| armor_message(&[deflated(inline_packets(&pair, text))])).await;
    refused(&draft, |text| armor_message(&[deflated([deflated(inline_packets(&pair, text))])])).await;
    let content_alone = |text: &str| {
        let made = signature(&pair, text, |b| b);
        armor_message(&[one_pass(&made, true), deflated([literal(text)]), made.into()])
    };
    refused(&draft, content_alone).await;
    let deep = |text: &str| {
        let mut packet = deflated(inline_packets(&pair, text));
        for _ in 0..30 {
            packet = deflated([packet]);
        }
        armor_message(&[packet])
    };
    refused(&draft, deep).await;
}

/// How much memory this process has ever held, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// A message of `start`, then a literal packet of 300 MB of zeros: a few hundred kilobytes when deflated. It is written
/// in small pieces, so that the memory it would take to unpack is more than this process ever held.
fn bomb(start: &[Packet]) -> String {
    use sequoia_openpgp::serialize::stream::{Compressor, Message};
    const MEBIBYTES: u32 = 300;
    let mut bytes = Vec::new();
    let mut message = Compressor::new(Message::new(&mut bytes)).build().unwrap();
    message.write_all(&bytes_of(start)).unwrap();
    let empty_header = [b'b', 0, 0, 0, 0, 0];
    let length = (MEBIBYTES << 20) + u32::try_from(empty_header.len()).unwrap();
    message.write_all(&[0xcb, 0xff]).unwrap();
    message.write_all(&length.to_be_bytes()).unwrap();
    message.write_all(&empty_header).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..MEBIBYTES {
        message.write_all(&zeros).unwrap();
    }
    message.finalize().unwrap();
    keys::armored(Kind::Message, &bytes)
}

/// Each test has a process of its own, so the peak is this test's.
#[tokio::test]
async fn compression_bomb_is_not_unpacked() {
    let draft = Draft::honest();
    let made = signature(&draft.pair(), "x", |b| b);
    let announced = one_pass(&made, true);
    for start in [vec![], vec![announced], vec![made.into()]] {
        let world = World::new().await;
        let challenge = world.challenge(draft.fingerprint()).await;
        let message = bomb(&start);
        assert!(message.len() < 1 << 20);
        let answer = response(draft.fingerprint(), &challenge, message, Some(draft.armored()));
        let before = peak();
        assert_eq!(kind(world.answer(&answer).await), K::InvalidNonceSignature);
        let grown = peak().saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes more");
        assert_eq!(world.count().await, 0);
    }
    admitted(&draft, |text| signer::inline_compressed(&draft.pair(), text)).await;
}

#[tokio::test]
async fn encrypted_message() {
    let draft = Draft::honest();
    let encrypted = |text: &str| {
        use sequoia_openpgp::serialize::stream::{Encryptor, LiteralWriter, Message, Signer};
        let mut bytes = Vec::new();
        let message = Message::new(&mut bytes);
        let key = sequoia_openpgp::crypto::SessionKey::new(32).unwrap();
        let message = Encryptor::with_session_key(message, SymmetricAlgorithm::AES256, key)
            .unwrap()
            .add_passwords(Some("password"))
            .build()
            .unwrap();
        let message = Signer::new(message, draft.pair()).unwrap().build().unwrap();
        let mut message = LiteralWriter::new(message).build().unwrap();
        message.write_all(text.as_bytes()).unwrap();
        message.finalize().unwrap();
        keys::armored(Kind::Message, &bytes)
    };
    refused(&draft, encrypted).await;
}

/// RFC 9580, 5.8 and 5.14: both "MUST be ignored when received". Their number is bounded like everything else.
#[tokio::test]
async fn marker_and_padding_packets_are_ignored() {
    let draft = Draft::honest();
    let pair = draft.pair();
    let padding = || Packet::from(Padding::new(64).unwrap());
    for extra in [Packet::Marker(Marker::default()), padding()] {
        for place in [0, 3] {
            let sign = |text: &str| {
                let mut packets = inline_packets(&pair, text);
                packets.insert(place, extra.clone());
                armor_message(&packets)
            };
            admitted(&draft, sign).await;
        }
        let many = |text: &str| {
            let mut packets = inline_packets(&pair, text);
            packets.extend(std::iter::repeat_n(extra.clone(), 1000));
            armor_message(&packets)
        };
        refused(&draft, many).await;
    }
    let detached = |text: &str| {
        let packets = [Packet::Marker(Marker::default()), signature(&pair, text, |b| b).into(), padding()];
        keys::armored(Kind::Signature, &bytes_of(&packets))
    };
    admitted(&draft, detached).await;
}

#[tokio::test]
async fn number_of_signatures_differs_from_number_of_one_pass_packets() {
    let draft = Draft::honest();
    let pair = draft.pair();
    let made = |text: &str| signature(&pair, text, |b| b);
    type Build = fn(Signature, &str) -> Vec<Packet>;
    let cases: [Build; 6] = [
        |s, t| vec![one_pass(&s, true), literal(t)],
        |s, t| vec![one_pass(&s, true), literal(t), s.clone().into(), s.into()],
        |s, t| vec![one_pass(&s, false), one_pass(&s, true), literal(t), s.into()],
        |s, t| vec![literal(t), s.into()],
        |s, t| vec![s.clone().into(), one_pass(&s, true), literal(t), s.into()],
        |s, t| vec![one_pass(&s, true), s.clone().into(), literal(t), s.into()],
    ];
    for build in cases {
        refused(&draft, |text| armor_message(&build(made(text), text))).await;
    }
    let announced = |text: &str, count: usize| {
        let made = made(text);
        let mut packets: Vec<Packet> = (1..=count).map(|n| one_pass(&made, n == count)).collect();
        packets.push(literal(text));
        packets.extend(std::iter::repeat_n(Packet::from(made), count));
        armor_message(&packets)
    };
    admitted(&draft, |text| announced(text, 4)).await;
    refused(&draft, |text| announced(text, 5)).await;
}

/// Whatever the announcement says: the signature itself is what is checked.
#[tokio::test]
async fn one_pass_packet_that_announces_another_signature() {
    let (draft, stranger) = (Draft::honest(), Draft::honest());
    let foreign = |text: &str| {
        let (good, bad) = (signature(&draft.pair(), text, |b| b), signature(&stranger.pair(), text, |b| b));
        armor_message(&[one_pass(&good, true), literal(text), bad.into()])
    };
    refused(&draft, foreign).await;
    admitted(&draft, |text| signer::inline(&draft.pair(), text)).await;
}

#[tokio::test]
async fn thousands_of_packets() {
    let draft = Draft::honest();
    let pair = draft.pair();
    for count in [1_000, 20_000] {
        let many = |packet: Packet| std::iter::repeat_n(packet, count).collect::<Vec<_>>();
        refused(&draft, |text| armor_message(&many(one_pass(&signature(&pair, text, |b| b), false)))).await;
        refused(&draft, |text| armor_message(&[deflated(many(literal(text)))])).await;
        refused(&draft, |text| {
            keys::armored(Kind::Signature, &bytes_of(&many(signature(&pair, text, |b| b).into())))
        })
        .await;
    }
    admitted(&draft, |text| signer::inline(&pair, text)).await;
}
