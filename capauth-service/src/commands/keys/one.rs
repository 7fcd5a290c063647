//! `keys show`, `keys groups` and `keys name`.

use std::io::Write as _;

use capauth_protocol::Fingerprint;
use capauth_protocol::request::GroupsRequest;
use capauth_protocol::response::KeyEntry;
use capauth_tower::AuthErrorKind;
use clap::Args;

use super::{Common, Desk, failed, fingerprints, json, list};
use crate::commands::Failure;
use crate::config::Sources;

/// Show everything that is known of a key, and of the others of its identity.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// Whose key: a fingerprint, with or without spaces
    #[arg(value_name = "FINGERPRINT", required = true)]
    fingerprint: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl Show {
    pub(super) async fn print(self, sources: Sources) -> Result<(), Failure> {
        let wanted = fingerprints::several(&self.fingerprint)?;
        let desk = Desk::open(sources, self.common).await?;
        let mut out = std::io::stdout().lock();
        for fingerprint in &wanted {
            desk.find(fingerprint).await?;
            let keys = desk.verifier.keys_beside(fingerprint).await.map_err(|error| failed(&error))?;
            for key in &keys {
                if desk.json { json(&mut out, key)? } else { writeln!(out, "{}", paragraph(key))? }
            }
        }
        out.flush()?;
        desk.close().await
    }
}

/// A key in several lines.
fn paragraph(key: &KeyEntry) -> String {
    let mut text = format!("{}\n", key.fingerprint);
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text += &format!("  {name:11}  {}\n", value.replace(char::is_control, "?"));
        }
    };
    say("state", Some(list::state(key).to_owned()));
    say("user name", key.user_name.clone());
    say("groups", Some(key.groups.join(", ")));
    say("sub", key.sub.map(|sub| sub.to_string()));
    say("enrolled", Some(key.enrolled_at.clone()));
    say("last login", Some(key.last_auth.clone().unwrap_or_else(|| "never".to_owned())));
    say("linked to", key.linked_to.map(|key| key.to_string()));
    say("revoked", key.revoked_at.clone());
    say("replaced", key.replaced_at.clone());
    let soon = key.replaced_soon.as_ref();
    say("replaced by", soon.map(|new| format!("{} from {} on", new.fingerprint, new.effective_at)));
    text
}

/// Show the groups of a key's identity, or change them.
///
/// Names make up the whole list; --add and --remove change the list that there is. Taking a group away ends the sessions and
/// tokens of the identity.
#[derive(Debug, Args)]
pub(super) struct Groups {
    /// Whose: a fingerprint, in quotes if it holds spaces
    fingerprint: String,
    /// The groups that the identity is to be in, and no others
    #[arg(value_name = "GROUP", conflicts_with_all = ["add", "remove", "none"])]
    groups: Vec<String>,
    /// Add these, separated by commas
    #[arg(long, value_name = "GROUPS", value_delimiter = ',', conflicts_with = "none")]
    add: Vec<String>,
    /// Take these away, separated by commas
    #[arg(long, value_name = "GROUPS", value_delimiter = ',', conflicts_with = "none")]
    remove: Vec<String>,
    /// Take all away
    #[arg(long)]
    none: bool,
    #[command(flatten)]
    common: Common,
}

impl Groups {
    pub(super) async fn do_it(self, sources: Sources) -> Result<(), Failure> {
        let fingerprint = fingerprints::one(&self.fingerprint)?;
        let desk = Desk::open(sources, self.common).await?;
        desk.find(&fingerprint).await?;
        if !self.groups.is_empty() || self.none {
            let wanted = checked(&self.groups)?;
            desk.administration().set_groups(&fingerprint, &wanted).await.map_err(|error| failed(&error))?;
        } else if !self.add.is_empty() || !self.remove.is_empty() {
            add_and_remove(&desk, &fingerprint, &self.add, &self.remove).await?;
        }
        let mut out = std::io::stdout().lock();
        let key = desk.find(&fingerprint).await?;
        if desk.json {
            json(&mut out, &key)?;
        } else {
            for group in &key.groups {
                writeln!(out, "{}", group.replace(char::is_control, "?"))?;
            }
        }
        out.flush()?;
        desk.close().await
    }
}

/// Somebody else may decide at the same time: then once more, from what that one left.
async fn add_and_remove(
    desk: &Desk,
    fingerprint: &Fingerprint,
    add: &[String],
    remove: &[String],
) -> Result<(), Failure> {
    loop {
        let known = desk.find(fingerprint).await?.groups;
        let more = add.iter().filter(|name| !known.contains(name));
        let all = known.iter().chain(more).filter(|name| !remove.contains(name));
        let wanted = checked(&all.cloned().collect::<Vec<_>>())?;
        match desk.administration().replace_groups(fingerprint, &known, &wanted).await {
            Err(error) if error.kind() == AuthErrorKind::Conflict => {}
            done => return done.map_err(|error| failed(&error)),
        }
    }
}

/// Names as they are taken over HTTP.
fn checked(groups: &[String]) -> Result<Vec<String>, Failure> {
    let body = serde_json::json!({ "groups": groups }).to_string();
    let request = GroupsRequest::parse(body.as_bytes());
    request.map(|request| request.groups).map_err(|refusal| Failure::unusable(refusal.description))
}

/// Show the user name that applications key the account of an identity on, or change it.
///
/// A name is given to one identity, ever.
#[derive(Debug, Args)]
pub(super) struct Name {
    /// Whose: a fingerprint, in quotes if it holds spaces
    fingerprint: String,
    /// The name: small letters, digits and characters of . _ -
    #[arg(value_name = "NAME", conflicts_with = "remove")]
    name: Option<String>,
    /// Take the name away
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    common: Common,
}

impl Name {
    pub(super) async fn do_it(self, sources: Sources) -> Result<(), Failure> {
        let fingerprint = fingerprints::one(&self.fingerprint)?;
        let desk = Desk::open(sources, self.common).await?;
        desk.find(&fingerprint).await?;
        if self.remove || self.name.is_some() {
            let changed = desk.administration().set_user_name(&fingerprint, self.name.as_deref()).await;
            changed.map_err(|error| failed(&error))?;
        }
        let mut out = std::io::stdout().lock();
        let key = desk.find(&fingerprint).await?;
        if desk.json {
            json(&mut out, &key)?;
        } else if let Some(name) = &key.user_name {
            writeln!(out, "{}", name.replace(char::is_control, "?"))?;
        }
        out.flush()?;
        desk.close().await
    }
}
