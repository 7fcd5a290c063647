//! `import`: the keys of another key store.

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use capauth_protocol::Fingerprint;
use capauth_store::{Import as Database, ImportedKey, Outcome, PythonKey, PythonKeys};
use capauth_verifier::openpgp::{JudgedCertificate, ServerKey, Standing};
use capauth_verifier::{Actor, Note, Timestamp};
use clap::Args;
use serde_json::json;

use super::{Failure, block_on, counted};
use crate::config::{Data, DataFlags, Sources};

const AFTER: &str = "\
FILE is opened for reading alone; the Python service may have it open. So may this service have its
own database. Every certificate is judged as at enrolment, and only what is needed to check
signatures is kept: no names and no addresses. Dates, approval and links are kept; keys that are
here already, or were barred here, stay as they are, and nothing is linked to them. Running it twice
changes nothing.

Keys that could not sign in (expired, damaged, not of the fingerprint they stand under, secret) are
skipped, and said by their fingerprints. Those that their owners revoked are taken over as revoked,
so that no older copy of them enrols.

Exit codes:
  0 every key is here now, 1 some were skipped (the others are here), or nothing could be done,
  2 the command line or a setting makes no sense

Both services keep their keys in ~/.capauth/service/keys.db unless they are told otherwise: name
another file for one of them.

Examples:
  capauth-service import --from-python old.db --db-path /var/lib/capauth/keys.db --dry-run
  capauth-service import --from-python old.db --db-path /var/lib/capauth/keys.db";

/// Take over the keys of the Python service.
#[derive(Debug, Args)]
#[command(after_help = AFTER)]
pub(super) struct Import {
    /// The key store of the Python service (its CAPAUTH_DB_PATH)
    #[arg(long, value_name = "FILE", required = true)]
    from_python: PathBuf,
    /// Change nothing; say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Say it in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataFlags,
}

impl Import {
    pub(super) fn take_over(self, sources: Sources) -> Result<(), Failure> {
        let sources = sources.and(self.data);
        let Data { database_url, master_key, .. } = sources.data()?;
        let servers = server_keys(&sources)?;
        let report = block_on(async {
            let failed = |error| Failure::caused(&error);
            let rows = PythonKeys::open(&self.from_python).await.map_err(failed)?;
            let database = Database::open(&database_url, master_key, self.dry_run).await.map_err(failed)?;
            let now = SystemTime::now();
            let mut work =
                Work { rows, database, now, servers, report: Report::default(), came: HashSet::new() };
            work.run(self.dry_run).await?;
            work.rows.close().await.map_err(failed)?;
            work.database.close().await.map_err(failed)?;
            Ok(work.report)
        })?;
        let mut out = std::io::stdout().lock();
        match self.json {
            true => report.print_json(&mut out, self.dry_run)?,
            false => report.print(&mut out, self.dry_run)?,
        }
        out.flush()?;
        if report.skipped.is_empty() { Ok(()) } else { Err(Failure::said(1)) }
    }
}

/// The keys with which this server signs challenges: they are nobody's.
fn server_keys(sources: &Sources) -> Result<Vec<Fingerprint>, Failure> {
    let Some((armor, passphrase)) = sources.signing_key()? else { return Ok(Vec::new()) };
    let key = ServerKey::from_armor(&armor, passphrase.as_ref(), SystemTime::now());
    Ok(key.map_err(Failure::unusable)?.all_fingerprints().to_vec())
}

struct Work {
    rows: PythonKeys,
    database: Database,
    now: SystemTime,
    servers: Vec<Fingerprint>,
    report: Report,
    /// In a dry run, what would have come: links to it would be made.
    came: HashSet<Fingerprint>,
}

/// What was done.
#[derive(Default)]
struct Report {
    imported: u64,
    pending: u64,
    revoked: u64,
    linked: u64,
    already: u64,
    skipped: Vec<Skipped>,
    /// Imported, but not linked to what they were linked to.
    unlinked: Vec<Fingerprint>,
    /// Imported with today's date: the one in the key store is none.
    undated: u64,
}

struct Skipped {
    row: i64,
    fingerprint: Option<Fingerprint>,
    why: String,
}

impl Work {
    async fn run(&mut self, dry_run: bool) -> Result<(), Failure> {
        let failed = |error| Failure::caused(&error);
        let note = Note::new(Timestamp::from(self.now), Actor::Shell);
        loop {
            let page = self.rows.next().await.map_err(failed)?;
            if page.is_empty() {
                return Ok(());
            }
            let (now, servers) = (self.now, self.servers.clone());
            let judged = tokio::task::spawn_blocking(move || judge_all(page, &servers, now));
            let judged = judged.await.map_err(|_| Failure::failed("judging the keys came to nothing"))?;
            let mut keys = Vec::new();
            for row in judged {
                match row {
                    Ok(key) => keys.push(key),
                    Err(skipped) => self.report.skipped.push(skipped),
                }
            }
            let wanted: Vec<_> = keys.iter().map(|candidate| candidate.key.clone()).collect();
            let outcomes = self.database.add(&wanted, &note).await.map_err(failed)?;
            for (candidate, outcome) in keys.into_iter().zip(outcomes) {
                self.count(candidate, outcome, dry_run);
            }
        }
    }

    fn count(&mut self, candidate: Candidate, outcome: Outcome, dry_run: bool) {
        let Candidate { key, row, undated } = candidate;
        let report = &mut self.report;
        let linked = match outcome {
            Outcome::Imported { linked } => linked,
            Outcome::AlreadyThere => {
                report.already += 1;
                return;
            }
            _ => {
                let why = "was erased here and may not come back, or is about to replace another key, or is the server's";
                report.skipped.push(Skipped { row, fingerprint: Some(key.fingerprint), why: why.to_owned() });
                return;
            }
        };
        report.imported += 1;
        report.undated += u64::from(undated);
        match (key.revoked, key.approved) {
            (true, _) => report.revoked += 1,
            (false, false) => report.pending += 1,
            (false, true) => {}
        }
        if let Some(primary) = key.linked_to {
            let would_be = dry_run && key.approved && !key.revoked && self.came.contains(&primary);
            match linked || would_be {
                true => report.linked += 1,
                false => report.unlinked.push(key.fingerprint),
            }
        }
        if key.linked_to.is_none() && key.approved && !key.revoked {
            self.came.insert(key.fingerprint);
        }
    }
}

/// A key that may be taken over.
struct Candidate {
    key: ImportedKey,
    row: i64,
    undated: bool,
}

fn judge_all(
    page: Vec<PythonKey>,
    servers: &[Fingerprint],
    now: SystemTime,
) -> Vec<Result<Candidate, Skipped>> {
    let judge_one = |row: PythonKey| {
        let number = row.row;
        let fingerprint = row.fingerprint.as_deref().and_then(|text| text.trim().parse().ok());
        judge(row, fingerprint, servers, now).map_err(|why| Skipped { row: number, fingerprint, why })
    };
    page.into_iter().map(judge_one).collect()
}

fn judge(
    row: PythonKey,
    fingerprint: Option<Fingerprint>,
    servers: &[Fingerprint],
    now: SystemTime,
) -> Result<Candidate, String> {
    let fingerprint = fingerprint.ok_or("its fingerprint is none")?;
    let armored = row.public_key.ok_or("its certificate is too large, or no text")?;
    let judged = JudgedCertificate::judge(&armored, now).map_err(|error| {
        // What is said to somebody who just sent a secret key is not what whoever migrates has to do.
        match armored.contains("PRIVATE KEY BLOCK") {
            true => {
                "its certificate is a SECRET key: tell its holder to revoke it, and delete it here".to_owned()
            }
            false => format!("its certificate is not good: {error}"),
        }
    })?;
    if judged.fingerprint != fingerprint {
        return Err("its certificate has another fingerprint".to_owned());
    }
    if judged.fingerprints.iter().any(|key| servers.contains(key)) {
        return Err("it is the server's own key".to_owned());
    }
    let revoked = match judged.standing {
        Standing::Good => false,
        Standing::RevokedForGood => true,
        Standing::Expired => return Err("it is expired; its holder extends it, and enrols".to_owned()),
        Standing::Revoked => return Err("it is revoked; its holder lifts that, and enrols".to_owned()),
        _ => return Err("no key of it may sign".to_owned()),
    };
    // The link of a primary key to itself is none.
    let linked_to = row.linked_to.as_deref().and_then(|text| text.trim().parse().ok());
    let key = ImportedKey {
        fingerprint,
        signing_keys: judged.signing_keys.encode().map_err(|error| error.to_string())?,
        certificate_digest: judged.digest,
        enrolled_at: row.enrolled_at.unwrap_or(Timestamp::from(now)),
        last_auth: row.last_auth,
        approved: row.approved,
        revoked,
        linked_to: linked_to.filter(|primary| *primary != fingerprint),
    };
    Ok(Candidate { key, row: row.row, undated: row.enrolled_at.is_none() })
}

impl Report {
    fn print(&self, out: &mut dyn Write, dry_run: bool) -> Result<(), Failure> {
        let done = if dry_run { "would be imported" } else { "imported" };
        writeln!(out, "{} {done}.", counted(self.imported, "key", "keys"))?;
        let parts = [
            (self.pending, "of them waits for an administrator", "of them wait for an administrator"),
            (self.revoked, "of them is revoked, and stays out", "of them are revoked, and stay out"),
            (self.linked, "of them is linked to another", "of them are linked to others"),
            (
                self.undated,
                "of them has today's date: its own is none",
                "of them have today's date: their own is none",
            ),
            (
                self.already,
                "key was here already and is as it was",
                "keys were here already and are as they were",
            ),
            (self.skipped.len() as u64, "key skipped:", "keys skipped:"),
        ];
        for (number, one, several) in parts.into_iter().filter(|(number, ..)| *number > 0) {
            writeln!(out, "{}", counted(number, one, several))?;
        }
        for Skipped { row, fingerprint, why } in &self.skipped {
            match fingerprint {
                Some(fingerprint) => writeln!(out, "  {fingerprint}: {why}")?,
                None => writeln!(out, "  row {row}: {why}")?,
            }
        }
        for fingerprint in &self.unlinked {
            writeln!(
                out,
                "NOT linked, as the key that it was linked to did not come with it or is not in order; its holder may link \
                 it: {fingerprint}"
            )?;
        }
        Ok(())
    }

    fn print_json(&self, out: &mut dyn Write, dry_run: bool) -> Result<(), Failure> {
        let skipped: Vec<_> = self
            .skipped
            .iter()
            .map(|s| json!({"row": s.row, "fingerprint": s.fingerprint.map(|f| f.to_string()), "reason": s.why}))
            .collect();
        let unlinked: Vec<_> = self.unlinked.iter().map(ToString::to_string).collect();
        let text = json!({
            "dry_run": dry_run, "imported": self.imported, "pending": self.pending, "revoked": self.revoked,
            "linked": self.linked, "already_there": self.already, "undated": self.undated,
            "skipped": skipped, "unlinked": unlinked,
        });
        Ok(writeln!(out, "{text}")?)
    }
}
