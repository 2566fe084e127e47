use std::path::Path;

use expect_test::{Expect, expect};

use super::*;
use crate::signal::samples::Value;

/// A directory with the files of a kernel in it.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let of = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(path, text)| of.put(path, text));
        of
    }

    fn put(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn root(&self) -> Root {
        Root::at(self.0.path(), |place| (place == Path::new("/")).then_some((1_000, 250)))
    }
}

const STAT: &str =
    "cpu  100 10 40 800 50 0 0 0 0 0\ncpu0 50 5 20 400 25 0 0 0\ncpu1 50 5 20 400 25 0 0 0\n";
const LATER: &str = "cpu  130 10 60 850 50 0 0 0 0 0\ncpu0 1 1\ncpu1 1 1\n";
const MEMINFO: &str =
    "MemTotal: 1000 kB\nMemFree: 200 kB\nMemAvailable: 600 kB\nBuffers: 50 kB\nCached: 300 kB\n";
const SELF: &str = "7 (a) b) S 1 1 1 0 -1 4194560 1 0 0 0 200 100 0 0 20 0 9 0 1 1 250 1 1";

fn host() -> Files {
    Files::new(&[
        ("proc/sys/kernel/hostname", "node-1\n"),
        ("proc/stat", STAT),
        ("proc/meminfo", MEMINFO),
        ("proc/self/stat", SELF),
        ("proc/self/fd/0", ""),
        ("proc/self/fd/1", ""),
        ("proc/self/cgroup", "0::/\n"),
        (
            "proc/self/mounts",
            "/dev/sda1 / ext4 rw 0 0\n/dev/sda1 /etc/hosts ext4 rw 0 0\nproc /proc proc rw 0 0\n\
             nas:/x /mnt nfs rw 0 0\n/dev/sdb1 /gone\\040away xfs rw 0 0\n",
        ),
        (
            "proc/diskstats",
            "8 0 sda 10 0 80 5 20 0 160 5 0 5 10\n8 1 sda1 9 0 70 5 19 0 150 5 0 5 10\n7 0 loop0 1 0 2 0 0 0 0 0\n",
        ),
        (
            "proc/net/dev",
            "Inter-| Receive | Transmit\n face |bytes packets\n    lo: 5 5 0 0 0 0 0 0 5 5 0 0 0 0 0 0\n  \
             eth0: 1000 10 1 0 0 0 0 0 2000 20 2 0 0 0 0 0\n \
             veth1a2b@if5: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n",
        ),
    ])
}

/// The samples of the second of two readings, 5 s apart, of names that begin so.
fn second(files: &Files, between: impl FnOnce(&Files), names: &str) -> String {
    let mut measured = Measured::default();
    drop(measured.take(&files.root().read(), 1_000));
    between(files);
    let samples = measured.take(&files.root().read(), 6_000);
    let mut lines = Vec::new();
    for sample in samples.0 {
        assert_eq!(sample.t_ms, 6_000);
        let Value::Float(value) = sample.value else { panic!("{sample:?}") };
        let get = |name: &str| sample.labels.get(name).to_owned();
        assert_eq!((&*get("job"), &*get("service_name")), ("sidelight", "sidelight"));
        let hidden = ["__name__", "job", "instance", "service_name"];
        let labels = sample.labels.iter().filter(|label| !hidden.contains(&&*label.name));
        let labels: Vec<_> =
            labels.map(|label| format!("{}={}", label.name, label.value)).collect();
        let line = format!("{}{{{}}} {value}", get("__name__"), labels.join(","));
        lines.extend(line.starts_with(names).then_some(line));
    }
    lines.join("\n")
}

fn check(files: &Files, between: impl FnOnce(&Files), names: &str, expected: &Expect) {
    expected.assert_eq(&second(files, between, names));
}

#[test]
fn a_machine_without_limits_shows_what_the_machine_uses() {
    let files = host();
    let later = |files: &Files| files.put("proc/stat", LATER);
    check(&files, later, "system_cpu_u", &expect!["system_cpu_utilization_ratio{} 0.5"]);
    check(
        &files,
        |_| {},
        "system_memory",
        &expect![[r#"
            system_memory_usage_bytes{system_memory_state=used} 409600
            system_memory_usage_bytes{system_memory_state=free} 204800
            system_memory_usage_bytes{system_memory_state=buffers} 51200
            system_memory_usage_bytes{system_memory_state=cached} 307200
            system_memory_limit_bytes{} 1024000
            system_memory_utilization_ratio{system_memory_state=used} 0.4"#]],
    );
    check(
        &files,
        |_| {},
        "system_f",
        &expect![[r#"
            system_filesystem_usage_bytes{system_device=/dev/sda1,system_filesystem_mountpoint=/,system_filesystem_state=used,system_filesystem_type=ext4} 750
            system_filesystem_usage_bytes{system_device=/dev/sda1,system_filesystem_mountpoint=/,system_filesystem_state=free,system_filesystem_type=ext4} 250
            system_filesystem_utilization_ratio{system_device=/dev/sda1,system_filesystem_mountpoint=/,system_filesystem_state=used,system_filesystem_type=ext4} 0.75"#]],
    );
    check(
        &files,
        |_| {},
        "system_disk",
        &expect![[r#"
            system_disk_io_bytes_total{disk_io_direction=read,system_device=sda} 40960
            system_disk_operations_total{disk_io_direction=read,system_device=sda} 10
            system_disk_io_bytes_total{disk_io_direction=write,system_device=sda} 81920
            system_disk_operations_total{disk_io_direction=write,system_device=sda} 20"#]],
    );
    check(
        &files,
        |_| {},
        "system_network_io",
        &expect![[r#"
            system_network_io_bytes_total{network_interface_name=eth0,network_io_direction=receive} 1000
            system_network_io_bytes_total{network_interface_name=eth0,network_io_direction=transmit} 2000"#]],
    );
}

#[test]
fn the_agent_shows_its_own_use() {
    let files = host();
    let later = |files: &Files| files.put("proc/self/stat", SELF.replace(" 200 100 ", " 400 200 "));
    check(
        &files,
        later,
        "process_",
        &expect![[r#"
            process_cpu_time_seconds_total{cpu_mode=user} 4
            process_cpu_time_seconds_total{cpu_mode=system} 2
            process_memory_usage_bytes{} 1024000
            process_thread_count{} 9
            process_unix_file_descriptor_count{} 1
            process_cpu_utilization_ratio{} 0.3"#]],
    );
}

#[test]
fn in_a_container_utilization_is_against_its_limits() {
    // v2: the least of a group and those above it holds.
    let files = host();
    files.put("proc/self/cgroup", "0::/kubepods/pod1/box\n");
    let group = "sys/fs/cgroup/kubepods/pod1";
    files.put(&format!("{group}/box/cpu.max"), "max 100000\n");
    files.put(&format!("{group}/cpu.max"), "50000 100000\n");
    files.put(&format!("{group}/box/cpu.stat"), "usage_usec 1000000\nuser_usec 1\n");
    files.put(&format!("{group}/box/memory.max"), "512000\n");
    files.put(&format!("{group}/memory.max"), "max\n");
    files.put(&format!("{group}/box/memory.current"), "400000\n");
    files.put(&format!("{group}/box/memory.stat"), "anon 1\ninactive_file 144000\n");
    let later = |files: &Files| {
        files.put(&format!("{group}/box/cpu.stat"), "usage_usec 2000000\n");
    };
    let expected = expect!["system_cpu_utilization_ratio{} 0.4"];
    check(&files, later, "system_cpu_u", &expected);
    let expected = expect![[r#"
        system_memory_limit_bytes{} 512000
        system_memory_utilization_ratio{system_memory_state=used} 0.5"#]];
    let found = second(&files, |_| {}, "system_memory");
    expected.assert_eq(found.split_once("cached} 307200\n").unwrap().1);

    // A slice with a limit that others share: the kernel kills by what all of them use.
    files.put(&format!("{group}/memory.max"), "500000\n");
    files.put(&format!("{group}/memory.current"), "450000\n");
    files.put(&format!("{group}/cpu.stat"), "usage_usec 5000000\n");
    let later = |files: &Files| files.put(&format!("{group}/cpu.stat"), "usage_usec 7500000\n");
    let expected = expect!["system_cpu_utilization_ratio{} 1"];
    check(&files, later, "system_cpu_u", &expected);
    let expected = expect!["system_memory_utilization_ratio{system_memory_state=used} 0.9"];
    check(&files, |_| {}, "system_memory_utilization", &expected);

    // v1: the path is the host's, the files are at the root of what is mounted.
    let files = host();
    files.put("proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n");
    files.put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "25000\n");
    files.put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    files.put("sys/fs/cgroup/cpuacct/cpuacct.usage", "0\n");
    files.put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    files.put("sys/fs/cgroup/memory/memory.usage_in_bytes", "4096\n");
    let later = |files: &Files| files.put("sys/fs/cgroup/cpuacct/cpuacct.usage", "250000000\n");
    let expected = expect!["system_cpu_utilization_ratio{} 0.2"];
    check(&files, later, "system_cpu_u", &expected);
    // A limit that is none leaves the machine's.
    let expected = expect!["system_memory_limit_bytes{} 1024000"];
    check(&files, |_| {}, "system_memory_l", &expected);
}

#[test]
fn a_source_that_cannot_be_read_says_so_and_the_others_go_on() {
    let expected = expect![[r#"
        sidelight_host_metrics_available{source=cpu} 0
        sidelight_host_metrics_available{source=memory} 1
        sidelight_host_metrics_available{source=cgroup} 0
        sidelight_host_metrics_available{source=filesystem} 0
        sidelight_host_metrics_available{source=disk} 0
        sidelight_host_metrics_available{source=network} 0
        sidelight_host_metrics_available{source=process} 0"#]];
    let files = Files::new(&[("proc/meminfo", MEMINFO)]);
    check(&files, |_| {}, "sidelight_", &expected);
    assert!(second(&files, |_| {}, "system_memory_u").contains("0.4"));
}

#[test]
fn a_counter_that_began_anew_gives_no_ratio_and_a_clock_that_went_back_none_either() {
    let files = host();
    files.put("proc/stat", LATER);
    assert_eq!(second(&files, |files| files.put("proc/stat", STAT), "system_cpu_u"), "");
    let mut measured = Measured::default();
    drop(measured.take(&files.root().read(), 1_000));
    files.put("proc/stat", "cpu  999 10 60 850 50 0 0 0 0 0\n");
    let samples = measured.take(&files.root().read(), 1_000);
    let named = |sample: &crate::signal::Sample| {
        let name = sample.labels.metric_name();
        name.ends_with("utilization_ratio") && name.contains("cpu")
    };
    assert!(!samples.0.iter().any(named));
}

#[test]
fn files_that_say_anything_do_no_harm() {
    let files = host();
    let paths = [
        "proc/stat",
        "proc/meminfo",
        "proc/self/stat",
        "proc/self/cgroup",
        "proc/self/mounts",
        "proc/diskstats",
        "proc/net/dev",
        "sys/fs/cgroup/cpu.max",
        "sys/fs/cgroup/cpu.stat",
        "sys/fs/cgroup/memory.max",
    ];
    let huge = "9".repeat(400);
    let texts = [
        "",
        "\0\u{fffd}",
        "cpu  ",
        "cpu  -1 nan inf 1e999 x",
        "MemTotal: -1 kB",
        "MemTotal: 0 kB\nMemFree: 0 kB\nCached: 0 kB",
        ")",
        "7 (x) S",
        "0::/../../..",
        "::\n:::::",
        "a\\04 \\777 ext4",
        "0 0",
        "x:",
        "eth0: 1 2 3",
        "8 0 sda",
        &huge,
        "cpu  99999999999999999999999 9 9 9",
    ];
    let mut rng = fastrand::Rng::with_seed(1);
    for path in paths {
        let whole = std::fs::read(files.0.path().join(path)).unwrap_or_default();
        for text in texts {
            files.put(path, text);
            drop(second(&files, |_| {}, ""));
        }
        for _ in 0..50 {
            let mut bytes = whole.clone();
            bytes.iter_mut().for_each(|byte| {
                if rng.u8(..8) == 0 {
                    *byte = rng.u8(..);
                }
            });
            bytes.truncate(rng.usize(..=bytes.len()));
            files.put(path, &bytes);
            drop(second(&files, |_| {}, ""));
        }
        files.put(path, &whole);
    }
}

#[test]
fn this_machine_can_be_read() {
    let reading = Root::of_this_machine().read();
    let samples = Measured::default().take(&reading, 1);
    assert!(samples.0.len() > 7, "{samples:?}");
}
