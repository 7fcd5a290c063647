//! Random sequences.

use std::cell::Cell;
use std::path::Path;

use capauth_tests::life;
use capauth_verifier::{Stores, memory};
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::people::Play;
use crate::steps::steps;

fn play(cases: u32, seed: u64, open: bool, stores: impl AsyncFn(usize) -> Stores) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The same sequences each time: what fails, fails again.
    let rng_seed = RngSeed::Fixed(seed);
    let config = Config { cases, failure_persistence: None, rng_seed, ..Config::default() };
    let count = Cell::new(0);
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        count.set(count.get() + 1);
        runtime.block_on(async {
            Play::begin(stores(count.get()).await, open).await.run(&steps).await;
        });
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
}

// Ten thousand sequences, with real certificates and signatures, in about a minute of one processor. Fewer on a
// database, where each begins with making one.
macro_rules! by_chance {
    ($($test:ident: $cases:literal $seed:literal $open:literal $stores:expr;)*) => {$(
        #[test]
        fn $test() {
            let folder = tempfile::tempdir().unwrap();
            play($cases, $seed, $open, async |n| $stores(folder.path(), n).await);
        }
    )*};
}

async fn in_memory(_: &Path, _: usize) -> Stores {
    memory::stores().unwrap()
}

async fn on_sqlite(folder: &Path, n: usize) -> Stores {
    life::sqlite_in(folder, &format!("{n}.db")).await
}

by_chance! {
    the_verifier_and_the_model_agree_where_enrolment_is_open: 1_250 1 true in_memory;
    the_verifier_and_the_model_agree_where_enrolment_is_open_once_more: 1_250 2 true in_memory;
    the_verifier_and_the_model_agree_where_enrolment_is_open_a_third_time: 1_250 3 true in_memory;
    the_verifier_and_the_model_agree_where_enrolment_is_open_a_fourth_time: 1_250 4 true in_memory;
    the_verifier_and_the_model_agree_where_enrolment_needs_approval: 1_250 5 false in_memory;
    the_verifier_and_the_model_agree_where_enrolment_needs_approval_once_more: 1_250 6 false in_memory;
    the_verifier_and_the_model_agree_where_enrolment_needs_approval_a_third_time: 1_250 7 false in_memory;
    the_verifier_and_the_model_agree_where_enrolment_needs_approval_a_fourth_time: 1_250 8 false in_memory;
    they_agree_over_a_database_where_enrolment_is_open: 150 9 true on_sqlite;
    they_agree_over_a_database_where_enrolment_needs_approval: 150 10 false on_sqlite;
}
