//! What stands in the log, as Rocket's own logger would get it.

use std::sync::{Mutex, Once};

use log::{LevelFilter, Log, Metadata, Record};

struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));
static INSTALLED: Once = Once::new();

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

/// Begins to listen, in place of Rocket's logger: before the first Rocket of a process is built.
pub(crate) fn listen() {
    INSTALLED.call_once(|| {
        log::set_logger(&LINES).unwrap();
        log::set_max_level(LevelFilter::Warn);
    });
}

/// How many lines hold this text so far.
pub(crate) fn count(text: &str) -> usize {
    LINES.0.lock().unwrap().iter().filter(|line| line.contains(text)).count()
}
