//! Schemas in words and tables.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::html::{escape, inline};

/// The name of a schema that a reference points to.
fn named(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.rsplit('/').next()
}

pub(super) fn link(name: &str) -> String {
    let name = escape(name);
    format!("<a href=\"#schema-{name}\">{name}</a>")
}

fn list<'a>(schema: &'a Value, member: &str) -> &'a [Value] {
    schema.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// What kind of value it is, in a few words.
pub(super) fn kind(schema: &Value) -> String {
    if let Some(name) = named(schema) {
        return link(name);
    }
    let several =
        ["oneOf", "anyOf"].into_iter().map(|member| list(schema, member)).find(|all| !all.is_empty());
    if let Some(several) = several {
        // What may be null is so last.
        let (nulls, others): (Vec<_>, Vec<_>) =
            several.iter().filter(|one| !is_empty(one)).partition(|one| is_null(one));
        return others.into_iter().chain(nulls).map(kind).collect::<Vec<_>>().join(" or ");
    }
    let all = list(schema, "allOf");
    if !all.is_empty() {
        let names: Vec<_> = all.iter().filter_map(named).map(link).collect();
        return if names.is_empty() { "object".to_owned() } else { names.join(" and ") };
    }
    match schema.get("type") {
        Some(Value::String(name)) if name == "array" => {
            format!("list of {}", schema.get("items").map_or_else(|| "anything".to_owned(), kind))
        }
        Some(Value::String(name)) => escape(name),
        Some(Value::Array(names)) => {
            let names: Vec<_> = names.iter().filter_map(Value::as_str).map(escape).collect();
            names.join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

/// Whether it stands for a parameter with nothing in it.
fn is_empty(schema: &Value) -> bool {
    schema.get("maxLength").and_then(Value::as_u64) == Some(0)
}

/// Limits and forms, in words; empty where there are none.
pub(super) fn limits(schema: &Value) -> String {
    let number = |name: &str| schema.get(name).filter(|value| value.is_number()).map(ToString::to_string);
    let mut all = Vec::new();
    let mut between = |least: Option<String>, most: Option<String>, what: &str| match (least, most) {
        (Some(least), Some(most)) if least == most => all.push(format!("exactly {least}{what}")),
        (Some(least), Some(most)) => all.push(format!("{least} to {most}{what}")),
        (Some(least), None) => all.push(format!("at least {least}{what}")),
        (None, Some(most)) => all.push(format!("at most {most}{what}")),
        (None, None) => {}
    };
    between(number("minLength"), number("maxLength"), " characters");
    between(number("minItems"), number("maxItems"), " items");
    between(number("minimum"), number("maximum"), "");
    if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
        all.push("none twice".to_owned());
    }
    let code = |value: &Value| format!("<code>{}</code>", escape(&plain(value)));
    let words = list(schema, "enum");
    if !words.is_empty() {
        all.push(words.iter().map(code).collect::<Vec<_>>().join(", "));
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str) {
        all.push(escape(format));
    }
    if let Some(pattern) = schema.get("pattern") {
        all.push(code(pattern));
    }
    all.join("; ")
}

/// A value as somebody would write it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The schema itself, where this is a reference.
fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let place = schema.get("$ref").and_then(Value::as_str).and_then(|place| place.strip_prefix('#'));
    place.and_then(|place| document.pointer(place)).unwrap_or(schema)
}

/// The members of an object, with those of the schemas that it is made of; empty where it has none.
pub(super) fn table(document: &Value, schema: &Value) -> String {
    let schema = resolved(document, schema);
    let parts: Vec<_> =
        list(schema, "allOf").iter().map(|part| resolved(document, part)).chain([schema]).collect();
    let requires = |name: &str| parts.iter().any(|part| list(part, "required").iter().any(|one| one == name));
    let mut seen = BTreeSet::new();
    let mut rows = String::new();
    for (name, member) in parts.iter().filter_map(|part| part.get("properties")?.as_object()).flatten() {
        if seen.insert(name) {
            rows.push_str(&row(name, requires(name), member));
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<div class=\"wide\"><table><thead><tr><th scope=\"col\">Member</th><th scope=\"col\">Type</th>\
         <th scope=\"col\">Meaning</th></tr></thead><tbody>\n{rows}</tbody></table></div>\n"
    )
}

pub(super) fn row(name: &str, is_required: bool, schema: &Value) -> String {
    let optional = if is_required { "" } else { " <span class=\"optional\">optional</span>" };
    // Of what may be null, the words stand beside the reference.
    let alternatives = list(schema, "oneOf").iter();
    let words = [schema].into_iter().chain(alternatives).find_map(|one| one.get("description")?.as_str());
    let words = words.unwrap_or_default();
    let mut meaning = inline(words.trim());
    let mut limits = limits(list(schema, "anyOf").first().unwrap_or(schema));
    if limits.is_empty() && schema.get("type").and_then(Value::as_str) == Some("array") {
        limits = schema.get("items").map(self::limits).unwrap_or_default();
    }
    if !limits.is_empty() {
        let _ = write!(meaning, " <span class=\"limits\">{limits}</span>");
    }
    format!(
        "<tr><td><code>{}</code>{optional}</td><td>{}</td><td>{meaning}</td></tr>\n",
        escape(name),
        kind(schema)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_and_limits_in_words() {
        assert_eq!(kind(&json!({"type": ["string", "null"]})), "string or null");
        let maybe = json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Jti"}]});
        assert_eq!(kind(&maybe), "<a href=\"#schema-Jti\">Jti</a> or null");
        assert_eq!(kind(&json!({"type": "array", "items": {"type": "integer"}})), "list of integer");
        assert_eq!(limits(&json!({"minLength": 1, "maxLength": 9})), "1 to 9 characters");
        assert_eq!(limits(&json!({"enum": ["a", 1]})), "<code>a</code>, <code>1</code>");
        assert_eq!(limits(&json!({"type": "string"})), "");
    }

    #[test]
    fn attack_markup_in_a_schema() {
        let evil = "<script>";
        let schema = json!({
            "properties": {evil: {"type": evil, "description": evil, "pattern": evil, "enum": [evil], "format": evil},
                "b": {"$ref": evil}},
        });
        assert!(!table(&Value::Null, &schema).contains(evil));
    }
}
