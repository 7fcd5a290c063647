//! Who holds how much of what is bounded, so that room is made at the cost of whoever holds most.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use capauth_protocol::Nonce;

use crate::stores::AddressPrefix;

/// What somebody is the holder of: where it came from, and which of theirs it is.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) from: AddressPrefix,
    /// Grows with time.
    pub(super) serial: u64,
    pub(super) nonce: Nonce,
    /// What it counts for; nothing at all if it is 0.
    pub(super) size: usize,
}

/// What each prefix holds, and each network: whoever has a network has many prefixes, and must not seem to be many.
#[derive(Default)]
pub(super) struct Shares {
    total: usize,
    of_networks: HashMap<AddressPrefix, usize>,
    of_prefixes: HashMap<AddressPrefix, usize>,
    /// Networks by what they hold.
    heaviest: BTreeSet<(usize, AddressPrefix)>,
    /// The prefixes of each network by what they hold.
    heaviest_of: BTreeSet<(AddressPrefix, usize, AddressPrefix)>,
    oldest: BTreeMap<(AddressPrefix, u64), Nonce>,
}

impl Shares {
    pub(super) const fn total(&self) -> usize {
        self.total
    }

    pub(super) fn add(&mut self, piece: Piece) {
        if piece.size > 0 && self.oldest.insert((piece.from, piece.serial), piece.nonce).is_none() {
            self.change(piece.from, |size| size.saturating_add(piece.size));
            self.total = self.total.saturating_add(piece.size);
        }
    }

    pub(super) fn remove(&mut self, piece: Piece) {
        if self.oldest.remove(&(piece.from, piece.serial)).is_some() {
            self.change(piece.from, |size| size.saturating_sub(piece.size));
            self.total = self.total.saturating_sub(piece.size);
        }
    }

    fn change(&mut self, from: AddressPrefix, change: impl Fn(usize) -> usize) {
        let network = from.network();
        let (before, after) = resize(&mut self.of_networks, network, &change);
        self.heaviest.remove(&(before, network));
        if after > 0 {
            self.heaviest.insert((after, network));
        }
        let (before, after) = resize(&mut self.of_prefixes, from, &change);
        self.heaviest_of.remove(&(network, before, from));
        if after > 0 {
            self.heaviest_of.insert((network, after, from));
        }
    }

    /// The oldest of whichever prefix holds most, in whichever network holds most.
    pub(super) fn victim(&self) -> Option<Nonce> {
        let (_, network) = *self.heaviest.last()?;
        let none = AddressPrefix::of(None);
        let its = self.heaviest_of.range((network, 0, none)..(network, usize::MAX, none));
        let (_, _, prefix) = *its.last()?;
        self.oldest.range((prefix, 0)..=(prefix, u64::MAX)).next().map(|(_, nonce)| *nonce)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
            && self.of_networks.is_empty()
            && self.of_prefixes.is_empty()
            && self.heaviest.is_empty()
            && self.heaviest_of.is_empty()
            && self.oldest.is_empty()
    }
}

/// What it was, and is.
fn resize(
    sizes: &mut HashMap<AddressPrefix, usize>,
    of: AddressPrefix,
    change: impl Fn(usize) -> usize,
) -> (usize, usize) {
    let size = sizes.entry(of).or_default();
    let before = *size;
    *size = change(before);
    let after = *size;
    if after == 0 {
        sizes.remove(&of);
    }
    (before, after)
}
