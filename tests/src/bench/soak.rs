//! Memory over very many logins.

use std::time::Instant;

use capauth_tests::process::resident_bytes;
use capauth_tests::service::Service;

use super::{Connection, Kind, Options, drive, people};

/// How much more memory than after the first tenth there may be at the end, in megabytes and as a part.
const LIMIT_MB: f64 = 10.0;
const LIMIT_PART: f64 = 0.2;

pub(crate) async fn run(args: Vec<String>) -> Result<bool, String> {
    let options = Options::new(args, &["--logins"])?;
    let logins = options.number("--logins", 1_000_000)?;
    let people = people(50);
    let service = Service::start(&[]);
    let mut connection = Connection::open(service.address()).await;
    for key in people.iter() {
        connection.login(key, Kind::Certificate).await;
    }
    let megabytes = || resident_bytes(service.pid()) as f64 / 1024.0 / 1024.0;
    println!(
        "{logins} logins: bare, with claims, and with the certificate in turn\n{:>12} {:>7.1} MB",
        0,
        megabytes()
    );
    let (mut sizes, begun) = (Vec::new(), Instant::now());
    for tenth in 1..=10 {
        let kind = |number| [Kind::Plain, Kind::Claims, Kind::Certificate][number % 3];
        drive(service.address(), &people, logins / 10, kind).await;
        sizes.push(megabytes());
        println!(
            "{:>12} {:>7.1} MB {:>8.0} s",
            logins / 10 * tenth,
            megabytes(),
            begun.elapsed().as_secs_f64()
        );
    }
    let (early, late) = (sizes[0], sizes[sizes.len() - 1]);
    let grown = late - early;
    println!("\ngrown by {grown:.1} MB since the first tenth");
    Ok(grown < LIMIT_MB || grown < early * LIMIT_PART)
}
