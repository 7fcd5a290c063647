//! What a guard adds to a request, in each framework: with a token that was seen before, and with one that was not.

use std::time::Duration;

use capauth_tests::process::CpuTime;
use capauth_tests::service::Service;

use super::guarded::FRAMEWORKS;
use super::{CONNECTIONS, Connection, Kind, Options, median, people, row};

/// Microseconds that a guard may cost whose token was seen before.
const LIMIT: f64 = 3.0;

/// Requests that are sent in one go, so that what is measured is requests and not waiting.
const BATCH: usize = 50;

const OPEN: &str = "/open";
const EXTRACTOR: &str = "/extractor";

/// The guarded paths of a framework, and what stands there. Rocket has no layers; in tower a handler finds in the
/// request what the layer left.
fn guards(framework: &str) -> Vec<(&'static str, &'static str)> {
    match framework {
        "tower" => vec![("/layer", "require_login()"), (EXTRACTOR, "AuthLayer")],
        "rocket" => vec![(EXTRACTOR, "the guard Authenticated")],
        _ => vec![("/layer", "require_login()"), (EXTRACTOR, "the extractor Authenticated")],
    }
}

pub(crate) async fn run(args: Vec<String>) -> Result<bool, String> {
    let options = Options::new(args, &["--check", "--requests", "--rounds", "--tokens"])?;
    let (requests, rounds) = (options.number("--requests", 50_000)?, options.number("--rounds", 7)?);
    let tokens = options.number("--tokens", 400)?;
    println!(
        "{requests} requests a round, {rounds} rounds; {tokens} tokens a round that were not seen before\n"
    );
    let mut reached = true;
    for framework in FRAMEWORKS {
        reached &= measure(framework, requests, rounds, tokens).await?;
    }
    Ok(!options.has("--check") || reached)
}

async fn measure(framework: &str, requests: usize, rounds: usize, tokens: usize) -> Result<bool, String> {
    let server = Service::of_this_program(&["guarded", framework]);
    let paths = guards(framework);
    let token = sign_in(server.address(), 1).await?;
    let mut open = Vec::new();
    let mut added = vec![Vec::new(); paths.len()];
    let mut unseen = Vec::new();
    for round in 0..=rounds {
        // Within a round the machine is in one mood: differences are taken there.
        let plain = cost(&server, OPEN, &token, requests).await;
        let guarded = {
            let mut guarded = Vec::new();
            for (path, _) in &paths {
                guarded.push(cost(&server, path, &token, requests).await - plain);
            }
            guarded
        };
        let fresh = sign_in(server.address(), tokens).await?;
        let first = cost(&server, EXTRACTOR, &fresh, tokens).await - plain;
        // The first round warms up.
        if round > 0 {
            open.push(plain);
            added.iter_mut().zip(guarded).for_each(|(all, one)| all.push(one));
            unseen.push(first);
        }
    }
    println!("{framework}: an open request costs {:.2} µs of server CPU", median(open));
    let mut reached = true;
    for ((_, name), costs) in paths.iter().zip(added) {
        reached &= row(&format!("  {name} adds"), median(costs), "µs", LIMIT);
    }
    println!(
        "  {:<50} {:>8.2} µs  a signature is verified\n",
        "the same, token not seen before",
        median(unseen)
    );
    Ok(reached)
}

/// So many tokens, of one person.
async fn sign_in(address: &str, tokens: usize) -> Result<Vec<String>, String> {
    let person = people(1);
    let mut connection = Connection::open(address).await;
    let mut made = Vec::with_capacity(tokens);
    for _ in 0..tokens {
        let login = connection.login(&person[0], Kind::Certificate).await;
        made.push(login["access_token"].as_str().ok_or("no token")?.to_owned());
    }
    // What a login leaves to be done is no guard's cost.
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(made)
}

/// Microseconds of server CPU per request.
async fn cost(server: &Service, path: &str, tokens: &[String], requests: usize) -> f64 {
    let time = CpuTime::of(server.pid());
    ask(server.address(), path, tokens, requests).await;
    time.microseconds() / requests as f64
}

async fn ask(address: &str, path: &str, tokens: &[String], requests: usize) {
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| {
            let request = |token: &String| {
                format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n")
            };
            let own = tokens.iter().skip(if tokens.len() > 1 { worker } else { 0 }).step_by(CONNECTIONS);
            let texts: Vec<_> = own.map(request).collect();
            let address = address.to_owned();
            tokio::spawn(async move {
                let mut connection = Connection::open(&address).await;
                let mut texts = texts.iter().cycle();
                for _ in 0..requests / CONNECTIONS / BATCH {
                    let batch: String = texts.by_ref().take(BATCH).map(String::as_str).collect();
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
