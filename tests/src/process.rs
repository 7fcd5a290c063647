//! What the system says about a process.

use std::collections::HashMap;
use std::fs;

/// The memory that a process holds, in bytes.
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the process has memory");
    let kilobytes: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number of kB");
    kilobytes * 1024
}

/// The processor time that a process uses from now on, by the scheduler's own count.
///
/// A thread that ends takes its time with it: for servers, whose threads stay.
#[derive(Debug)]
pub struct CpuTime {
    pid: u32,
    before: HashMap<String, u64>,
}

impl CpuTime {
    /// Begins to count.
    pub fn of(pid: u32) -> Self {
        Self { pid, before: nanoseconds_by_thread(pid) }
    }

    /// Microseconds since the count began.
    pub fn microseconds(&self) -> f64 {
        let now = nanoseconds_by_thread(self.pid);
        let spent = now.iter().map(|(thread, time)| time - self.before.get(thread).unwrap_or(&0));
        spent.sum::<u64>() as f64 / 1000.0
    }
}

fn nanoseconds_by_thread(pid: u32) -> HashMap<String, u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs").flatten();
    let times = threads.filter_map(|thread| {
        // It may end between the listing and the reading.
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let time = text.split_whitespace().next()?.parse().ok()?;
        Some((thread.file_name().to_string_lossy().into_owned(), time))
    });
    times.collect()
}
