//! Name resolution whose answers a test decides.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Mutex;

use capauth_verifier::{DirectoryError, DirectoryErrorKind, Resolver};

#[derive(Debug, Clone)]
pub(crate) enum Found {
    At(Vec<IpAddr>),
    Fails(DirectoryErrorKind),
    Never,
}

impl Found {
    pub(crate) fn at(addresses: &[&str]) -> Self {
        Self::At(addresses.iter().map(|address| address.parse().unwrap()).collect())
    }
}

/// Knows no name but what it was told.
#[derive(Default)]
pub(crate) struct Names {
    script: Mutex<HashMap<String, VecDeque<Found>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    pub(crate) fn always(&self, host: &str, found: Found) {
        self.in_turn(host, [found]);
    }

    /// One answer after the other; the last one stays.
    pub(crate) fn in_turn(&self, host: &str, found: impl IntoIterator<Item = Found>) {
        self.script.lock().unwrap().insert(host.to_owned(), found.into_iter().collect());
    }

    pub(crate) fn forget(&self, host: &str) {
        self.script.lock().unwrap().remove(host);
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn next(&self, host: &str) -> Found {
        self.asked.lock().unwrap().push(host.to_owned());
        let mut script = self.script.lock().unwrap();
        let Some(turns) = script.get_mut(host) else { return Found::At(Vec::new()) };
        if turns.len() > 1 { turns.pop_front().unwrap() } else { turns[0].clone() }
    }
}

#[async_trait::async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, DirectoryError> {
        match self.next(host) {
            Found::At(addresses) => Ok(addresses),
            Found::Fails(kind) => Err(DirectoryError::new(kind)),
            Found::Never => std::future::pending().await,
        }
    }
}
