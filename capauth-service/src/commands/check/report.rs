//! What `check` says.

use std::io::Write;

use capauth_tower::EnrollmentMode;
use serde_json::{Value, json};

use super::{Meaning, line};
use crate::commands::Failure;
use crate::config::Setting;

/// The width of the column of names.
const NAMES: usize = 18;

pub(super) struct Report<'a> {
    pub(super) settings: &'a [Setting],
    /// What follows; or why the service would not start.
    pub(super) judged: &'a Result<Meaning, String>,
}

impl Report<'_> {
    pub(super) fn words(&self, out: &mut dyn Write) -> Result<(), Failure> {
        writeln!(
            out,
            "Settings{}",
            if self.settings.is_empty() { ": none, all are as by default" } else { "" }
        )?;
        for setting in self.settings {
            let (name, value) = line(setting);
            row(out, name, &value)?;
        }
        if let Ok(meaning) = self.judged {
            writeln!(out, "\nWhat follows")?;
            for (name, value) in &meaning.facts {
                row(out, name, value)?;
            }
            for (name, value) in meaning.more() {
                row(out, name, &value)?;
            }
            writeln!(out, "\nWho may sign in where")?;
            for (service, origins) in &meaning.services {
                row(out, service, &origins.join(", "))?;
            }
            if !meaning.notices.is_empty() {
                writeln!(out)?;
            }
            for notice in &meaning.notices {
                writeln!(out, "  ! {notice}")?;
            }
            writeln!(out, "\nThe service would start.")?;
        }
        Ok(out.flush()?)
    }

    pub(super) fn json(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let settings: Vec<_> = self
            .settings
            .iter()
            .map(|setting| json!({"key": setting.key, "from": setting.place, "value": setting.value}))
            .collect();
        let report = match self.judged {
            Err(words) => json!({"ok": false, "error": words, "settings": settings}),
            Ok(meaning) => {
                let mut report = meaning.json();
                if let Some(report) = report.as_object_mut() {
                    report.insert("settings".to_owned(), settings.into());
                }
                report
            }
        };
        writeln!(out, "{report:#}")?;
        Ok(out.flush()?)
    }
}

fn row(out: &mut dyn Write, name: &str, value: &str) -> Result<(), Failure> {
    Ok(writeln!(out, "  {name:NAMES$} {value}")?)
}

impl Meaning {
    /// What a start does not say.
    fn more(&self) -> Vec<(&'static str, String)> {
        let (host, port) = (self.config.host, self.config.port);
        let challenges = match self.takes_v1 {
            true => "with a web origin (V2) and without (V1); CAPAUTH_REQUIRE_V2=true refuses the latter",
            false => "with a web origin (V2) alone",
        };
        let mut more = vec![
            ("database", self.data.state.clone()),
            ("challenges", challenges.to_owned()),
            ("issuer", self.issuer.clone()),
            ("tokens signed by", self.algorithm.clone()),
            ("listens on", std::net::SocketAddr::new(host, port).to_string()),
        ];
        if let Some(fingerprint) = &self.server_key {
            more.push(("server certificate", fingerprint.clone()));
        }
        more
    }

    fn json(&self) -> Value {
        let services = self.services.iter().map(|(name, origins)| json!({"name": name, "origins": origins}));
        let enrollment = match self.config.enrollment {
            EnrollmentMode::Open => "open",
            EnrollmentMode::Approval => "approval",
            EnrollmentMode::Closed => "closed",
        };
        json!({
            "ok": true,
            "issuer": self.issuer,
            "access_token_alg": self.algorithm,
            "enrollment": enrollment,
            "accepts_v1": self.takes_v1,
            "services": services.collect::<Vec<_>>(),
            "server_fingerprint": self.server_key,
            "listens_on": std::net::SocketAddr::new(self.config.host, self.config.port).to_string(),
            "data": {
                "place": self.data.place,
                "exists": self.data.exists,
                "keys": self.data.keys,
                "state": self.data.state,
            },
            "notices": self.notices,
        })
    }
}
