//! Room for metadata.

use super::*;

#[test]
fn what_is_known_of_the_agents_own_families_is_said_once_and_stays() {
    let mut f = open(|config| config.families_max = 2);
    for name in ["sidelight_cache_requests_total", "old"] {
        f.writer.describe(name, gauge("without series"));
    }
    f.writer.checkpoint(1).unwrap();
    f.writer.describe("new", gauge("it takes the other's room"));
    let known: Vec<_> = f.store.metadata(None, 9).into_iter().map(|(name, _)| name).collect();
    assert_eq!(known, ["new", "sidelight_cache_requests_total"]);
}

fn gauge(help: &str) -> Metadata {
    Metadata { kind: MetricKind::Gauge, help: help.to_owned(), unit: String::new() }
}

#[test]
fn families_without_series_make_room_for_those_that_come_and_stay_gone() {
    let mut f = open(|config| config.families_max = 3);
    for name in ["old", "kept", "parts"] {
        f.writer.describe(name, gauge("first"));
        let suffix = if name == "parts" { "_sum" } else { "" };
        let id = f.writer.series(&[("__name__", &format!("{name}{suffix}"))], Kind::Float);
        f.writer.append(id, T0, 1.0).unwrap();
    }
    let known = |store: &Store| -> Vec<String> {
        store.metadata(None, 9).into_iter().map(|(name, _)| name).collect()
    };
    f.writer.describe("refused", gauge("all of them have series"));
    assert_eq!(known(&f.store), ["kept", "old", "parts"]);
    f.writer.checkpoint(1).unwrap();

    // Two go on, the third leaves.
    let now = T0 + 2 * 3_600_000;
    f.writer.set_now(now);
    for name in ["kept", "parts_sum"] {
        let id = f.writer.series(&[("__name__", name)], Kind::Float);
        f.writer.append(id, now, 1.0).unwrap();
    }
    f.writer.checkpoint(2).unwrap();
    f.writer.describe("new", gauge("it has room now"));
    assert_eq!(known(&f.store), ["kept", "new", "parts"]);
    // What no checkpoint has stays: its first series may be on the way.
    f.writer.describe("newer", gauge("it has none"));
    assert_eq!(known(&f.store), ["kept", "new", "parts"]);
    f.writer.checkpoint(3).unwrap();
    f.restart(|config| config.families_max = 3);
    assert_eq!(known(&f.store), ["kept", "new", "parts"]);
}
