//! Measures a release build of the service against what is meant to be reached.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measuring program prints, and stops at once when something is wrong"
)]

#[path = "../bench/mod.rs"]
mod bench;

use std::process::ExitCode;

const HELP: &str = "\
Measures a release build of the service. `cargo xtask bench` and `cargo xtask soak` build it first.

  capauth-bench login [--check] [--logins N] [--rounds N] [--keys N]
      server CPU time of a login against the floor, start, memory with N keys enrolled; bare, and with rate
      limits, an audit file and metrics
  capauth-bench guard [--check] [--requests N] [--rounds N] [--tokens N]
      what a guard adds to a request in each framework, its token seen before and not
  capauth-bench soak [--logins N]
      memory over very many logins; fails when it grows

With --check it fails when something is not reached.";

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let what = args.next().unwrap_or_default();
    let args: Vec<_> = args.collect();
    if args.iter().any(|arg| arg == "--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let outcome = match what.as_str() {
        "login" => bench::login::run(args).await,
        "guard" => bench::guard::run(args).await,
        "soak" => bench::soak::run(args).await,
        // The servers that are measured along; started by the others.
        "floor" => bench::floor::serve().await.map(|()| true),
        "guarded" => bench::guarded::serve(args.first().map_or("", String::as_str)).await.map(|()| true),
        _ => Err(HELP.to_owned()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(words) => {
            eprintln!("{words}");
            ExitCode::from(2)
        }
    }
}
