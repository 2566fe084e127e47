//! What the process itself uses: processor time, memory, threads, open files, and how long it has run.
//!
//! Read from `/proc/self` every second on the thread of [`observe`](crate::observe); where there is none, nothing is told and
//! nothing is wrong. Cost: three small files and a listing of open files a second.
//! Source: OpenTelemetry semantic conventions 1.44, process metrics; proc(5).

use std::fs::{read_dir, read_to_string};
use std::sync::{Arc, OnceLock, Weak};

use opentelemetry::KeyValue;

use crate::names;
use crate::observe::{self, Observed, Seen};

/// Ticks of processor time: what Linux tells programs on all machines that this is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// Tells of the process from here on; once.
pub(crate) fn start() {
    static PROCESS: OnceLock<Arc<Process>> = OnceLock::new();
    PROCESS.get_or_init(|| {
        let process = Arc::new(Process);
        let observed: Weak<Process> = Arc::downgrade(&process);
        observe::register(observed);
        process
    });
}

struct Process;

impl Observed for Process {
    fn observe(&self, seen: &mut Seen) {
        let read = |path: &str| read_to_string(path).unwrap_or_default();
        let Some(used) = Used::parse(&read("/proc/self/stat"), &read("/proc/self/status")) else {
            return;
        };
        for (mode, seconds) in [("system", used.system), ("user", used.user)] {
            seen.push(&names::PROCESS_CPU_TIME, &[KeyValue::new("cpu.mode", mode)], seconds);
        }
        seen.push(&names::PROCESS_MEMORY_VIRTUAL, &[], used.virtual_bytes);
        seen.push(&names::PROCESS_THREADS, &[], used.threads);
        if let Some(resident) = used.resident_bytes {
            seen.push(&names::PROCESS_MEMORY_USAGE, &[], resident);
        }
        if let Some(uptime) = uptime(&read("/proc/uptime"), used.started) {
            seen.push(&names::PROCESS_UPTIME, &[], uptime);
        }
        if let Ok(files) = read_dir("/proc/self/fd") {
            // The listing is one itself.
            seen.push(&names::PROCESS_FILES, &[], files.count().saturating_sub(1) as f64);
        }
    }
}

/// What a process has used.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Used {
    /// Processor time in seconds.
    user: f64,
    system: f64,
    threads: f64,
    /// In seconds since the machine's start.
    started: f64,
    virtual_bytes: f64,
    resident_bytes: Option<f64>,
}

impl Used {
    /// Of `/proc/self/stat` and `/proc/self/status`.
    fn parse(stat: &str, status: &str) -> Option<Self> {
        // The name of the program, in parentheses, may have any characters.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // As proc(5) numbers them; the state after the name is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident =
            resident.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        Some(Self {
            user: field(14)? / TICKS_PER_SECOND,
            system: field(15)? / TICKS_PER_SECOND,
            threads: field(20)?,
            started: field(22)? / TICKS_PER_SECOND,
            virtual_bytes: field(23)?,
            resident_bytes: resident.map(|kibibytes| kibibytes * 1024.0),
        })
    }
}

/// How long something has run that `started` so many seconds after the machine. Containers may be told another time.
fn uptime(machine: &str, started: f64) -> Option<f64> {
    let machine: f64 = machine.split_ascii_whitespace().next()?.parse().ok()?;
    Some(machine - started).filter(|seconds| *seconds >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_an_odd_name_is_read() {
        let stat = "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 7 0 20000 \
                    1073741824 6000 18446744073709551615 1 1 0";
        let used = Used::parse(stat, "Name:\ta\nVmRSS:\t   24000 kB\n").unwrap();
        assert_eq!((used.user, used.system, used.threads), (1.5, 0.5, 7.0));
        assert_eq!((used.virtual_bytes, used.resident_bytes), (1073741824.0, Some(24_576_000.0)));
        assert_eq!(uptime("500.25 900.00\n", used.started), Some(300.25));
        assert_eq!(uptime("100.25 900.00\n", used.started), None, "a container's own time");
        assert_eq!(uptime("", 0.0), None);
        assert_eq!(Used::parse("", ""), None);
        assert_eq!(Used::parse("1 (a) S 1", ""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_tells_what_it_uses() {
        let captured = crate::captured::capture();
        start();
        start();
        let of = |series: &str| captured.value(&format!("process.{series}"));
        assert!(of("cpu.time{cpu.mode=user}") + of("cpu.time{cpu.mode=system}") > 0.0);
        assert!(of("memory.usage{}") > 1e6 && of("memory.virtual{}") > of("memory.usage{}"));
        assert!(of("thread.count{}") >= 2.0 && of("unix.file_descriptor.count{}") >= 3.0);
        assert!(of("uptime{}") >= 0.0);
    }
}
