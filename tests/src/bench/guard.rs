//! What a guard adds to a request whose token was seen before.

use capauth_tests::process::CpuTime;
use capauth_tests::service::Service;

use super::{CONNECTIONS, Connection, Kind, Options, median, people, row};

/// Microseconds that a guard may cost.
const LIMIT: f64 = 3.0;

/// Requests that are sent in one go, so that what is measured is requests and not waiting.
const BATCH: usize = 50;

const PATHS: [&str; 3] = ["/open", "/layer", "/extractor"];

pub(crate) async fn run(args: Vec<String>) -> Result<bool, String> {
    let options = Options::new(args, &["--check", "--requests", "--rounds"])?;
    let (requests, rounds) = (options.number("--requests", 100_000)?, options.number("--rounds", 7)?);
    let server = Service::of_this_program("guarded");
    let person = people(1);
    let mut connection = Connection::open(server.address()).await;
    let login = connection.login(&person[0], Kind::Certificate).await;
    let token = login["access_token"].as_str().ok_or("no token")?;

    let mut costs = [const { Vec::new() }; PATHS.len()];
    for round in 0..=rounds {
        for (path, costs) in PATHS.iter().zip(&mut costs) {
            let time = CpuTime::of(server.pid());
            ask(server.address(), path, token, requests).await;
            let cost = time.microseconds() / requests as f64;
            // The first round warms up.
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    let [open, layer, extractor] = costs;
    // Within a round the machine is in one mood: differences are taken there.
    let added =
        |guarded: &[f64]| median(guarded.iter().zip(&open).map(|(guarded, open)| guarded - open).collect());
    let (by_layer, by_extractor) = (added(&layer), added(&extractor));
    println!(
        "{requests} requests a round, {rounds} rounds; an open request costs {:.2} µs of server CPU\n",
        median(open)
    );
    let reached = [
        row("require_login() adds", by_layer, "µs", LIMIT),
        row("the extractor Authenticated adds", by_extractor, "µs", LIMIT),
    ];
    Ok(!options.has("--check") || reached.iter().all(|reached| *reached))
}

async fn ask(address: &str, path: &str, token: &str, requests: usize) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n");
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (address, batch) = (address.to_owned(), request.repeat(BATCH));
            tokio::spawn(async move {
                let mut connection = Connection::open(&address).await;
                for _ in 0..requests / CONNECTIONS / BATCH {
                    connection.write(batch.as_bytes()).await;
                    for _ in 0..BATCH {
                        assert_eq!(connection.read().await.0, 200);
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.expect("every request is answered");
    }
}
