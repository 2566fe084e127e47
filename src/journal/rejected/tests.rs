//! Rejected records on a real disk, in a temporary directory.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::journal::fs::Roomy;
use crate::journal::{Config, Deps, Journal};
use crate::telemetry::registry::Value;
use crate::telemetry::{Registry, desc};
use crate::time::ManualClock;

fn rejected(seq: u64, size: usize) -> Rejected {
    let (meta, _) = Meta::from_headers([("x-tenant", &b"shop"[..])]);
    let payload = Bytes::from(vec![7; size]);
    let record = Record { signal: Signal::Logs, items: 3, flags: Flags::ALONE, meta, payload };
    let (exporter, status) = ("otlp_grpc/../../etc".into(), "INTERNAL: größer".into());
    Rejected { exporter, status, seq, at: UnixNano(seq), record }
}

fn open(directory: &Path, durability: Durability, registry: &Registry) -> Journal {
    let config = Config { directory: directory.into(), durability, ..Config::default() };
    let (fs, clock) = (Arc::new(Roomy), Arc::new(ManualClock::at(UnixNano(1))));
    let deps = Deps { fs, clock, registry: registry.clone() };
    Journal::open(config, Vec::new(), deps).unwrap().0
}

/// What the gauges show of files and bytes.
fn shown(registry: &Registry) -> (u64, u64) {
    let level = |desc: &crate::telemetry::Desc| match registry.family(desc.name).unwrap().1[..] {
        [(_, Value::Level(level))] => level as u64,
        ref other => panic!("{other:?}"),
    };
    (level(&desc::JOURNAL_REJECTED_FILES), level(&desc::JOURNAL_REJECTED_BYTES))
}

fn count(registry: &Registry, desc: &'static crate::telemetry::Desc) -> u64 {
    registry.counter(desc, &[]).get()
}

#[tokio::test]
async fn a_rejected_record_is_there_whole_after_a_restart_and_named_by_its_sequence_alone() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let journal = open(directory.path(), Durability::Fsync, &registry);
    assert!(journal.rejected().is_empty());
    let (first, second) = (rejected(42, 100), Rejected { at: UnixNano(50), ..rejected(42, 5) });
    journal.keep_rejected(&first);
    journal.keep_rejected(&second);
    let listed = journal.rejected();
    let names: Vec<_> = listed.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["00000000000000000042-0.rejected", "00000000000000000042-1.rejected"]);
    journal.close().await;
    drop(journal);
    let kept = directory.path().join("rejected");
    std::fs::write(kept.join("00000000000000000043-0.tmp"), b"half").unwrap();
    std::fs::write(kept.join("00000000000000000044-0.rejected"), b"not one").unwrap();
    let journal = open(directory.path(), Durability::Fsync, &registry);
    assert_eq!(journal.rejected(), listed);
    // What is there and cannot be read is another's all the same.
    journal.keep_rejected(&rejected(44, 1));
    assert_eq!(journal.rejected().last().unwrap().name, "00000000000000000044-1.rejected");
    assert_eq!(std::fs::read(kept.join("00000000000000000044-0.rejected")).unwrap(), b"not one");
    for (file, was) in listed.iter().zip([first, second]) {
        let path = kept.join(&file.name);
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let bytes = Bytes::from(std::fs::read(&path).unwrap());
        assert_eq!(Rejected::decode(&bytes), Some(was));
        assert_eq!(file.bytes, bytes.len() as u64);
    }
    assert!(!kept.join("00000000000000000043-0.tmp").try_exists().unwrap());
    assert_eq!(count(&registry, &desc::JOURNAL_REJECTED_KEPT), 3);
}

#[tokio::test]
async fn the_oldest_go_when_there_are_too_many_or_too_much() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let journal = open(directory.path(), Durability::Os, &registry);
    for seq in 1..=REJECTED_FILES_MAX as u64 + 5 {
        journal.keep_rejected(&rejected(seq, 1));
    }
    let files = journal.rejected();
    assert_eq!((files.len(), files[0].seq), (REJECTED_FILES_MAX, 6));
    let large = usize::try_from(REJECTED_BYTES_MAX).unwrap() - 1000;
    journal.keep_rejected(&rejected(5000, large));
    let seqs: Vec<_> = journal.rejected().iter().map(|file| file.seq).collect();
    assert_eq!(seqs.last(), Some(&5000));
    assert!(seqs.len() < 10, "{seqs:?}");
    assert_eq!(shown(&registry).0, seqs.len() as u64, "what went to make room counts no more");
    let on_disk = std::fs::read_dir(directory.path().join("rejected")).unwrap().count();
    assert_eq!(on_disk, seqs.len());
    journal.keep_rejected(&rejected(5001, large + 1000));
    assert_eq!(count(&registry, &desc::JOURNAL_REJECTED_NOT_KEPT), 1);
    let kept = REJECTED_FILES_MAX + 6;
    assert_eq!(count(&registry, &desc::JOURNAL_REJECTED_EVICTED), (kept - seqs.len()) as u64);
}

#[tokio::test]
async fn what_people_removed_is_listed_no_more_and_takes_no_room() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let journal = open(directory.path(), Durability::Os, &registry);
    (1..=REJECTED_FILES_MAX as u64).for_each(|seq| journal.keep_rejected(&rejected(seq, 1)));
    let kept = directory.path().join("rejected");
    let remove = |seq: u64| std::fs::remove_file(kept.join(format!("{seq:020}-0.rejected")));
    (500..=600).for_each(|seq| remove(seq).unwrap());
    (2001..=2050).for_each(|seq| journal.keep_rejected(&rejected(seq, 1)));
    assert_eq!(count(&registry, &desc::JOURNAL_REJECTED_EVICTED), 0);
    let listed: Vec<_> = journal.rejected().iter().map(|file| file.seq).collect();
    assert_eq!(listed, (1..500).chain(601..=1000).chain(2001..=2050).collect::<Vec<_>>());
    remove(1).unwrap();
    assert_eq!(journal.rejected()[0].seq, 2);
    std::fs::remove_dir_all(kept).unwrap();
    assert!(journal.rejected().is_empty());
}

/// The counters begin with the process: they said nothing of what waits.
#[tokio::test]
async fn what_waits_is_shown_after_a_kill_and_until_it_is_sent_again_or_removed() {
    let directory = tempfile::tempdir().unwrap();
    let journal = open(directory.path(), Durability::Os, &Registry::default());
    (1..=8).for_each(|seq| journal.keep_rejected(&rejected(seq, 100)));
    journal.close().await;
    drop(journal);
    let registry = Registry::default();
    let journal = open(directory.path(), Durability::Os, &registry);
    let kept = directory.path().join("rejected");
    let size = kept.join("00000000000000000001-0.rejected").metadata().unwrap().len();
    assert_eq!(shown(&registry), (8, 8 * size));
    assert_eq!(count(&registry, &desc::JOURNAL_REJECTED_KEPT), 0);
    for seq in [1, 2, 8] {
        std::fs::remove_file(kept.join(format!("{seq:020}-0.rejected"))).unwrap();
    }
    journal.look_at_rejected();
    assert_eq!(shown(&registry), (5, 5 * size));
    journal.keep_rejected(&rejected(9, 100));
    assert_eq!(shown(&registry), (6, 6 * size));
    std::fs::remove_dir_all(kept).unwrap();
    journal.look_at_rejected();
    assert_eq!(shown(&registry), (0, 0));
}

#[tokio::test]
async fn a_disk_that_refuses_is_counted_and_so_is_memory_which_keeps_none() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::default();
    let journal = open(directory.path(), Durability::Os, &registry);
    std::fs::write(directory.path().join("rejected"), b"in the way").unwrap();
    journal.keep_rejected(&rejected(1, 1));
    assert!(journal.rejected().is_empty());
    assert_eq!(count(&registry, &desc::JOURNAL_REJECTED_NOT_KEPT), 1);
    let journal = open(&directory.path().join("none"), Durability::Memory, &registry);
    journal.keep_rejected(&rejected(1, 1));
    assert!(journal.rejected().is_empty());
    assert_eq!(shown(&registry), (0, 0));
    assert_eq!(count(&registry, &desc::JOURNAL_REJECTED_NOT_KEPT), 2);
}

#[test]
fn a_damaged_file_is_not_believed() {
    let whole = rejected(9, 40).encode();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        assert_eq!(Rejected::decode(&damaged.into()), None, "byte {at}");
        assert_eq!(Rejected::decode(&Bytes::copy_from_slice(&whole[..at])), None);
    }
}
