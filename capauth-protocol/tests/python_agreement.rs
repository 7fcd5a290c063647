//! Canonical JSON against the real `python3`, to the byte: what clients written in Python sign is what this
//! crate rebuilds from their requests.

// Helpers outside a `#[test]` function count as library code to clippy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use capauth_protocol::Json;
use capauth_protocol::json::{JsonError, Number};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const DOCUMENTS: usize = 4000;

/// Reads one document a line; answers with a line of hexadecimal texts: the canonical form, the form with only
/// the top level sorted, then the document in several styles.
const SCRIPT: &str = r#"
import json, random, sys
random.seed(20260101)
for line in sys.stdin.buffer:
    document = json.loads(line.decode("utf-8").rstrip("\n"))
    top = dict(sorted(document.items())) if isinstance(document, dict) else document
    compact = dict(separators=(",", ":"), ensure_ascii=False)
    texts = [json.dumps(document, sort_keys=True, **compact), json.dumps(top, **compact)]
    texts.append(json.dumps(document))
    for _ in range(4):
        texts.append(json.dumps(
            document,
            ensure_ascii=random.random() < 0.5,
            indent=random.choice([None, 0, 1, 4, "\t"]),
            sort_keys=random.random() < 0.3,
            separators=random.choice([None, (",", ":"), (" ,  ", "\t:\n")]),
        ))
    print(" ".join(text.encode("utf-8").hex() for text in texts))
"#;

/// Runs the script over the documents: for each, the texts that Python answers with.
fn ask_python(documents: &[String]) -> Vec<Vec<String>> {
    let mut python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs python3");
    let mut stdin = python.stdin.take().unwrap();
    let input = documents.join("\n") + "\n";
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "python3 failed");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.split(' ').map(from_hex).collect()).collect()
}

fn from_hex(text: &str) -> String {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    String::from_utf8(pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()).unwrap()
}

/// Names and texts, with what encoders and sorters disagree about well represented.
fn text() -> impl Strategy<Value = String> {
    let symbol = prop_oneof![
        3 => any::<char>(),
        3 => prop::char::range(' ', '~'),
        1 => prop::char::range('\0', '\u{a0}'),
        1 => prop::sample::select(vec!['"', '\\', '/', '\u{8}', '\u{c}', '\u{7f}', '\u{2028}', '\u{2029}']),
        1 => prop::sample::select(vec!['\u{d7ff}', '\u{e000}', '\u{fffd}', '\u{ffff}', '\u{10000}', '\u{10ffff}']),
        1 => prop::sample::select(vec!['\u{feff}', '\u{301}', '\u{200d}', 'é', 'ß', 'İ', '\u{1f600}']),
    ];
    prop::collection::vec(symbol, 0..6).prop_map(String::from_iter)
}

/// Numbers in all spellings, small enough that Python does not read them as infinite.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        (-20_i64..20).prop_map(|number| number.to_string()),
        "-?[1-9][0-9]{18,60}",
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| format!("{number:e}")),
        "-?(0|[1-9][0-9]{0,20})\\.[0-9]{1,20}",
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,4})?[eE][+-]?[0-9]{1,2}",
        prop::sample::select(vec![
            "-0",
            "-0.0",
            "0e0",
            "1.0",
            "1e16",
            "1e15",
            "1e-4",
            "1e-5",
            "5e-324",
            "1e-400",
            "123456789.123456789",
            "1.7976931348623157e308",
            "0.1",
            "100000000000000000000000",
            "9007199254740993",
        ])
        .prop_map(String::from),
    ]
}

fn document() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number().prop_map(|spelling| Json::Number(Number::from_spelling(&spelling).unwrap())),
        text().prop_map(Json::String),
    ];
    let value = leaf.prop_recursive(6, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::vec((text(), inner), 0..6).prop_map(Json::object),
        ]
    });
    prop_oneof![
        1 => value.clone(),
        4 => prop::collection::vec((text(), value), 0..8).prop_map(Json::object),
    ]
}

/// The document in a style that no encoder has: some letters escaped, some not, by a fixed pattern.
fn write_oddly(value: &Json, out: &mut String) {
    match value {
        Json::Array(values) => {
            out.push_str("[ ");
            for (place, value) in values.iter().enumerate() {
                out.push_str(if place > 0 { "\t, " } else { "" });
                write_oddly(value, out);
            }
            out.push(']');
        }
        Json::Object(object) => {
            out.push('{');
            for (place, (name, value)) in object.iter().enumerate() {
                out.push_str(if place > 0 { " ," } else { "\r" });
                write_text_oddly(name, out);
                out.push_str(" : ");
                write_oddly(value, out);
            }
            out.push_str(" }");
        }
        Json::String(text) => write_text_oddly(text, out),
        other => out.push_str(&serde_json::to_string(other).unwrap()),
    }
}

fn write_text_oddly(text: &str, out: &mut String) {
    out.push('"');
    for (place, symbol) in text.chars().enumerate() {
        if place % 2 == 0 || symbol < ' ' || symbol == '"' || symbol == '\\' {
            for unit in symbol.encode_utf16(&mut [0; 2]) {
                if place % 3 == 0 {
                    write!(out, "\\u{unit:04X}").unwrap();
                } else {
                    write!(out, "\\u{unit:04x}").unwrap();
                }
            }
        } else {
            out.push(symbol);
        }
    }
    out.push('"');
}

fn has_numbers(value: &Json) -> bool {
    match value {
        Json::Number(_) => true,
        Json::Array(values) => values.iter().any(has_numbers),
        Json::Object(object) => object.iter().any(|(_, value)| has_numbers(value)),
        Json::Null | Json::Bool(_) | Json::String(_) => false,
    }
}

#[test]
fn whatever_python_serialises_has_pythons_canonical_form() {
    let mut runner = TestRunner::deterministic();
    let strategy = document();
    let mut values: Vec<Json> =
        (0..DOCUMENTS).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let deepest = (0..32).fold(Json::string("x"), |inner, depth| match depth % 2 {
        0 => Json::from(vec![inner]),
        _ => Json::object([("d", inner)]),
    });
    values.extend([deepest, Json::from(vec![]), Json::object::<&str>([])]);
    values.push(Json::object([
        ("\u{10000}", Json::Null),
        ("\u{ffff}", Json::Null),
        ("\u{e000}", Json::Null),
    ]));

    let sent: Vec<String> = values
        .iter()
        .map(|value| {
            let mut out = String::new();
            write_oddly(value, &mut out);
            out
        })
        .collect();
    let answers = ask_python(&sent);
    assert_eq!(answers.len(), sent.len());

    let mut without_numbers = 0;
    for ((value, sent), texts) in values.iter().zip(&sent).zip(&answers) {
        let [canonical, top_level, styles @ ..] = &texts[..] else { panic!("too few texts") };
        assert_eq!(Json::parse(sent.as_bytes()).as_ref(), Ok(value), "{sent}");
        // Python spells numbers its own way, so only without them is the odd text comparable itself.
        if !has_numbers(value) {
            without_numbers += 1;
            assert_eq!(&value.to_canonical(), canonical, "{sent}");
            assert_eq!(&value.to_canonical_top_level(), top_level, "{sent}");
        }
        assert_eq!(styles.len(), 5);
        for text in styles.iter().chain([canonical]) {
            let parsed = Json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
            assert_eq!(&parsed.to_canonical(), canonical, "{text}");
        }
        // The first style keeps the order of members.
        let parsed = Json::parse(styles[0].as_bytes()).unwrap();
        assert_eq!(&parsed.to_canonical_top_level(), top_level);
    }
    assert!(without_numbers > 100, "only {without_numbers} documents without numbers");
}

/// Python writes and reads what is not JSON; here it is refused.
#[test]
fn what_python_serialises_beyond_json_is_refused() {
    let sent = [r#"{"a": 1e999}"#, r#"[-1e999]"#, r#"{"a": NaN}"#, r#"["\ud800"]"#, r#"["1e999"]"#];
    let answers =
        ask_python(&sent[..3].iter().chain(&sent[4..]).map(|text| String::from(*text)).collect::<Vec<_>>());
    let parsed = |place: usize| Json::parse(answers[place][2].as_bytes());
    assert_eq!(parsed(0), Err(JsonError::Syntax));
    assert_eq!(parsed(1), Err(JsonError::Syntax));
    assert_eq!(parsed(2), Err(JsonError::Syntax));
    assert_eq!(parsed(3), Ok(Json::from(vec![Json::string("1e999")])));
    assert_eq!(Json::parse(sent[3].as_bytes()), Err(JsonError::Syntax));
}
