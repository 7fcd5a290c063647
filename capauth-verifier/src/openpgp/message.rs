//! The forms in which a signature arrives: detached, inline-signed, cleartext-signed.
//!
//! What was signed is never taken from the message: the server knows which bytes it asked to sign, a message's content
//! must equal them, and the signature is then checked over ours.

use std::io::Read as _;

use sequoia_openpgp::Packet;
use sequoia_openpgp::armor::Kind;
use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::parse::{PacketParser, PacketParserBuilder, PacketParserResult, Parse as _};
use sequoia_openpgp::policy::Policy as _;
use sequoia_openpgp::types::SignatureType;
use std::time::SystemTime;

use super::{guarded, policy_at};
use crate::error::{AuthError, AuthErrorKind};

/// The most signatures of a message.
const MAX_SIGNATURES: usize = 4;
/// The most packets: a compression layer, a one-pass packet and a signature each, the content.
const MAX_PACKETS: usize = 2 + 2 * MAX_SIGNATURES;
/// The largest single packet, in bytes.
const MAX_PACKET: u32 = 64 * 1024;

const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const MESSAGE: &str = "-----BEGIN PGP MESSAGE-----";
const CLEARTEXT: &str = "-----BEGIN PGP SIGNED MESSAGE-----";

/// Signatures that claim to cover a known text. One good one suffices.
#[derive(Debug)]
pub(crate) struct SignedMessage {
    signatures: Vec<Signature>,
}

impl SignedMessage {
    /// Reads a signature over `text` in any of the forms.
    ///
    /// # Errors
    /// `kind`: it is of none of the forms, or its content is not `text`.
    pub(crate) fn parse(
        armored: &str,
        text: &str,
        now: SystemTime,
        kind: AuthErrorKind,
    ) -> Result<Self, AuthError> {
        guarded(kind, || parse(armored.trim_ascii(), text, now).ok_or(AuthError::new(kind)))
    }

    pub(crate) fn signatures(&self) -> &[Signature] {
        &self.signatures
    }
}

fn parse(armored: &str, text: &str, now: SystemTime) -> Option<SignedMessage> {
    let signatures = if armored.starts_with(SIGNATURE) {
        detached(armored, now)?
    } else if armored.starts_with(MESSAGE) {
        inline(armored, text, now)?
    } else if armored.starts_with(CLEARTEXT) {
        cleartext(armored, text, now)?
    } else {
        return None;
    };
    let count = signatures.len();
    (1..=MAX_SIGNATURES).contains(&count).then_some(SignedMessage { signatures })
}

/// One block of armour of this kind, with nothing around it, as bytes.
fn dearmor(armored: &str, kind: Kind) -> Option<Vec<u8>> {
    let footer = match kind {
        Kind::Signature => "-----END PGP SIGNATURE-----",
        _ => "-----END PGP MESSAGE-----",
    };
    let one = armored.ends_with(footer)
        && armored.matches("-----BEGIN ").count() == 1
        && armored.matches("-----END ").count() == 1;
    if !one {
        return None;
    }
    super::armor::decode(armored, kind)
}

fn parser(bytes: &[u8]) -> Option<PacketParserResult<'_>> {
    let builder = PacketParserBuilder::from_bytes(bytes).ok()?;
    builder.max_recursion_depth(1).max_packet_size(MAX_PACKET).automatic_hashing(false).build().ok()
}

fn detached(armored: &str, now: SystemTime) -> Option<Vec<Signature>> {
    let bytes = dearmor(armored, Kind::Signature)?;
    let policy = policy_at(now);
    let mut next = parser(&bytes)?;
    let mut signatures = Vec::new();
    let mut packets = 0;
    while let PacketParserResult::Some(packet) = next {
        policy.packet(&packet.packet).ok()?;
        // To go on past a container is to unpack it: decided before.
        if !matches!(packet.packet, Packet::Signature(_) | Packet::Marker(_) | Packet::Padding(_)) {
            return None;
        }
        let (packet, rest) = PacketParser::next(packet).ok()?;
        packets += 1;
        if let Packet::Signature(signature) = packet {
            signatures.push(signature);
        }
        if signatures.len() > MAX_SIGNATURES || packets > MAX_PACKETS {
            return None;
        }
        next = rest;
    }
    Some(signatures)
}

/// `[compressed] one-pass…, literal, signature…`, or signatures before the literal as of old. At most one compression
/// layer; nothing else.
fn inline(armored: &str, text: &str, now: SystemTime) -> Option<Vec<Signature>> {
    let bytes = dearmor(armored, Kind::Message)?;
    let policy = policy_at(now);
    let mut next = parser(&bytes)?;
    let mut signatures = Vec::new();
    let (mut packets, mut one_passes) = (0, 0);
    let mut content: Option<Vec<u8>> = None;
    let mut compressed = false;
    while let PacketParserResult::Some(mut packet) = next {
        packets += 1;
        if packets > MAX_PACKETS {
            return None;
        }
        policy.packet(&packet.packet).ok()?;
        // Inside a compression layer everything stands at depth one, and nothing follows the layer.
        if compressed != (packet.recursion_depth() == 1) {
            return None;
        }
        match &packet.packet {
            Packet::CompressedData(_) if packets == 1 => compressed = true,
            Packet::OnePassSig(_) if content.is_none() && signatures.is_empty() => one_passes += 1,
            Packet::Signature(_) => {}
            // RFC 9580, 5.8 and 5.14: to be ignored wherever they stand.
            Packet::Marker(_) | Packet::Padding(_) => {}
            Packet::Literal(_) if content.is_none() => content = Some(read_content(&mut packet, text)?),
            _ => return None,
        }
        let (packet, rest) = packet.recurse().ok()?;
        if let Packet::Signature(signature) = packet {
            // Old style has all signatures before the content, new style all after it, one per one-pass packet.
            if (content.is_some() && signatures.len() >= one_passes) || (content.is_none() && one_passes > 0)
            {
                return None;
            }
            signatures.push(signature);
        }
        next = rest;
    }
    if one_passes > 0 && one_passes != signatures.len() {
        return None;
    }
    let content = content?;
    signatures.retain(|signature| covers(signature, &content, text));
    Some(signatures)
}

/// Reads a literal packet's content, and not a byte more than an honest one could have: as long as the text, every
/// line end two bytes. A bomb is not unpacked.
fn read_content(packet: &mut PacketParser<'_>, text: &str) -> Option<Vec<u8>> {
    let most = text.len() + text.matches('\n').count();
    let mut content = Vec::new();
    packet.take(most as u64 + 1).read_to_end(&mut content).ok()?;
    (content.len() <= most).then_some(content)
}

/// Whether content of a message is the text: to the byte, or for a text signature but for its line ends.
fn covers(signature: &Signature, content: &[u8], text: &str) -> bool {
    match signature.typ() {
        SignatureType::Text => normalised(content).is_some_and(|content| content == text),
        _ => content == text.as_bytes(),
    }
}

fn normalised(content: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(content).ok()?.replace("\r\n", "\n"))
}

/// RFC 9580, section 7. Only text signatures; trailing white space of a line is not part of what they cover, and no
/// canonical payload has any.
fn cleartext(armored: &str, text: &str, now: SystemTime) -> Option<Vec<Signature>> {
    let unix = armored.replace("\r\n", "\n");
    let (headers, rest) = unix.strip_prefix(CLEARTEXT)?.split_once("\n\n")?;
    // What stands between the first line and the empty one names hashes, and carries no content.
    let is_header =
        |line: &str| line.strip_prefix("Hash: ").is_some_and(|v| v.len() < 100) && line.is_ascii();
    let mut lines = headers.split('\n');
    if !lines.next()?.trim_end().is_empty() || !lines.all(is_header) {
        return None;
    }
    let at = rest.find(&format!("\n{SIGNATURE}"))?;
    let (body, signature) = rest.split_at_checked(at)?;
    // Every line that starts with a dash is escaped by "- "; one that is not is somebody's second message.
    let unescape = |line: &str| match line.strip_prefix("- ") {
        Some(line) => Some(line.trim_end_matches([' ', '\t', '\r']).to_owned()),
        None if line.starts_with('-') => None,
        None => Some(line.trim_end_matches([' ', '\t', '\r']).to_owned()),
    };
    let lines: Option<Vec<String>> = body.split('\n').map(unescape).collect();
    if lines?.join("\n") != text {
        return None;
    }
    let mut signatures = detached(signature.trim_ascii(), now)?;
    signatures.retain(|signature| signature.typ() == SignatureType::Text);
    Some(signatures)
}
