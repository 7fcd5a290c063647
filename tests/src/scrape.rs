//! Metrics in Prometheus's text format, read as strictly as a collector reads them.

use std::collections::{BTreeMap, BTreeSet};

use crate::http::Client;
use crate::service::Service;

/// A service's settings for metrics on a free port.
pub const METRICS: (&str, &str) = ("CAPAUTH_METRICS", "127.0.0.1:0");

/// What was read at once.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// As it came.
    pub text: String,
    /// Names with their type.
    pub types: BTreeMap<String, String>,
    series: Vec<Series>,
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name, with what a histogram adds to it.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The number.
    pub value: f64,
}

impl Scrape {
    /// Asks a service that shows its metrics.
    pub async fn of(service: &Service) -> Self {
        let answer = Client::new(&service.metrics_url()).get("/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        Self::read(answer.text())
    }

    /// Reads a text.
    pub fn read(text: String) -> Self {
        let (mut types, mut helped, mut series) = (BTreeMap::new(), BTreeSet::new(), Vec::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').expect("words");
                assert!(words.len() > 5 && helped.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}");
            } else {
                series.push(Series::read(line));
            }
        }
        let scrape = Self { text, types, series };
        for series in &scrape.series {
            let family = scrape.family(series);
            assert!(helped.contains(family), "{family} is not described");
        }
        let named: BTreeSet<_> = scrape
            .series
            .iter()
            .map(|series| (&series.name, &series.labels))
            .map(|s| format!("{s:?}"))
            .collect();
        assert_eq!(named.len(), scrape.series.len(), "a series stands there twice");
        scrape
    }

    /// The metric that a series is of.
    fn family<'a>(&self, series: &'a Series) -> &'a str {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            let name = series.name.strip_suffix(end)?;
            (self.types.get(name).map(String::as_str) == Some("histogram")).then_some(name)
        });
        let family = histogram.unwrap_or(&series.name);
        assert!(self.types.contains_key(family), "{family} has no type");
        family
    }

    /// Every line.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The number with this name and just these labels; 0 where there is none, as before something happens.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels: BTreeMap<_, _> = labels.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        let found = self.series.iter().find(|series| series.name == name && series.labels == labels);
        found.map_or(0.0, |series| series.value)
    }

    /// How much more there is of it than before.
    pub fn since(&self, before: &Self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, labels) - before.get(name, labels)
    }

    /// Every label there is with its values, of the metrics that are ours.
    pub fn labels(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (label, value) in self.series.iter().flat_map(|series| &series.labels) {
            all.entry(label.clone()).or_default().insert(value.clone());
        }
        all
    }
}

impl Series {
    fn read(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect("a number");
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let (name, labels) = match series.split_once('{') {
            None => (series, ""),
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("labels end")),
        };
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(!name.is_empty() && name.chars().all(plain), "{line}");
        let mut read = BTreeMap::new();
        // No value of ours holds a comma or a quotation mark: a line that does is not read, and fails.
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap_or_else(|| panic!("no label: {line}"));
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let value =
                value.filter(|value| !value.contains(['"', '\\'])).unwrap_or_else(|| panic!("{line}"));
            assert!(label.chars().all(plain), "{line}");
            assert!(read.insert(label.to_owned(), value.to_owned()).is_none(), "{line}");
        }
        Self { name: name.to_owned(), labels: read, value }
    }
}
