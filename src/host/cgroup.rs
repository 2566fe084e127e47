//! The limits of the container, and what it uses of them: cgroups v2, and v1 where those are not.
//!
//! A limit may stand at the process's own group or at any above it; the least holds. Inside a container the path of
//! /proc/self/cgroup is often one of the host, so the root of the hierarchy is looked at as well.
//! Source: cgroups(7), kernel documentation "cgroup-v2" and "cgroup-v1/cpuacct, memory".

/// What a container may use and does; `None` without a limit or when it cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Cgroup {
    /// Processors, not always a whole number.
    pub(super) cpu_limit: Option<f64>,
    /// Processor time since the group was made.
    pub(super) cpu_seconds: Option<f64>,
    pub(super) memory_limit: Option<u64>,
    /// Without what the kernel gives back when it needs room.
    pub(super) memory_used: Option<u64>,
}

/// Limits beyond it say that there is none: v1 has no word for that.
const MEMORY_UNLIMITED: u64 = 1 << 60;
/// Groups looked at from the process's own upwards.
const DEPTH_MAX: usize = 16;

type Text<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Cgroup {
    /// `lines` are those of /proc/self/cgroup.
    pub(super) fn read(lines: &str, text: Text<'_>) -> Option<Self> {
        let group = |wanted: &str| {
            lines.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':');
                let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
                let found = controllers.split(',').any(|name| name == wanted);
                found.then(|| ancestors(path))
            })
        };
        let second = group("").and_then(|paths| Self::second(&paths, text));
        second.or_else(|| Self::first(&group, text))
    }

    fn second(paths: &[String], text: Text<'_>) -> Option<Self> {
        let at = |path: &str, file: &str| text(&format!("sys/fs/cgroup{path}/{file}"));
        let each = |file: &'static str| paths.iter().filter_map(move |path| at(path, file));
        // Without a controller its files are missing, but for this one.
        let stat = each("cpu.stat").next()?;
        let limits = each("cpu.max").filter_map(|max| {
            let mut words = max.split_ascii_whitespace();
            let (quota, period): (f64, f64) =
                (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            quotient(quota, period)
        });
        let micros = field(&stat, "usage_usec");
        let current = each("memory.current").next().and_then(|text| text.trim().parse().ok());
        let idle = each("memory.stat").next().and_then(|stat| field(&stat, "inactive_file"));
        let limit = each("memory.max").filter_map(|max| max.trim().parse::<u64>().ok()).min();
        Some(Self {
            cpu_limit: limits.reduce(f64::min),
            cpu_seconds: micros.map(|micros| precise(micros) / 1e6),
            memory_limit: limit.filter(|limit| *limit < MEMORY_UNLIMITED),
            memory_used: used(current, idle),
        })
    }

    fn first(group: &dyn Fn(&str) -> Option<Vec<String>>, text: Text<'_>) -> Option<Self> {
        let (cpu, usage, memory) = (group("cpu"), group("cpuacct"), group("memory"));
        let each = |paths: &Option<Vec<String>>, controllers: &[&str], file: &str| {
            let paths = paths.as_deref().unwrap_or_default().iter();
            let found = paths.flat_map(|path| {
                let at = move |name| text(&format!("sys/fs/cgroup/{name}{path}/{file}"));
                controllers.iter().filter_map(at)
            });
            found.collect::<Vec<_>>()
        };
        let cpus = ["cpu", "cpu,cpuacct"];
        let number = |text: &String| text.trim().parse::<f64>().ok();
        let quotas = each(&cpu, &cpus, "cpu.cfs_quota_us");
        let periods = each(&cpu, &cpus, "cpu.cfs_period_us");
        let limits = quotas.iter().zip(&periods);
        let limits = limits.filter_map(|(quota, period)| quotient(number(quota)?, number(period)?));
        let nanos = each(&usage, &["cpuacct", "cpu,cpuacct"], "cpuacct.usage");
        let bytes = |file: &str| {
            each(&memory, &["memory"], file)
                .into_iter()
                .filter_map(|t| t.trim().parse::<u64>().ok())
        };
        let stat = each(&memory, &["memory"], "memory.stat");
        let idle = stat.first().and_then(|stat| field(stat, "total_inactive_file"));
        let cgroup = Self {
            cpu_limit: limits.reduce(f64::min),
            cpu_seconds: nanos.first().and_then(number).map(|nanos| nanos / 1e9),
            memory_limit: bytes("memory.limit_in_bytes")
                .min()
                .filter(|max| *max < MEMORY_UNLIMITED),
            memory_used: used(bytes("memory.usage_in_bytes").next(), idle),
        };
        (cgroup != Self::default()).then_some(cgroup)
    }
}

/// The group, those above it, and the root as the empty path.
fn ancestors(path: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut rest = path.trim_end_matches('/');
    // A path that leads elsewhere is the host's business.
    while !rest.is_empty() && paths.len() < DEPTH_MAX && !rest.contains("..") {
        paths.push(rest.to_owned());
        rest = rest.rsplit_once('/').map_or("", |(above, _)| above);
    }
    paths.push(String::new());
    paths
}

fn quotient(quota: f64, period: f64) -> Option<f64> {
    (quota > 0.0 && period > 0.0).then(|| quota / period).filter(|limit| limit.is_finite())
}

fn used(current: Option<u64>, idle: Option<u64>) -> Option<u64> {
    current.map(|current| current.saturating_sub(idle.unwrap_or(0)))
}

/// The number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "a display value below 2^53")]
const fn precise(number: u64) -> f64 {
    number as f64
}
