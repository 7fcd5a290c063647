//! Makes the fixed key, what it signs, and the first inputs of every corpus.
//!
//! `cargo run -p capauth-fuzz --example seeds`. The key is new each time and its secret half is never written, so what
//! was made with an earlier one is refused from then on, like anything else that the key did not sign.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a chore that fails at once and loudly"
)]

use std::fs;

use capauth_fuzz::targets::{configuration, tokens};
use capauth_fuzz::{find, fixed};
use capauth_tests::keys::{self, CREATED, DAY, Draft, bytes_of};
use capauth_tests::signer::{self, armor_message, deflated, inline_packets, literal, signature};
use sequoia_openpgp::packet::prelude::*;
use sequoia_openpgp::types::{ReasonForRevocation, SignatureType};
use sequoia_openpgp::{Packet, Profile, cert::CipherSuite};

fn main() {
    let ada = Draft::bare().user_id(&format!("Ada <{}>", fixed::ADDRESS), |b| b);
    fs::create_dir_all(fixed::path("")).unwrap();
    fs::write(fixed::path(fixed::CERTIFICATE), ada.armored()).unwrap();
    signatures(&ada);
    certificates(&ada);
    for (target, name, content) in tokens::seeds() {
        seed(target, name, content);
    }
    words();
    web();
    documents();
    settings();
    println!("made: {}, in place", ada.fingerprint());
}

fn seed(target: &str, name: &str, content: impl AsRef<[u8]>) {
    let folder = find(target).expect("a target").corpus();
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("seed-{name}")), content).unwrap();
}

fn signatures(ada: &Draft) {
    let (pair, text) = (ada.pair(), fixed::text());
    let binary = signature(&pair, &text, |b| b);
    let textual = signature(&pair, &text, |b| b.set_type(SignatureType::Text));
    let made: Vec<Packet> = vec![binary.clone().into(), textual.clone().into()];
    fs::write(fixed::path(fixed::SIGNATURES), bytes_of(&made)).unwrap();

    let packets = |signatures: &[&Signature]| {
        bytes_of(&signatures.iter().map(|s| Packet::from((*s).clone())).collect::<Vec<_>>())
    };
    seed("signature_detached", "binary", packets(&[&binary]));
    seed("signature_detached", "text", packets(&[&textual]));
    seed("signature_detached", "both", packets(&[&binary, &textual]));
    let other = signature(&pair, &fixed::other_text(), |b| b);
    // Over another text: it must not count, and is none of those that the key made over this one.
    seed(
        "signature_detached",
        "elsewhere",
        packets(&[&signature(&Draft::honest().pair(), &text, |b| b), &other][..1]),
    );
    seed(
        "signature_detached",
        "with_other",
        packets(&[&signature(&Draft::honest().pair(), &text, |b| b), &binary]),
    );
    let v6 = Draft::of(keys::ed25519_v6(CREATED)).pair();
    seed("signature_detached", "version_6", packets(&[&signature(&v6, &text, |b| b)]));

    let of = |signature: &Signature| signer::inline_packets_of(signature.clone(), &text);
    seed("signature_inline", "binary", bytes_of(&of(&binary)));
    seed("signature_inline", "text", bytes_of(&of(&textual)));
    seed(
        "signature_inline",
        "crlf",
        bytes_of(&signer::inline_packets_of(textual.clone(), text.replace('\n', "\r\n"))),
    );
    seed("signature_inline", "deflated", bytes_of(&[deflated(of(&binary))]));
    seed("signature_inline", "old", bytes_of(&[binary.clone().into(), literal(&text)]));
    seed("signature_inline", "other_content", bytes_of(&signer::inline_packets_of(binary.clone(), "else")));
    seed("signature_inline", "version_6", bytes_of(&inline_packets(&v6, &text)));

    let cleartext = signer::cleartext_of(textual.clone(), &text);
    seed("signature_cleartext", "plain", &cleartext);
    seed("signature_cleartext", "crlf", cleartext.replace('\n', "\r\n"));
    seed("signature_cleartext", "trailing", signer::cleartext_raw(&[textual], &text.replace('\n', " \t\n")));
    seed("signature_cleartext", "binary", signer::cleartext_of(binary.clone(), &text));
    seed(
        "signature_cleartext",
        "other",
        signer::cleartext_of(other, &fixed::other_text()).replace("evil", "app"),
    );
    seed("signature_cleartext", "detached", signer::armor_signatures([binary.clone()]));
    seed("signature_cleartext", "message", armor_message(&of(&binary)));
}

fn certificates(ada: &Draft) {
    let (with_subkey, subkey) = Draft::with_subkey();
    let drafts = [
        ("ada", ada.clone()),
        ("subkey", with_subkey.clone()),
        ("subkey_revoked", with_subkey.subkey_revoked(&subkey, ReasonForRevocation::KeyRetired, -DAY)),
        ("direct", Draft::bare().direct_key(|b| b)),
        ("version_6", Draft::of(keys::ed25519_v6(CREATED)).direct_key(|b| b)),
        ("revoked", Draft::honest().revoked(ReasonForRevocation::KeyCompromised, -DAY)),
        ("retired", Draft::honest().revoked(ReasonForRevocation::KeyRetired, -DAY)),
        ("bare", Draft::bare()),
    ];
    for (name, draft) in drafts {
        let bytes = bytes_of(&draft.packets);
        seed("certificate", name, &bytes);
        seed("certificate_armored", name, draft.armored());
        seed("web_key_directory", name, [bytes, bytes_of(&ada.packets)].concat());
    }
    seed("web_key_directory", "ada_alone", bytes_of(&ada.packets));
    seed("certificate_armored", "secret", keys::armored_secret(&Draft::honest()));
    for (name, suite) in
        [("p256", CipherSuite::P256), ("cv25519", CipherSuite::Cv25519), ("cv448", CipherSuite::Cv448)]
    {
        let profile = if name == "cv448" { Profile::RFC9580 } else { Profile::RFC4880 };
        let cert = keys::general_purpose(suite, profile).strip_secret_key_material();
        let packets: Vec<Packet> = cert.into_packets().collect();
        seed("certificate", name, bytes_of(&packets));
    }
    seed("certificate", "message", bytes_of(&inline_packets(&ada.pair(), "text")));
}

fn words() {
    const V4: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
    for (name, text) in [
        ("version_4", V4.to_owned()),
        ("version_6", format!("{V4}89ABCDEF0123456789abcdef")),
        ("spaced", "0x0123 4567 89ab cdef 0123  4567 89ab cdef 0123 4567".to_owned()),
        ("short", "0123456789ABCDEF".to_owned()),
        ("wide", V4.replace('7', "７")),
    ] {
        seed("fingerprint", name, text);
    }
    for (name, text) in [
        ("nonce", "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90"),
        ("not_random", "7c1d3a52-2f8e-1f3a-9d0b-5a1e6c7b8d90"),
        ("range_4", "10.0.0.0/8"),
        ("range_6", "2001:db8::/32"),
        ("range_mapped", "::ffff:192.0.2.0/120"),
        ("address", "192.0.2.1"),
        ("user", "ada.l-2"),
        ("group", "app:readers@example.org/x"),
        ("hex", "0707070707070707070707070707070707070707070707070707070707070707"),
        ("base64", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="),
    ] {
        seed("names", name, text);
    }
    for (name, text) in [
        ("plain", "ada@example.org"),
        ("capitals", "Ada.L+login@EXAMPLE.org"),
        ("idn", "ada@bücher.example"),
        ("a_label", "ada@xn--bcher-kva.example"),
        ("signs", "!#$%&'*+-/=?^_`{|}~@example.org"),
        ("quoted", "\"a b\"@example.org"),
        ("machine", "ada@[127.0.0.1]"),
        ("hex", "ada@0x7f.0x1"),
        ("joined", "ada@a\u{200d}b.example"),
    ] {
        seed("email", name, text);
    }
}

fn web() {
    for (name, lines) in [
        ("cookie", "ca=b; __Host-capauth=abc-_9; c=d"),
        ("two_cookies", "c__Host-capauth=a; __Host-capauth=b\nc__Host-capauth=c"),
        ("bearer", "aBearer abc.def.ghi"),
        ("basic", "aBasic YTpi, Bearer abc"),
        ("origin", "ohttps://app.example.com"),
        ("site", "ssame-origin"),
        ("null", "onull\nssame-origin"),
        ("forwarded", "x127.0.0.1, 203.0.113.9, 10.0.0.2"),
        ("forwarded_lines", "x[2001:db8::1]:443\nx10.0.0.3,fd00::1"),
        ("all", "c__Host-capauth=a\naBearer b\nohttps://app.example.com\nx203.0.113.9"),
    ] {
        seed("headers", name, lines);
    }
    for (name, text) in [
        ("path", "/reports?year=2026#top"),
        ("encoded", "/caf%C3%A9/100%25"),
        ("host", "//evil.example"),
        ("twice", "/%252fevil.example"),
        ("dots", "/x/%2e%2e//evil.example"),
        ("backslash", "/%5cevil.example"),
        ("inner", "/me?next=https://evil.example//x"),
    ] {
        seed("redirect", name, text);
    }
    for (name, text) in [
        ("pairs", "a=1&b=%41+b&c=&d=true&&e"),
        ("twice", "a=1&a=2"),
        ("not_utf8", "a=%ff"),
        ("broken", "%=%4&%41=%zz"),
        ("form", "grant_type=refresh_token&refresh_token=abc"),
    ] {
        seed("query", name, text);
    }
}

const KEY: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
const NONCE: &str = "7c1d3a52-2f8e-4f3a-9d0b-5a1e6c7b8d90";
const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----\\n\\nAA==\\n-----END PGP SIGNATURE-----";

fn documents() {
    let claims = r#"{"name":"Zoë","email":"a@example.org","avatar_url":"https://x/y.png","groups":["a"],"locale":"de","agent_type":"ai","soul_blueprint":{"category":"sage"},"capauth_team":"blue","capauth_n":1.50}"#;
    seed("claims", "all", claims);
    seed("claims", "numbers", r#"{"a":1.50,"b":-0,"c":1e999,"d":[1E+2,0.1],"e":18446744073709551616}"#);
    seed("claims", "strings", r#"{"\u00e9":"\ud83d\ude00 \" \\ \/ \b\f\n\r\t\u0001","":null}"#);
    seed("claims", "nested", r#"{"b":{"z":1,"a":[{"y":true,"x":false}]},"a":[]}"#);
    seed(
        "claims",
        "authority",
        r#"{"sub":"X","amr":["x"],"email_verified":true,"capauth_admin":true,"CAPAUTH_ADMIN":1}"#,
    );
    seed("claims", "long", format!(r#"{{"name":"{}"}}"#, "n".repeat(1500)));
    seed("claims", "twice", r#"{"a":1,"a":2}"#);
    for (name, body) in [
        (
            "challenge",
            format!(
                r#"{{"fingerprint":"{KEY}","client_nonce":"dGVzdA==","requested_service":"app.example.com","origin":"https://app.example.com"}}"#
            ),
        ),
        (
            "verify",
            format!(
                r#"{{"capauth_version":"1.0","fingerprint":"{KEY}","nonce":"{NONCE}","nonce_signature":"{SIGNATURE}","claims":{claims},"claims_signature":"{SIGNATURE}","public_key":"x","enrollment_code":"c","refresh":true,"redirect":"/me"}}"#
            ),
        ),
        ("fingerprint", format!(r#"{{"fingerprint":"{KEY}"}}"#)),
        ("revoke", r#"{"jti":"j","expires":1780315200}"#.to_owned()),
        ("groups", r#"{"groups":["readers","app:x"]}"#.to_owned()),
        ("name", r#"{"user_name":"ada"}"#.to_owned()),
        ("no_name", r#"{"user_name":null}"#.to_owned()),
        ("email", r#"{"email":"ada@example.org"}"#.to_owned()),
        ("code", r#"{"groups":["a"],"expires_in":3600}"#.to_owned()),
        ("enroll", r#"{"public_key":"x"}"#.to_owned()),
        ("token", r#"{"grant_type":"refresh_token","refresh_token":"abc"}"#.to_owned()),
        (
            "rotate",
            format!(
                r#"{{"nonce":"{NONCE}","old_fingerprint":"{KEY}","new_fingerprint":"{KEY}","new_public_key":"x","timestamp":"2026-06-01T12:00:00Z","rotation_signature":"a","new_signature":"b"}}"#
            ),
        ),
        (
            "cancel",
            format!(r#"{{"nonce":"{NONCE}","old_fingerprint":"{KEY}","timestamp":"t","signature":"a"}}"#),
        ),
        (
            "link",
            format!(
                r#"{{"nonce":"{NONCE}","primary_fingerprint":"{KEY}","secondary_fingerprint":"{KEY}","timestamp":"t","primary_signature":"a","secondary_signature":"b","secondary_public_key":"c"}}"#
            ),
        ),
        (
            "unlink",
            format!(
                r#"{{"primary_fingerprint":"{KEY}","secondary_fingerprint":"{KEY}","nonce":"{NONCE}","timestamp":"t","primary_signature":"a"}}"#
            ),
        ),
    ] {
        seed("requests", name, body);
    }
    for (name, body) in [
        ("challenge", format!(r#"{{"capauth_version":"1.0","nonce":"{NONCE}","client_nonce_echo":"dGVzdA==","timestamp":"2026-06-01T12:00:00Z","service":"app.example.com","expires":"2026-06-01T12:01:00Z","origin":"","server_signature":"","server_public_key":"","qr_payload":""}}"#)),
        ("verify", format!(r#"{{"authenticated":true,"fingerprint":"{KEY}","oidc_claims":{{"sub":"{KEY}","capauth_fingerprint":"{KEY}","amr":["pgp"]}},"access_token":"t","token_type":"capauth","expires_in":900,"is_new_enrollment":false}}"#)),
        ("well_known", r#"{"capauth_version":"1.0","service":"s","server_fingerprint":"","server_public_key":"","enrollment":"open","nonce_ttl_seconds":60,"supported_claims":["name"],"access_token_alg":"EdDSA","jwks_uri":"https://s/jwks","revocations":true,"issuer":"https://s"}"#.to_owned()),
        ("revocations", format!(r#"{{"entries":[{{"kind":"token","jti_sha256":"00","expires":1}},{{"kind":"generation","sub":"{KEY}","generation":2}}],"cursor":3,"epoch":1}}"#)),
        ("claims", format!(r#"{{"sub":"{KEY}","capauth_fingerprint":"{KEY}","name":"n","email":"e","email_verified":false,"groups":["g"],"capauth_tier":2,"capauth_f":0.5}}"#)),
    ] {
        seed("responses", name, body);
    }
    let fields = |fields: [&str; 6]| fields.join("\u{1}");
    seed(
        "payload",
        "version_1",
        fields([NONCE, "dGVzdA==", "2026-06-01T12:00:00Z", "app.example.com", "e", ""]),
    );
    seed("payload", "version_2", fields([NONCE, "c", "t", r#"{"a":1}"#, "e", "https://app.example.com"]));
    seed("payload", "line_end", fields(["n\nservice=evil", "c", "t", "s", "e", "o"]));
}

fn settings() {
    let file = r#"service_id = "auth.example.com"
services = [{ name = "app.example.com", origins = ["https://app.example.com"], credential = "c" }]
enrollment = "approval"
groups = "granted"
require_v2 = true
session_lifetime = "12h"
admin_fingerprints = ["0123456789ABCDEF0123456789ABCDEF01234567"]
trusted_proxies = "10.0.0.0/8, ::1"
cors_origins = ["https://a.example"]
request_timeout = 15
port = 0
log_format = "json"
"#;
    seed("configuration", "file", file);
    seed(
        "configuration",
        "both",
        format!(
            "{file}{}PORT=1\nSERVICES=a.example=https://a.example|http://b\nHOST=::1",
            configuration::DIVIDER
        ),
    );
    seed(
        "configuration",
        "variables",
        format!("{}MASTER_KEY={}\nWKD=off\nDATABASE_URL=memory:", configuration::DIVIDER, "07".repeat(32)),
    );
    seed("configuration", "loopback", "insecure_http = true\nhost = \"127.0.0.1\"\njwt_secret = \"short\"\n");
    seed("configuration", "unknown", "colour = \"red\"\n");
    seed("configuration", "no_toml", "port = = 1");
    seed("configuration", "secret_file", "jwt_secret_file = \"/nowhere\"\n");
}
