//! The `process_*` metrics, read from /proc as Prometheus client libraries do.
//!
//! Called once per scrape. Cost: three small reads. A figure that cannot be read is left out.

use std::fs;

use prometheus::proto::MetricFamily;
use rustix::process::{Resource, getrlimit};

use super::metrics::{counter, gauge};

/// What one scrape read.
#[derive(Debug, Default, PartialEq)]
struct Figures {
    cpu_seconds: f64,
    start_seconds: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
    threads: f64,
}

/// The families, those that could be read.
pub(super) fn collect() -> Vec<MetricFamily> {
    let mut families = Vec::new();
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // The listing itself holds one descriptor open.
        let open = entries.count().saturating_sub(1);
        let help = "Number of open file descriptors.";
        families.push(gauge("process_open_fds", help, open as f64));
    }
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        let help = "Maximum number of open file descriptors.";
        families.push(gauge("process_max_fds", help, limit as f64));
    }
    let Some(read) = read_figures() else {
        return families;
    };
    families.extend([
        counter(
            "process_cpu_seconds_total",
            "Total user and system CPU time spent in seconds.",
            read.cpu_seconds,
        ),
        gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            read.start_seconds,
        ),
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory size in bytes.",
            read.virtual_bytes,
        ),
        gauge(
            "process_resident_memory_bytes",
            "Resident memory size in bytes.",
            read.resident_bytes,
        ),
        gauge(
            "process_threads",
            "Number of OS threads in the process.",
            read.threads,
        ),
    ]);
    families
}

fn read_figures() -> Option<Figures> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    parse(&stat, &boot, ticks, rustix::param::page_size() as f64)
}

/// Reads proc(5) `/proc/PID/stat`; fields are counted after the command's closing parenthesis,
/// because a command may hold spaces.
fn parse(stat: &str, boot: &str, ticks: f64, page: f64) -> Option<Figures> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // Field 3 of the manual page is the first here.
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let booted: f64 = boot
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    Some(Figures {
        cpu_seconds: (field(14)? + field(15)?) / ticks,
        start_seconds: booted + field(22)? / ticks,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page,
        threads: field(20)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_past_a_command_with_spaces_and_parentheses() {
        let stat = "42 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 7 18 2000 4096 3 21";
        let read = parse(stat, "cpu 1 2\nbtime 1000\n", 100.0, 4096.0).unwrap();
        assert_eq!(
            read,
            Figures {
                cpu_seconds: 2.0,
                start_seconds: 1020.0,
                virtual_bytes: 4096.0,
                resident_bytes: 12288.0,
                threads: 7.0,
            }
        );
        assert!(parse("42 (a", "btime 1", 100.0, 1.0).is_none());
        assert!(parse("42 (a) S 1", "btime 1", 100.0, 1.0).is_none());
    }

    #[test]
    fn this_process_can_be_read() {
        let families = collect();
        assert_eq!(families.len(), 7);
    }
}
