//! The document of the protocol leaves nothing out, and names tests that there are.

use std::fs;

use capauth_protocol::ErrorCode;
use capauth_tests::service::workspace;
use capauth_tower::{Part, Route};

fn document() -> String {
    fs::read_to_string(workspace().join("docs/protocol.md")).expect("the document is there")
}

#[test]
fn every_endpoint_and_every_error_is_described() {
    let document = document();
    let (_, table) = document.split_once("## Where each of these is tested").unwrap();
    for route in Route::of(Part::Service) {
        let path = route.path().trim_start_matches("/capauth/v1").trim_start_matches("/auth/capauth");
        for method in route.methods() {
            let is_told = |line: &str| line.contains(method.as_str()) && line.contains(path);
            assert!(document.lines().any(is_told), "{method} {path} is not described");
        }
        assert!(table.contains(path), "no test is named for {path}");
    }
    for code in ErrorCode::ALL {
        let row = |line: &&str| line.starts_with('|') && line.contains(&format!("`{code}`"));
        let status = code.status().to_string();
        assert!(document.lines().filter(row).any(|line| line.contains(&status)), "{code} with {status}");
        assert!(table.lines().any(|line| row(&line)), "no test is named for {code}");
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let document = document();
    let parts = document.split('`').filter_map(|part| part.split_once("::"));
    let named: Vec<_> = parts.filter(|(file, _)| file.ends_with(".rs")).collect();
    assert!(named.len() > 100, "{}", named.len());
    for (file, test) in named {
        let source = fs::read_to_string(workspace().join("tests/tests").join(file));
        let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {test}(")), "{file}::{test}");
    }
}
