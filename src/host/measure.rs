//! [`Measured`]: readings to samples, names and units as OTLP metrics of the same meaning have them in the store.
//!
//! Pure: time is an argument. Ratios of time are over the time between two readings, so the first gives none.

use super::proc::{Cpu, Process};
use super::read::Reading;
use crate::signal::{Sample, Samples};

/// The agent's own `job`, and the name of its service.
const JOB: &str = "sidelight";

/// What the next reading is compared with.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    last: Option<(Reading, i64)>,
}

/// Samples of one reading.
struct Out<'a> {
    instance: &'a str,
    t_ms: i64,
    samples: Vec<Sample>,
}

impl Out<'_> {
    fn put(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let own = [("job", JOB), ("instance", self.instance), ("service_name", JOB)];
        let labels: Vec<_> = own.into_iter().chain(labels.iter().copied()).collect();
        self.samples.push(Sample::float(name, &labels, self.t_ms, value));
    }
}

impl Measured {
    /// The samples of a reading at `t_ms`.
    pub fn take(&mut self, reading: &Reading, t_ms: i64) -> Samples {
        let mut out = Out { instance: &reading.host_name, t_ms, samples: Vec::new() };
        let before = self.last.as_ref().filter(|(_, at)| *at < t_ms);
        available(&mut out, reading);
        cpu(&mut out, reading, before);
        memory(&mut out, reading);
        filesystems(&mut out, reading);
        devices(&mut out, reading);
        process(&mut out, reading, before);
        let samples = Samples(out.samples);
        self.last = Some((reading.clone(), t_ms));
        samples
    }
}

fn available(out: &mut Out<'_>, of: &Reading) {
    let sources = [
        ("cpu", of.cpu.is_some()),
        ("memory", of.memory.is_some()),
        ("cgroup", of.cgroup.is_some()),
        ("filesystem", of.mounts.is_some()),
        ("disk", of.disks.is_some()),
        ("network", of.interfaces.is_some()),
        ("process", of.process.is_some()),
    ];
    for (source, is) in sources {
        let value = if is { 1.0 } else { 0.0 };
        out.put("sidelight_host_metrics_available", &[("source", source)], value);
    }
}

/// Of the container where it has a limit, of the machine otherwise.
fn cpu(out: &mut Out<'_>, of: &Reading, before: Option<&(Reading, i64)>) {
    if let Some(cpu) = &of.cpu {
        for (mode, seconds) in Cpu::MODES.into_iter().zip(cpu.seconds) {
            out.put("system_cpu_time_seconds_total", &[("cpu_mode", mode)], seconds);
        }
        out.put("system_cpu_logical_count", &[], count(cpu.count));
    }
    let Some((last, at)) = before else { return };
    let elapsed = seconds(out.t_ms - at);
    let contained = || {
        let (now, last) = (of.cgroup?, last.cgroup?);
        let used = now.cpu_seconds? - last.cpu_seconds?;
        ratio(used, now.cpu_limit? * elapsed)
    };
    let machine = || {
        let (now, last) = (of.cpu.as_ref()?, last.cpu.as_ref()?);
        ratio(now.busy() - last.busy(), now.all() - last.all())
    };
    if let Some(used) = contained().or_else(machine) {
        out.put("system_cpu_utilization_ratio", &[], used);
    }
}

fn memory(out: &mut Out<'_>, of: &Reading) {
    let used = |label| [("system_memory_state", label)];
    if let Some(memory) = of.memory {
        let taken = memory.total.saturating_sub(memory.available);
        for (state, bytes) in [
            ("used", taken),
            ("free", memory.free),
            ("buffers", memory.buffers),
            ("cached", memory.cached),
        ] {
            out.put("system_memory_usage_bytes", &used(state), count(bytes));
        }
    }
    let contained = of.cgroup.and_then(|of| Some((of.memory_used?, of.memory_limit?)));
    let machine =
        of.memory.map(|memory| (memory.total.saturating_sub(memory.available), memory.total));
    // A limit above what the machine has is none.
    let contained = contained.filter(|(_, limit)| machine.is_none_or(|(_, total)| *limit <= total));
    let Some((taken, limit)) = contained.or(machine) else { return };
    out.put("system_memory_limit_bytes", &[], count(limit));
    if let Some(ratio) = ratio(count(taken), count(limit)) {
        out.put("system_memory_utilization_ratio", &used("used"), ratio);
    }
}

fn filesystems(out: &mut Out<'_>, of: &Reading) {
    for mount in of.mounts.iter().flatten() {
        let place = |state| {
            [
                ("system_device", &*mount.device),
                ("system_filesystem_mountpoint", &*mount.place),
                ("system_filesystem_type", &*mount.kind),
                ("system_filesystem_state", state),
            ]
        };
        let used = mount.total.saturating_sub(mount.free);
        out.put("system_filesystem_usage_bytes", &place("used"), count(used));
        out.put("system_filesystem_usage_bytes", &place("free"), count(mount.free));
        if let Some(ratio) = ratio(count(used), count(mount.total)) {
            out.put("system_filesystem_utilization_ratio", &place("used"), ratio);
        }
    }
}

fn devices(out: &mut Out<'_>, of: &Reading) {
    for disk in of.disks.iter().flatten() {
        let rows =
            [("read", disk.read_bytes, disk.reads), ("write", disk.written_bytes, disk.writes)];
        for (direction, bytes, operations) in rows {
            let labels = [("system_device", &*disk.device), ("disk_io_direction", direction)];
            out.put("system_disk_io_bytes_total", &labels, count(bytes));
            out.put("system_disk_operations_total", &labels, count(operations));
        }
    }
    for of in of.interfaces.iter().flatten() {
        let rows = [
            ("receive", of.received_bytes, of.received_packets, of.receive_errors),
            ("transmit", of.sent_bytes, of.sent_packets, of.send_errors),
        ];
        for (direction, bytes, packets, errors) in rows {
            let labels =
                [("network_interface_name", &*of.name), ("network_io_direction", direction)];
            out.put("system_network_io_bytes_total", &labels, count(bytes));
            out.put("system_network_packet_count_total", &labels, count(packets));
            out.put("system_network_errors_total", &labels, count(errors));
        }
    }
}

/// The agent itself.
fn process(out: &mut Out<'_>, of: &Reading, before: Option<&(Reading, i64)>) {
    let Some(process) = of.process else { return };
    let modes = [("user", process.user_seconds), ("system", process.system_seconds)];
    for (mode, seconds) in modes {
        out.put("process_cpu_time_seconds_total", &[("cpu_mode", mode)], seconds);
    }
    out.put("process_memory_usage_bytes", &[], count(process.rss_bytes));
    out.put("process_thread_count", &[], count(process.threads));
    if let Some(files) = process.files {
        out.put("process_unix_file_descriptor_count", &[], count(files));
    }
    let total = |of: Process| of.user_seconds + of.system_seconds;
    let used = before.and_then(|(last, at)| {
        let processors = of.cgroup.and_then(|of| of.cpu_limit);
        let processors = processors.or(of.cpu.as_ref().map(|cpu| count(cpu.count.max(1))))?;
        ratio(total(process) - total(last.process?), seconds(out.t_ms - at) * processors)
    });
    if let Some(used) = used {
        out.put("process_cpu_utilization_ratio", &[], used);
    }
}

/// A share of a whole. A counter that began anew gives none; what is a little above all of it is all of it.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    let ratio = part / whole;
    (part >= 0.0 && whole > 0.0 && ratio.is_finite()).then(|| ratio.min(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "a sample is an f64")]
const fn count(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "a few seconds")]
const fn seconds(ms: i64) -> f64 {
    ms as f64 / 1e3
}
