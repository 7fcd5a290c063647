//! The document and the page themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use capauth_tests::foreign::{python, succeed};
use capauth_tests::http::send;
use capauth_tests::service::workspace;
use capauth_tower::{Part, Route};
use serde_json::Value;

use crate::servers::Framework;
use crate::world::{ORIGIN, World};

pub(crate) const DOCUMENT: &str = "/capauth/v1/openapi.json";
const PAGE: &str = "/capauth/v1/docs";

/// Every operation, by path and method.
pub(crate) fn operations(document: &Value) -> BTreeMap<(String, String), Value> {
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods
            .map(move |(method, operation)| ((method.to_ascii_uppercase(), path.clone()), operation.clone()))
    });
    operations.collect()
}

#[tokio::test]
async fn routes_and_description_are_the_same() {
    let world = World::new(Framework::Axum).await;
    let document = world.client.get(DOCUMENT).await.ok();
    let described: BTreeSet<_> = operations(&document).into_keys().collect();
    let routes: BTreeSet<_> = Route::of(Part::Service)
        .flat_map(|route| route.methods().iter().map(|method| (method.to_string(), route.path().to_owned())))
        .collect();
    let words = |(method, path): &(String, String)| format!("\n  {method} {path}");
    let missing: String = routes.difference(&described).map(words).collect();
    assert!(
        missing.is_empty(),
        "not described; add `get(…)`, `post(…)`, `put(…)` or `delete(…)` for each to the list of its area in \
         capauth-tower/src/openapi:{missing}"
    );
    let spare: String = described.difference(&routes).map(words).collect();
    assert!(
        spare.is_empty(),
        "described in capauth-tower/src/openapi, and in no row of capauth-tower/src/endpoints/table.rs:{spare}"
    );
    let ids: BTreeSet<_> = operations(&document).values().map(|one| one["operationId"].to_string()).collect();
    assert_eq!(ids.len(), described.len(), "two operations have one name");
}

#[tokio::test]
async fn every_error_of_every_operation_stands_in_the_protocol() {
    let world = World::new(Framework::Axum).await;
    let document = world.client.get(DOCUMENT).await.ok();
    let protocol = fs::read_to_string(workspace().join("docs/protocol.md")).unwrap();
    let mut seen = BTreeSet::new();
    for ((method, path), operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            for code in codes(&response["content"]["application/json"]["schema"]) {
                let row = |line: &&str| line.starts_with("| `") && line.contains(&format!("`{code}`"));
                let found = protocol.lines().filter(row).any(|line| line.contains(status.as_str()));
                assert!(found, "{method} {path}: {status} {code}");
                let said = response["description"].as_str().unwrap();
                assert!(said.contains(&format!("- `{code}`: ")), "{method} {path}: {code} without words");
                seen.insert(code);
            }
        }
    }
    // What no operation answers, but a path or a method that there is not.
    let all = document["components"]["schemas"]["ErrorCode"]["enum"].as_array().unwrap();
    let rest: Vec<_> = all.iter().filter_map(Value::as_str).filter(|code| !seen.contains(*code)).collect();
    assert_eq!(rest, ["method_not_allowed"]);
}

/// The codes that the schema of an answer allows.
fn codes(schema: &Value) -> Vec<String> {
    let parts = ["anyOf", "allOf"].iter().filter_map(|name| schema[name].as_array()).flatten();
    let own = schema["properties"]["error"]["enum"].as_array().into_iter().flatten();
    own.map(|code| code.as_str().unwrap().to_owned()).chain(parts.flat_map(codes)).collect()
}

#[tokio::test]
async fn the_document_is_openapi() {
    let world = World::new(Framework::Axum).await;
    let answer = world.client.get(DOCUMENT).await;
    let document = answer.ok();
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document["servers"][0]["url"], ORIGIN);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    fs::write(&file, &answer.body).unwrap();
    succeed(python("openapi.py").arg("document").arg(&file));
    // The same made unlawful, so that the one before says something.
    let mut unlawful = document;
    unlawful["paths"]["/health"]["get"].as_object_mut().unwrap().remove("responses");
    unlawful["info"].as_object_mut().unwrap().remove("title");
    fs::write(&file, unlawful.to_string()).unwrap();
    let output = python("openapi.py").arg("document").arg(&file).output().unwrap();
    assert!(!output.status.success());
}

#[tokio::test]
async fn the_document_is_the_same_every_time_and_kept_by_caches() {
    let one = World::new(Framework::Axum).await;
    let others = [World::new(Framework::Actix).await, World::new(Framework::Rocket).await];
    for path in [DOCUMENT, PAGE] {
        let first = one.client.get(path).await;
        assert_eq!(first.status, 200);
        for other in &others {
            let again = other.client.get(path).await;
            assert!(again.body == first.body && again.header("etag") == first.header("etag"), "{path}");
        }
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"'), "{path}: {tag}");
        assert_eq!(first.header("cache-control"), "public, no-cache");
        assert_eq!(first.header("access-control-allow-origin"), "", "{path}");
        let known = |tag: &str| send(one.client.request("GET", path).header("if-none-match", tag.to_owned()));
        for same in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let answer = known(&same).await;
            assert_eq!((answer.status, answer.body.len(), answer.header("etag")), (304, 0, &*tag), "{same}");
        }
        assert_eq!(known("\"other\"").await.status, 200);
        let elsewhere = World::with(Framework::Axum, |config| config.base_url("https://b.example.com")).await;
        let answer = elsewhere.client.get(path).await;
        assert_ne!(answer.header("etag"), tag, "another server, another description");
        assert!(answer.text().contains("https://b.example.com"));
    }
    let text = one.client.get(DOCUMENT).await.text();
    let paths = text.match_indices("\":{\"").filter_map(|(at, _)| text[..at].rsplit('"').next());
    let paths: Vec<_> = paths.filter(|name| name.starts_with('/')).collect();
    assert!(paths.len() > 30 && paths.is_sorted(), "{paths:?}");
}

#[tokio::test]
async fn the_document_says_nothing_that_it_should_not() {
    let world = World::new(Framework::Axum).await;
    let document = world.client.get(DOCUMENT).await.ok();
    let text = document.to_string();
    // Of the source, of a machine, of somebody.
    for word in [
        "crate::",
        "](",
        "[`",
        "TODO",
        "FIXME",
        "/home",
        "/root",
        "/tmp",
        "localhost",
        "127.0.0.1",
        "unwrap",
        "`None`",
    ] {
        assert!(!text.contains(word), "{word}");
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let is_told = |schema: &Value| schema["description"].as_str().is_some_and(|words| words.len() > 3);
        assert!(is_told(schema), "{name} has no description");
        for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
            let reference = schema["$ref"].as_str().map(|place| place.trim_start_matches('#'));
            let target = reference.and_then(|place| document.pointer(place)).unwrap_or(&Value::Null);
            let one_of = schema["oneOf"].as_array().into_iter().flatten();
            let told = one_of.chain([schema, target]).any(is_told);
            assert!(told, "{name}.{member} has no description");
        }
    }
    for ((method, path), operation) in operations(&document) {
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|words| !words.ends_with('.')), "{method} {path}");
        if let Some(body) = operation["requestBody"]["content"]["application/json"].as_object() {
            assert!(body.contains_key("example"), "the body of {method} {path} has no example");
        }
    }
}

#[tokio::test]
async fn a_reader_of_the_page_is_served_nothing_else() {
    let world = World::new(Framework::Axum).await;
    let page = world.client.get(PAGE).await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), value);
    }
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    for part in ["form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    let text = page.text();
    for ((method, path), operation) in operations(&world.client.get(DOCUMENT).await.ok()) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(text.contains(&format!("id=\"{id}\"")), "{method} {path}");
    }
    // Two servers in one test, so that neither the document nor the page is one of the process.
    let central = capauth_tower::CapAuth::remote("https://auth.example.com").service("app.example.com");
    let central = central.build().await.unwrap().service_endpoints();
    for path in [PAGE, DOCUMENT] {
        let request = http::Request::get(path).body(capauth_tower::Body::default()).unwrap();
        assert_eq!(central.handle(request).await.status(), 501, "{path}: no service, no description");
    }
}
