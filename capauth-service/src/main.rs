//! The CapAuth service.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use capauth_service::commands::Task;
use capauth_service::{CommandLine, Config, HandedOver, Server, banner, logging};

/// A configuration that cannot work.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let line = match CommandLine::parse(std::env::args_os()) {
        Ok(line) => line,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(UNUSABLE));
        }
    };
    match line.into_task(std::env::vars_os()) {
        Task::Run(sources) => match sources.config() {
            Ok(config) => run(config),
            Err(error) => complain(&error, UNUSABLE),
        },
        Task::Beside(job) => match job.do_it() {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) if failure.is_silent() => ExitCode::from(failure.code()),
            Err(failure) => complain(&failure, failure.code()),
        },
    }
}

/// Runs the service until a signal ends it.
fn run(config: Config) -> ExitCode {
    if let Err(error) = logging::start(&config) {
        return complain(&error, UNUSABLE);
    }
    let handed_over = match HandedOver::take(&config) {
        Ok(handed_over) => handed_over,
        Err(error) => return complain(&error, UNUSABLE),
    };
    // As many threads as there are cores.
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, 1),
    };
    let code = runtime.block_on(start(config, handed_over));
    // What still runs was given its time, or a second signal asked not to wait.
    runtime.shutdown_timeout(Duration::ZERO);
    code
}

async fn start(config: Config, handed_over: HandedOver) -> ExitCode {
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return complain(&error, 1),
    };
    let server = match Server::bind_with(&config, handed_over).await.and_then(Server::supervised) {
        Ok(server) => server,
        Err(error) => return complain(&error, UNUSABLE),
    };
    let mut stdout = std::io::stdout().lock();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    // Nobody may be reading; the service starts all the same.
    let _ = stdout.write_all(banner::text(&config, &server, colour).as_bytes()).and_then(|()| stdout.flush());
    drop((stdout, config));

    let (stop, stopped) = tokio::sync::oneshot::channel();
    let watching = async {
        let mut signals = signals;
        signals.next().await;
        let _ = stop.send(());
        signals.next().await;
    };
    let running = server.run(async {
        let _ = stopped.await;
    });
    tokio::select! {
        ended = running => match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error, 1),
        },
        () = watching => complain(&"stopped at once by a second signal", 1),
    }
}

/// One line on standard error.
fn complain(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "capauth-service: {error}");
    ExitCode::from(code)
}

/// The signals that end the program.
#[cfg(unix)]
struct Signals(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
