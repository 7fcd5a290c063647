use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::limits::{MAX_JSON_DEPTH, MAX_JSON_VALUES};

fn parse(text: &str) -> Result<Json, JsonError> {
    Json::parse(text.as_bytes())
}

fn canonical(text: &str) -> String {
    parse(text).unwrap().to_canonical()
}

#[test]
fn keys_are_sorted_by_code_point_at_every_depth() {
    // In UTF-16 the astral key would come first, and by letter alone "Z" would come last.
    let text = "{\"\u{10000}\": 1, \"\u{ffff}\": 2, \"a\": {\"z\": [], \"Z\": {}}, \"\": null, \"é\": true}";
    assert_eq!(
        canonical(text),
        "{\"\":null,\"a\":{\"Z\":{},\"z\":[]},\"é\":true,\"\u{ffff}\":2,\"\u{10000}\":1}"
    );
}

#[test]
fn top_level_form_keeps_the_order_below() {
    let value = parse(r#"{"b": {"z": 1, "a": 2}, "a": [{"y": 1, "x": 2}]}"#).unwrap();
    assert_eq!(value.to_canonical_top_level(), r#"{"a":[{"y":1,"x":2}],"b":{"z":1,"a":2}}"#);
    assert_eq!(value.to_canonical(), r#"{"a":[{"x":2,"y":1}],"b":{"a":2,"z":1}}"#);
}

#[test]
fn numbers_keep_their_spelling() {
    for spelling in ["0", "-0", "1.50", "1E+5", "1e-400", "-0.0", "123456789012345678901234567890", "1e999"] {
        let value = parse(spelling).unwrap();
        assert_eq!(value.as_number().unwrap().as_str(), spelling);
        assert_eq!(value.to_canonical(), spelling);
        assert_eq!(serde_json::to_string(&value).unwrap(), spelling);
        assert_eq!(Number::from_spelling(spelling).unwrap().to_string(), spelling);
    }
    for spelling in ["", "01", "+1", "1.", ".5", "1e", "0x10", " 1", "1 ", "\"1\"", "null", "[]", "1_0"] {
        assert_eq!(Number::from_spelling(spelling), None, "{spelling}");
    }
    assert_eq!(parse("7").unwrap().as_number().unwrap().as_u64(), Some(7));
    assert_eq!(parse("-7").unwrap().as_number().unwrap().as_i64(), Some(-7));
    assert_eq!(parse("7.0").unwrap().as_number().unwrap().as_u64(), None);
}

#[test]
fn escapes() {
    let text = r#""\u0000\b\t\n\f\r\u001f\"\\\/\u007f\u0085\u00e9\ud83d\ude00\u2028""#;
    assert_eq!(canonical(text), "\"\\u0000\\b\\t\\n\\f\\r\\u001f\\\"\\\\/\u{7f}\u{85}é\u{1f600}\u{2028}\"");
}

#[test]
fn members_stay_in_order() {
    let value = parse(r#"{"b": 1, "a": [true, null, "x"]}"#).unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(object.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!((object.len(), object.is_empty()), (2, false));
    let list = object.get("a").and_then(Json::as_array).unwrap();
    assert_eq!(list[0].as_bool(), Some(true));
    assert!(list[1].is_null());
    assert_eq!(list[2].as_str(), Some("x"));
    assert_eq!(object.get("c"), None);
    assert_eq!(serde_json::to_string(&value).unwrap(), r#"{"b":1,"a":[true,null,"x"]}"#);
}

#[test]
fn an_object_can_be_changed() {
    let mut object = Object::new();
    assert_eq!(object.insert("b", true), None);
    assert_eq!(object.insert("a", 1_u64), None);
    assert_eq!(object.insert("b", "x"), Some(Json::Bool(true)));
    assert_eq!(Json::from(object.clone()).to_canonical(), r#"{"a":1,"b":"x"}"#);
    assert_eq!(object.remove("b"), Some(Json::string("x")));
    assert_eq!(object.remove("b"), None);
    assert_eq!(object.len(), 1);
    assert_eq!(Json::object([("a", Json::Null), ("a", Json::from(vec![]))]).to_canonical(), r#"{"a":[]}"#);
}

#[test]
fn duplicate_names_at_every_depth() {
    for text in [
        r#"{"a": 1, "a": 1}"#,
        r#"{"a": 1, "b": 2, "\u0061": 3}"#,
        r#"[{"x": {"": 1, "": 2}}]"#,
        r#"{"a": {"b": [{"c": 0, "c": 0}]}}"#,
    ] {
        assert_eq!(parse(text), Err(JsonError::DuplicateName), "{text}");
    }
    assert!(parse(r#"{"a": {"a": 1}, "b": {"a": 1}, "A": 1}"#).is_ok());
}

#[test]
fn lone_surrogate_refused() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud83d\u0041""#,
        r#""\ude00\ud83d""#,
        r#"{"\ud800": 1}"#,
        r#"[[["x\udfff"]]]"#,
    ] {
        assert_eq!(parse(text), Err(JsonError::Syntax), "{text}");
    }
    assert_eq!(parse(r#""\ud83d\ude00""#), Ok(Json::string("\u{1f600}")));
}

#[test]
fn nan_refused() {
    for word in ["NaN", "Infinity", "-Infinity", "nan", "inf", "-NaN", "True", "None", "undefined"] {
        assert_eq!(parse(word), Err(JsonError::Syntax), "{word}");
        assert_eq!(parse(&format!("{{\"a\": [{word}]}}")), Err(JsonError::Syntax), "{word}");
    }
    assert!(parse(r#"["NaN", "Infinity"]"#).is_ok());
}

#[test]
fn what_is_not_json() {
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "[1] [2]",
        "1 2",
        "\u{feff}{}",
        "\"\t\"",
        "\"\n\"",
        "\"\\x41\"",
        "01",
        "+1",
        "[1 2]",
        "{\"a\" 1}",
        "{1:2}",
        "/**/1",
        "tru",
        "\"a",
        "]",
        "nullx",
    ] {
        assert_eq!(parse(text), Err(JsonError::Syntax), "{text}");
    }
    assert_eq!(Json::parse(b"\"\xff\""), Err(JsonError::NotUtf8));
    // UTF-8's spelling of a surrogate, and an overlong one.
    assert_eq!(Json::parse(b"\"\xed\xa0\x80\""), Err(JsonError::NotUtf8));
    assert_eq!(Json::parse(b"\"\xc0\x80\""), Err(JsonError::NotUtf8));
    assert_eq!(parse(" \t\r\n{ \"a\" : [ 1 , 2 ] } \n").unwrap().to_canonical(), r#"{"a":[1,2]}"#);
}

#[test]
fn two_hundred_thousand_nested_brackets() {
    let documents = ["[", "{\"a\":", "[{\"a\":"]
        .map(|open| open.repeat(200_000))
        .into_iter()
        .chain([format!("{}{}", "[".repeat(200_000), "]".repeat(200_000))])
        .chain([format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000))]);
    for document in documents {
        let start = Instant::now();
        // A stack much smaller than any server's.
        let thread = std::thread::Builder::new().stack_size(256 * 1024);
        let result = thread.spawn(move || parse(&document)).unwrap().join().unwrap();
        assert!(matches!(result, Err(JsonError::Syntax | JsonError::TooDeep)), "{result:?}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn depth_up_to_the_limit() {
    let nested = |depth: usize| parse(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert!(nested(MAX_JSON_DEPTH).is_ok());
    assert_eq!(nested(MAX_JSON_DEPTH + 1), Err(JsonError::TooDeep));
    let scalar = format!("{}1{}", "[".repeat(MAX_JSON_DEPTH), "]".repeat(MAX_JSON_DEPTH));
    assert!(parse(&scalar).is_ok());
}

#[test]
fn a_flood_of_values() {
    let list = |values: usize| parse(&format!("[{}0]", "0,".repeat(values - 1)));
    // The list counts as well.
    assert!(list(MAX_JSON_VALUES - 1).is_ok());
    assert_eq!(list(MAX_JSON_VALUES), Err(JsonError::TooManyValues));
    // Spread over many lists, none of which is large.
    let lists = |number: usize| parse(&format!("[{}[]]", "[0,0,0],".repeat(number)));
    assert!(lists(2000).is_ok());
    assert_eq!(lists(2500), Err(JsonError::TooManyValues));
    let members: Vec<String> = (0..MAX_JSON_VALUES).map(|number| format!("\"{number}\":0")).collect();
    assert_eq!(parse(&format!("{{{}}}", members.join(","))), Err(JsonError::TooManyValues));
}

#[test]
fn errors_do_not_repeat_the_document() {
    let error = parse("{\"MARKER\": 1, \"MARKER\": 2}").unwrap_err();
    assert!(!error.to_string().contains("MARKER"));
    assert!(!format!("{error:?}").contains("MARKER"));
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i64>().prop_map(Json::from),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?"
            .prop_map(|spelling| Json::Number(Number::from_spelling(&spelling).unwrap())),
        any::<String>().prop_map(Json::String),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Json::Array),
            prop::collection::vec((any::<String>(), inner), 0..8).prop_map(Json::object),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Json::parse(&bytes);
    }

    #[test]
    fn anything_that_looks_like_json_never_panics(text in "[\\[\\]{}\":,0-9a-f\\\\untrue .eE+-]{0,80}") {
        let _ = parse(&text);
    }

    #[test]
    fn writing_and_reading_agree(value in any_json()) {
        let written = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(parse(&written), Ok(value));
    }

    #[test]
    fn canonical_text_is_stable(value in any_json()) {
        let text = value.to_canonical();
        let again = parse(&text).unwrap();
        prop_assert_eq!(again.to_canonical(), text.clone());
        prop_assert_eq!(again.to_canonical_top_level(), text);
    }
}
