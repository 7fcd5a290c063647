//! Measurements of a release build.

use crate::run::{Outcome, cargo, program, step, target_dir};

/// Builds the service and the measuring program, then runs the latter with what it was given.
pub(crate) fn run(what: &str, args: &[String]) -> Outcome {
    step("release build", &mut cargo("build --release --locked -p capauth-service -p capauth-tests"))?;
    let mut bench = program(target_dir().join("release/capauth-bench"));
    step(&format!("measuring: {what}"), bench.arg(what).args(args))?;
    Ok(())
}
