//! What the operating system says about this process: memory, processor time, files, threads.
//!
//! Read from /proc at each scrape; elsewhere than on Linux the series are absent. Cost: about 50 µs.
//! Source: proc_pid_status(5), proc_pid_stat(5).

use std::sync::Arc;

use super::desc;
use super::registry::Registry;
use crate::memory::{Budget, InFlight};
use crate::time::Clock;

/// The kernel reports times in this unit on every architecture that Rust's std supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// Resident memory of this process in bytes, or `None` where /proc has none.
#[must_use]
pub fn rss_bytes() -> Option<u64> {
    // A tenth of the cost of /proc/self/status.
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// Shows the process's own series at each scrape, from now on.
pub fn observe(registry: &Registry, clock: Arc<dyn Clock>) {
    let started = clock.monotonic();
    registry.gauge(&desc::BUILD_INFO, &[env!("CARGO_PKG_VERSION")]).set(1.0);
    registry.collect(move |out| {
        let uptime = clock.monotonic().saturating_sub(started);
        out.family(&desc::PROCESS_UPTIME).value(&[], uptime.as_secs_f64());
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(kib) = status_field(&status, "VmRSS:") {
            out.family(&desc::PROCESS_MEMORY_RSS).value(&[], level(kib << 10));
        }
        if let Some(threads) = status_field(&status, "Threads:") {
            out.family(&desc::PROCESS_THREADS).value(&[], level(threads));
        }
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(ticks) = cpu_ticks(&stat) {
            out.family(&desc::PROCESS_CPU_SECONDS).value(&[], level(ticks) / TICKS_PER_SECOND);
        }
        if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
            // One of them is the directory being read.
            let open = files.count().saturating_sub(1);
            out.family(&desc::PROCESS_OPEN_FDS).value(&[], level(open as u64));
        }
    });
}

/// Shows the memory ceiling and what requests hold of it.
pub fn observe_memory(registry: &Registry, budget: &Budget, in_flight: &InFlight) {
    registry.gauge(&desc::MEMORY_LIMIT_BYTES, &[]).set(level(budget.total as u64));
    let held = in_flight.clone();
    registry.observe(&desc::MEMORY_IN_FLIGHT_BYTES, &[], move || level(held.used() as u64));
    let held = in_flight.clone();
    registry.observe(&desc::MEMORY_IN_FLIGHT_LIMIT_BYTES, &[], move || level(held.limit() as u64));
}

#[expect(clippy::cast_precision_loss, reason = "a display value below 2^53")]
fn level(count: u64) -> f64 {
    count as f64
}

/// The number after `name` in /proc/self/status.
fn status_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// User and system ticks. The command name, in parentheses, may hold spaces and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::desc::Desc;
    use super::super::exposition::{Exposition, Format};
    use super::super::registry::Value;
    use super::*;
    use crate::time::SystemClock;

    #[test]
    fn proc_is_read_even_with_a_hostile_command_name() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 5 6 20 0 3 0 99";
        assert_eq!(cpu_ticks(stat), Some(200));
        assert_eq!(cpu_ticks("7 (x) S 1"), None);
        let status = "Name:\tx\nVmRSS:\t    1024 kB\nThreads:\t3\n";
        assert_eq!(status_field(status, "VmRSS:"), Some(1024));
        assert_eq!(status_field(status, "VmSwap:"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_shows_its_own_series() {
        let registry = Registry::default();
        observe(&registry, Arc::new(SystemClock::new()));
        let mut out = Exposition::new(Format::OpenMetrics);
        registry.write(&mut out);
        let text = out.finish();
        for name in ["memory_rss ", "cpu_seconds_total ", "uptime_total "] {
            assert!(text.contains(&format!("\notelcol_process_{name}")), "{name} in {text}");
        }
        assert!(rss_bytes().unwrap() > 1 << 20);
    }

    #[test]
    fn the_ceiling_and_what_is_held_are_shown() {
        let registry = Registry::default();
        let budget = Budget::split(128 << 20);
        let in_flight = InFlight::new(budget.in_flight);
        observe_memory(&registry, &budget, &in_flight);
        let mut held = in_flight.reserve_none();
        held.grow(4_096).unwrap();
        let level = |desc: &Desc| registry.family(desc.name).unwrap().1[0].1;
        assert_eq!(level(&desc::MEMORY_IN_FLIGHT_BYTES), Value::Level(4_096.0));
        assert_eq!(level(&desc::MEMORY_LIMIT_BYTES), Value::Level(134_217_728.0));
    }
}
