//! What has to be done now and then, whether or not anybody signs in.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use super::Inner;
use super::discovery::{Found, Way, discover};
use super::fault::{Fault, FaultKind};
use super::keys::Change;
use super::link::millis;

/// How often the feed is asked for: a revocation counts here within a second.
const EVERY: Duration = Duration::from_millis(500);
/// Milliseconds after which the service is asked anew what it is.
const REDISCOVER: u64 = 5 * 60 * 1000;
/// Of how many ended tokens the service is told in one round.
const TOLD_AT_ONCE: usize = 16;
/// Milliseconds after which that is tried again when it failed.
const RETRY: u64 = 10_000;

/// Keeps everything up to date for as long as somebody holds `inner`.
pub(super) fn spawn(inner: &Arc<Inner>) -> AbortHandle {
    let inner: Weak<Inner> = Arc::downgrade(inner);
    let task = async move {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, and building has done what was due.
        tick.tick().await;
        loop {
            tick.tick().await;
            let Some(inner) = inner.upgrade() else { break };
            // Counted already.
            let _ = inner.refresh().await;
        }
    };
    tokio::spawn(task).abort_handle()
}

impl Inner {
    fn millis(&self) -> u64 {
        millis(self.clock.now())
    }

    /// Does what is due. What fails was counted, and is tried again.
    pub(super) async fn refresh(&self) -> Result<(), Fault> {
        // The feed first: nothing else is as urgent, and what hangs must not hold it up.
        let updated = if self.has_keys() { Some(self.update().await) } else { None };
        let discovered = self.rediscover().await;
        // What was known still counts.
        match updated {
            Some(updated) => updated?,
            None if self.has_keys() => self.update().await?,
            None => {}
        }
        self.tell_ended().await;
        discovered.map(drop)
    }

    fn has_keys(&self) -> bool {
        self.found().is_ok_and(|found| found.way == Way::Keys)
    }

    /// Feed and keys.
    pub(super) async fn update(&self) -> Result<(), Fault> {
        let polled = self.feed.poll(&self.link, self.millis()).await;
        if self.keys.refresh(&self.link, self.millis()).await? == Change::Everything {
            // A new installation behind the old URL: its feed starts at the beginning.
            self.feed.restart();
            return self.feed.poll(&self.link, self.millis()).await;
        }
        polled
    }

    /// Tells the service of tokens that were ended while it was away: of a few at a time, and of none once it fails, since
    /// the feed waits meanwhile.
    async fn tell_ended(&self) {
        let now = self.clock.timestamp();
        let waiting: Vec<_> = {
            let mut untold = self.untold();
            untold.retain(|_, expires| *expires > now);
            untold.iter().take(TOLD_AT_ONCE).map(|(jti, expires)| (jti.clone(), *expires)).collect()
        };
        for (jti, expires) in waiting {
            if self.tell(&jti, expires).await.is_err() {
                break;
            }
        }
    }

    /// Asks what the service is when that is not known, was not asked for a while, or when nothing else would find out
    /// that it is back.
    async fn rediscover(&self) -> Result<Arc<Found>, Fault> {
        let mut discovered = self.discovered.lock().await;
        let now = self.millis();
        let known = self.found().ok();
        let only_way_back = self.link.is_circuit_open() && known.as_ref().is_none_or(|f| f.way != Way::Keys);
        match known {
            Some(found) if !only_way_back && now.abs_diff(*discovered) < REDISCOVER => return Ok(found),
            _ => {}
        }
        *discovered = now.saturating_sub(REDISCOVER - RETRY);
        let found = discover(&self.link, &self.expected).await?;
        let found = self.adopt(found)?;
        *discovered = now;
        Ok(found)
    }

    /// Takes over what the service says of itself, unless that makes it another one.
    pub(super) fn adopt(&self, found: Found) -> Result<Arc<Found>, Fault> {
        let before = self.found().ok();
        if before.as_deref() == Some(&found) {
            return Ok(Arc::new(found));
        }
        if before.is_some_and(|before| before.way != Way::AskOlder) && found.way == Way::AskOlder {
            let words = "the central service was a newer one before, and answers like an older one now";
            return Err(self.link.fault(FaultKind::Malformed, words));
        }
        if let Some(issuer) = &found.issuer {
            let first = self.issuer.get_or_init(|| Arc::clone(issuer));
            if first != issuer {
                let words =
                    "the central service says that it is another issuer than when this program started";
                return Err(self.link.fault(FaultKind::Issuer, words));
            }
        }
        let found = Arc::new(found);
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&found));
        // How tokens are checked may be another way now.
        self.changes.add();
        Ok(found)
    }

    pub(super) fn notices(&self) -> Vec<String> {
        let mut notices = Vec::new();
        if self.link.url().starts_with("http://") {
            notices.push(format!(
                "The central service is asked over plain HTTP at {}: use https:// wherever anybody else could listen.",
                self.link.url()
            ));
        }
        if !self.link.has_credential() {
            notices.push(String::from(
                "This application shows the central service no credential, so the service's rate limits count all of its \
                 people as one: a few strangers can keep anybody from signing in here. Call `.credential(…)`.",
            ));
        }
        match self.found() {
            Ok(found) => notices.extend(found.notices.iter().cloned()),
            Err(_) => notices.push(format!(
                "The central service at {} does not answer ({}). Nobody can sign in until it does; it is asked twice a \
                 second.",
                self.link.url(),
                self.trouble.as_deref().unwrap_or("not yet")
            )),
        }
        notices
    }
}
