//! The self-metrics of rules, read from the groups when they are scraped.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::group::Group;
use crate::alert::State;
use crate::telemetry::Desc;
use crate::telemetry::exposition::Exposition;
use crate::telemetry::{Registry, desc};

/// Shows the groups that `groups` gives at each scrape.
pub(super) fn observe(
    registry: &Registry,
    groups: impl Fn() -> Vec<Arc<Group>> + Send + Sync + 'static,
) {
    registry.collect(move |out| write(out, &groups()));
}

/// What a family shows of a group.
type Read = fn(&Group) -> f64;
/// What a family counts of a group.
type Count = fn(&Group) -> u64;

const GAUGES: [(&Desc, Read); 6] = [
    (&desc::RULE_GROUP_INTERVAL, |group| group.interval.as_secs_f64()),
    (&desc::RULE_GROUP_RULES, |group| group.rules.len() as f64),
    (&desc::RULE_GROUP_FAILING, |group| group.failing() as f64),
    (&desc::RULE_GROUP_LAST_DURATION, |group| group.last().took.as_secs_f64()),
    (&desc::RULE_GROUP_LAST_SAMPLES, |group| group.last().samples as f64),
    (&desc::RULE_GROUP_LAST_EVALUATION, |group| {
        group.last().at.map_or(0.0, crate::time::UnixNano::as_seconds_f64)
    }),
];

const COUNTERS: [(&Desc, Count); 4] = [
    (&desc::RULE_GROUP_ITERATIONS, |group| group.counts.iterations.load(Ordering::Relaxed)),
    (&desc::RULE_GROUP_MISSED, |group| group.counts.missed.load(Ordering::Relaxed)),
    (&desc::RULE_EVALUATIONS, |group| group.rules.iter().map(|rule| rule.live().evaluations).sum()),
    (&desc::RULE_FAILURES, |group| group.rules.iter().map(|rule| rule.live().failures).sum()),
];

fn write(out: &mut Exposition, groups: &[Arc<Group>]) {
    let names: Vec<String> = groups.iter().map(|group| group.full_name()).collect();
    for (desc, read) in GAUGES {
        let mut family = out.family(desc);
        for (group, name) in groups.iter().zip(&names) {
            family.value(&[("rule_group", name)], read(group));
        }
    }
    for (desc, read) in COUNTERS {
        let mut family = out.family(desc);
        for (group, name) in groups.iter().zip(&names) {
            family.count(&[("rule_group", name)], read(group), None);
        }
    }
    let mut alerts = [0_usize; 2];
    let [pending, firing] = &mut alerts;
    for rule in groups.iter().flat_map(|group| &group.rules) {
        for alert in rule.live().alerts.active() {
            *(if alert.state == State::Firing { &mut *firing } else { &mut *pending }) += 1;
        }
    }
    let mut family = out.family(&desc::RULE_ALERTS);
    for (state, count) in [(State::Pending, *pending), (State::Firing, *firing)] {
        family.value(&[("state", state.name())], count as f64);
    }
}
