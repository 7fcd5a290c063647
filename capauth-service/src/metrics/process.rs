//! What the system says of this process, under the names that all programs use for it.

use std::time::{Duration, SystemTime};

use metrics::{Unit, describe_gauge, gauge};

/// Notes what stays the same.
pub(super) fn begin() {
    describe_gauge!("process_start_time_seconds", Unit::Seconds, "When the service started, in Unix time");
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Memory that the process holds");
    describe_gauge!("process_open_fds", "Files and connections that the process has open");
    describe_gauge!("process_max_fds", "Files and connections that the process may have open");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    gauge!("process_start_time_seconds").set(now.as_secs_f64());
}

/// Reads the rest anew. Where the system does not say, nothing is shown.
pub(super) fn look() {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    if let Some(kibibytes) = number(&read("status"), "VmRSS:") {
        gauge!("process_resident_memory_bytes").set(kibibytes * 1024.0);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is this look.
        let open = u32::try_from(open.count().saturating_sub(1)).unwrap_or(u32::MAX);
        gauge!("process_open_fds").set(open);
    }
    if let Some(most) = number(&read("limits"), "Max open files") {
        gauge!("process_max_fds").set(most);
    }
}

/// The first number in the line that begins so.
fn number(text: &str, beginning: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(beginning))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_the_system_writes() {
        let status = "Name:\tcapauth-service\nVmPeak:\t   90000 kB\nVmRSS:\t   20480 kB\n";
        assert_eq!(number(status, "VmRSS:"), Some(20480.0));
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(number(limits, "Max open files"), Some(1024.0));
        assert_eq!(number("", "VmRSS:"), None);
        assert_eq!(number("Max open files            unlimited", "Max open files"), None);
    }
}
