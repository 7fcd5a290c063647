//! What is shown is written down, and the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use capauth_tests::http::Client;
use capauth_tests::scrape::Scrape;
use capauth_tests::sequoia::Key;
use capauth_tests::service::workspace;

use crate::{enrol, service};

/// The rows of the tables below a heading: name, type, labels.
fn table(text: &str, heading: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let (_, section) = text.split_once(heading).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let name = cells.next().unwrap().trim_end_matches('`').to_owned();
        let kind = cells.next().unwrap().to_owned();
        let labels = cells.next().unwrap().split(',').map(|label| label.trim().trim_matches('`').to_owned());
        (name, (kind, labels.filter(|label| label != "–").collect()))
    })
    .collect()
}

#[tokio::test]
async fn every_metric_is_in_the_document_with_its_type_and_labels() {
    let service = service(&[]);
    enrol(&Client::new(service.url()), &Key::ed25519("Alice")).await.ok();
    let scrape = Scrape::of(&service).await;
    let mut shown: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for (name, kind) in &scrape.types {
        let of_it = |series: &&capauth_tests::scrape::Series| {
            series.name.strip_prefix(name.as_str()).is_some_and(|rest| {
                rest.is_empty() || kind == "histogram" && ["_bucket", "_sum", "_count"].contains(&rest)
            })
        };
        let series = scrape.series().iter().filter(of_it);
        let labels = series.flat_map(|series| series.labels.keys().cloned()).filter(|label| label != "le");
        shown.insert(name.clone(), (kind.clone(), labels.collect()));
    }
    let document = fs::read_to_string(workspace().join("docs/metrics.md")).unwrap();
    assert_eq!(table(&document, "\n## What the service shows"), shown);

    // Names are as collectors expect them, and each says its unit.
    for (name, (kind, _)) in &shown {
        assert!(name.starts_with("capauth_") || name.starts_with("process_"), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
    }
    // What is counted in an application alone is written down beside it.
    let of_an_application = table(&document, "\n## In an application");
    assert!(of_an_application.contains_key("capauth_remote_failures_total"));
    // Every metric that an example or an alert asks for is one of them.
    let words = document.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    for word in words.filter(|word| word.starts_with("capauth_") || word.starts_with("process_")) {
        let base =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        let known = |name: &str| shown.contains_key(name) || of_an_application.contains_key(name);
        assert!(known(base) || known(word), "{word} is no metric");
    }
}
