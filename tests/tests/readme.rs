//! What the README tells people to type does what it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::process::Command;

use capauth_tests::foreign::succeed;
use capauth_tests::http::Client;
use capauth_tests::service::{Service, workspace};
use serde_json::Value;

fn readme() -> String {
    fs::read_to_string(workspace().join("README.md")).expect("a README")
}

/// The text of the first fenced block of a language after a place in the text.
fn block<'a>(text: &'a str, language: &str) -> &'a str {
    let fence = format!("```{language}\n");
    let (_, rest) = text.split_once(&fence).unwrap_or_else(|| panic!("no block of {language}"));
    rest.split_once("\n```").expect("the block ends").0
}

/// The block that stands directly after its mark.
fn marked_shell_block(readme: &str) -> &str {
    let mark = readme.lines().find(|line| line.starts_with("<!--") && line.contains("sign-in"));
    let (_, rest) = readme.split_once(mark.expect("a comment that marks the block `sign-in`")).unwrap();
    assert!(rest.starts_with("\n```bash\n"), "the mark does not stand directly before a block of bash");
    block(rest, "bash")
}

#[tokio::test]
async fn the_first_login_works_as_printed() {
    let service = Service::start(&[]);
    let readme = readme();
    let block = marked_shell_block(&readme);
    assert!(block.contains("http://127.0.0.1:8420"), "the block names the service's own port");
    let script = block.replace("http://127.0.0.1:8420", service.url());
    // The agent's sockets stand below the folder for temporary files, and their paths must stay short.
    let output =
        succeed(Command::new("bash").args(["-c", &script]).env("TMPDIR", "/tmp").env_remove("CAPAUTH_URL"));
    let printed = String::from_utf8(output.stdout).unwrap();
    let claims: Value =
        serde_json::from_str(&printed).unwrap_or_else(|e| panic!("no claims: {e}\n{printed}"));
    assert_eq!(claims["sub"].as_str().map(str::len), Some(40), "{printed}");
    assert_eq!(claims["sub"], claims["capauth_fingerprint"]);
    assert_eq!(Client::new(service.url()).get("/capauth/v1/status").await.ok()["enrolled_keys"], 1);
}

/// Code without comments, white space and the comma that rustfmt puts after a last member.
fn code(line: &str) -> String {
    let line = line.split(" //").next().unwrap_or_default();
    line.split_whitespace().collect::<String>().replace(",}", "}")
}

/// Each line that the README shows is compiled and run as part of the documentation of `capauth-axum`, in this order.
#[test]
fn the_rust_on_the_first_page_is_a_doc_test() {
    let library =
        fs::read_to_string(workspace().join("capauth-axum/src/lib.rs")).expect("the crate's front page");
    let documentation = library.lines().filter_map(|line| line.strip_prefix("//!")).map(str::trim);
    let example = documentation.skip_while(|line| *line != "```").skip(1).take_while(|line| *line != "```");
    let compiled: String = example.map(code).collect();
    let compiled = compiled.replace(",}", "}");
    let mut rest = compiled.as_str();
    for line in block(&readme(), "rust").lines() {
        let Some((_, after)) = rest.split_once(&code(line)) else {
            panic!("not in the first example of capauth-axum's documentation, or not in this order: {line}")
        };
        rest = after;
    }
}
