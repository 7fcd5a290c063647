//! libFuzzer over one target of `capauth-fuzz`: the one that `CAPAUTH_FUZZ_TARGET` names. Without it the targets are
//! listed, each with the length of its longest input. `cargo xtask fuzz` does all that.
#![no_main]

use std::collections::BTreeSet;
use std::panic::{self, PanicHookInfo};
use std::sync::{Mutex, OnceLock, PoisonError};

use capauth_fuzz::{TARGETS, Target, find};
use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

fn initialise() {
    let Ok(name) = std::env::var("CAPAUTH_FUZZ_TARGET") else {
        for target in TARGETS {
            println!("{} {}", target.name, target.longest);
        }
        std::process::exit(0);
    };
    let target = find(&name).unwrap_or_else(|| panic!("no target is called {name}"));
    TARGET.get_or_init(|| target);
    // The engine's own hook ends the process at any panic, also at one that the code under test catches, as it does
    // around the OpenPGP parser. Those that are not caught end it below, all the same.
    drop(panic::take_hook());
    panic::set_hook(Box::new(once_for_each_place));
}

fn once_for_each_place(panic: &PanicHookInfo<'_>) {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    if SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(place) {
        eprintln!("{panic}");
    }
}

fuzz_target!(init: initialise(), |data: &[u8]| {
    if let Some(target) = TARGET.get() {
        let _ = (target.run)(data);
    }
});
