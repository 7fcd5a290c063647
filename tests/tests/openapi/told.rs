//! What was answered, held against the description by a validator that is not ours.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use capauth_tests::foreign::{python, succeed};
use capauth_tests::http::Answer;
use serde_json::{Value, json};

use crate::description::operations;

/// Answers, and which operations they are of.
#[derive(Default)]
pub(crate) struct Told(Vec<Value>);

impl Told {
    /// Notes an answer of the operation with this method and path template, and hands it back.
    pub(crate) fn note(&mut self, operation: &str, answer: Answer) -> Answer {
        let (method, path) = operation.split_once(' ').unwrap();
        let path = match path.strip_prefix('/') {
            Some(rest)
                if ["auth", "capauth", "health", ".well-known"]
                    .contains(&rest.split('/').next().unwrap()) =>
            {
                path.to_owned()
            }
            _ => format!("/capauth/v1{path}"),
        };
        let kind = answer.header("content-type").split(';').next().unwrap_or_default().to_owned();
        let headers: BTreeSet<_> = answer.headers.keys().map(|name| name.as_str().to_owned()).collect();
        self.0.push(json!({
            "method": method, "path": path, "status": answer.status, "type": kind, "headers": headers,
            "body": if kind == "application/json" { answer.json() } else { Value::Null },
        }));
        answer
    }

    /// Notes what an operation might answer in JSON.
    pub(crate) fn note_body(&mut self, operation: &str, status: u16, body: &Value) {
        let (method, path) = operation.split_once(' ').unwrap();
        self.0.push(json!({
            "method": method, "path": path, "status": status, "type": "application/json", "body": body,
        }));
    }

    /// Notes what somebody might send.
    pub(crate) fn note_request(&mut self, operation: &str, body: &Value) {
        let (method, path) = operation.split_once(' ').unwrap();
        self.0.push(json!({"method": method, "path": path, "request": body}));
    }

    /// What the validator says against each, in the order in which they came.
    pub(crate) fn judge(&self, document: &Value) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let [description, answers] = ["openapi.json", "answers.json"].map(|name| folder.path().join(name));
        fs::write(&description, document.to_string()).unwrap();
        fs::write(&answers, Value::from(self.0.clone()).to_string()).unwrap();
        let output = succeed(python("openapi.py").arg("answers").args([&description, &answers]));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Fails unless all of it is as described, and each operation was seen to do what it is for and to refuse.
    pub(crate) fn is_as_described(&self, document: &Value) {
        let problems: Vec<_> =
            self.0.iter().zip(self.judge(document)).filter(|(_, said)| !said.is_empty()).collect();
        assert!(problems.is_empty(), "{problems:#?}");
        let mut seen: BTreeMap<_, (bool, bool)> = BTreeMap::new();
        for answer in &self.0 {
            let text = |name: &str| answer[name].as_str().unwrap().to_owned();
            let entry = seen.entry((text("method"), text("path"))).or_default();
            match answer["status"].as_u64() {
                Some(200..400) => entry.0 = true,
                _ => entry.1 = true,
            }
        }
        for (operation, described) in operations(document) {
            let refuses =
                described["responses"].as_object().unwrap().keys().any(|status| status.starts_with('4'));
            let (accepted, refused) = seen.get(&operation).copied().unwrap_or_default();
            assert!(accepted, "{operation:?} was never seen to succeed");
            assert!(refused || !refuses, "{operation:?} was never seen to refuse");
        }
    }

    /// The same answers, each changed; what cannot be changed this way is left out.
    pub(crate) fn changed(&self, change: impl Fn(&mut Value) -> Option<()>) -> Self {
        let changed = self.0.iter().cloned().filter_map(|mut answer| change(&mut answer).map(|()| answer));
        Self(changed.collect())
    }
}
