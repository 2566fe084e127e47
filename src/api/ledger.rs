//! The conservation ledger: accepted = delivered + queued + dropped, per signal and exporter.
//!
//! One value, shown as JSON by `GET /api/sidelight/v1/ledger` and as series by /metrics.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::journal;
use crate::journal::is_lane;
use crate::signal::Signal;
use crate::telemetry::{Desc, Exposition, desc};

/// What became of every item that was ever accepted, cumulative over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Requests that were acknowledged and could not be read back since the start. Where nothing else tells what they were
    /// they are in no count below.
    pub lost_requests: u64,
    /// By signal name; a signal without traffic may be absent.
    pub signals: BTreeMap<&'static str, Flow>,
}

/// One signal's way through the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Acknowledged to senders as durable.
    pub accepted: Count,
    /// Requests refused at the door, by reason; never part of `accepted`.
    pub refused: BTreeMap<String, u64>,
    /// By exporter name.
    pub exporters: BTreeMap<String, Outcome>,
}

/// What became of a signal's items at one exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Acknowledged by the destination.
    pub delivered: Count,
    /// In the journal, not yet acknowledged.
    pub queued: Count,
    /// Items that will not be delivered, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// Requests and the items in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Export requests.
    pub requests: u64,
    /// Spans, data points, log records or profiles.
    pub items: u64,
}

impl From<journal::Count> for Count {
    fn from(journal::Count { requests, items }: journal::Count) -> Self {
        Self { requests, items }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    #[serde(flatten)]
    ledger: &'a Ledger,
}

impl Ledger {
    /// The entry of `signal`, made when absent.
    pub fn flow(&mut self, signal: Signal) -> &mut Flow {
        self.signals.entry(signal.name()).or_default()
    }

    /// The journal's part: what was accepted and what became of it. Local readers (their names
    /// have no lane) are left out: they deliver to nobody. The caller adds what was refused at the
    /// door.
    #[must_use]
    pub fn of(journal: &journal::Ledger) -> Self {
        let mut ledger = Self::default();
        for signal in Signal::ALL {
            ledger.flow(signal).accepted = journal.accepted.get(signal).into();
        }
        for lane in journal.readers.iter().filter(|lane| is_lane(&lane.reader)) {
            let outcome = Outcome {
                delivered: lane.delivered.into(),
                queued: lane.queued.into(),
                dropped: lane.dropped.iter().map(|(r, &n)| (r.name().to_owned(), n)).collect(),
            };
            ledger.flow(lane.signal).exporters.insert(lane.exporter.clone(), outcome);
        }
        ledger
    }

    /// The JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let document = Document { schema_version: 1, ledger: self };
        // Keys are strings and values numbers: nothing here can fail to serialise.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Writes the ledger's families.
    pub fn expose(&self, out: &mut Exposition) {
        let mut family = out.family(&desc::LEDGER_ACCEPTED_ITEMS);
        for (signal, flow) in &self.signals {
            family.count(&[("signal", signal)], flow.accepted.items, None);
        }
        self.expose_lanes(out, &desc::LEDGER_DELIVERED_ITEMS, |lane| lane.delivered.items);
        self.expose_lanes(out, &desc::LEDGER_QUEUED_ITEMS, |lane| lane.queued.items);
        let mut family = out.family(&desc::LEDGER_DROPPED_ITEMS);
        for (signal, exporter, lane) in self.lanes() {
            for (reason, &items) in &lane.dropped {
                let labels = [("signal", signal), ("exporter", exporter), ("reason", reason)];
                family.count(&labels, items, None);
            }
        }
    }

    fn expose_lanes(&self, out: &mut Exposition, desc: &Desc, items: fn(&Outcome) -> u64) {
        let mut family = out.family(desc);
        for (signal, exporter, lane) in self.lanes() {
            family.whole(&[("signal", signal), ("exporter", exporter)], items(lane));
        }
    }

    fn lanes(&self) -> impl Iterator<Item = (&str, &str, &Outcome)> {
        self.signals.iter().flat_map(|(signal, flow)| {
            flow.exporters.iter().map(|(exporter, lane)| (*signal, exporter.as_str(), lane))
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::telemetry::exposition::Format;

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        let flow = ledger.flow(Signal::Traces);
        flow.accepted = Count { requests: 3, items: 30 };
        flow.refused.insert("queue_full".to_owned(), 1);
        let lane = Outcome {
            delivered: Count { requests: 1, items: 10 },
            queued: Count { requests: 1, items: 15 },
            dropped: [("permanent".to_owned(), 5)].into(),
        };
        flow.exporters.insert("otlp_grpc/tempo".to_owned(), lane);
        ledger
    }

    #[test]
    fn the_document_has_the_agreed_shape() {
        let expected = expect![[
            r#"{"schema_version":1,"lost_requests":0,"signals":{"traces":{"accepted":{"requests":3,"items":30},"refused":{"queue_full":1},"exporters":{"otlp_grpc/tempo":{"delivered":{"requests":1,"items":10},"queued":{"requests":1,"items":15},"dropped":{"permanent":5}}}}}}"#
        ]];
        expected.assert_eq(&ledger().to_json());
    }

    #[test]
    fn lanes_of_the_journal_are_told_apart_from_local_readers() {
        let row = |reader: &str, exporter: &str| journal::ReaderLedger {
            reader: reader.to_owned(),
            exporter: exporter.to_owned(),
            signal: Signal::Traces,
            accepted: journal::Count { requests: 2, items: 9 },
            delivered: journal::Count { requests: 1, items: 6 },
            queued: journal::Count::default(),
            dropped_requests: 1,
            dropped: [(journal::DropReason::TooLarge, 3)].into(),
        };
        let mut accepted = journal::PerSignal::default();
        accepted.0[0] = journal::Count { requests: 2, items: 9 };
        let readers = vec![row("aggregate", "aggregate"), row("otlp_grpc/x:traces", "otlp_grpc/x")];
        let ledger = Ledger::of(&journal::Ledger { accepted, readers });
        let flow = &ledger.signals["traces"];
        assert_eq!(flow.accepted, Count { requests: 2, items: 9 });
        assert_eq!(flow.exporters.len(), 1);
        let lane = &flow.exporters["otlp_grpc/x"];
        assert_eq!(lane.delivered.items + lane.queued.items + lane.dropped["too_large"], 9);
    }

    #[test]
    fn the_series_say_the_same_as_the_document() {
        let mut out = Exposition::new(Format::Text);
        ledger().expose(&mut out);
        let text = out.finish();
        for sample in [
            r#"sidelight_ledger_accepted_items_total{signal="traces"} 30"#,
            r#"sidelight_ledger_delivered_items_total{signal="traces",exporter="otlp_grpc/tempo"} 10"#,
            r#"sidelight_ledger_queued_items{signal="traces",exporter="otlp_grpc/tempo"} 15"#,
            r#"sidelight_ledger_dropped_items_total{signal="traces",exporter="otlp_grpc/tempo",reason="permanent"} 5"#,
        ] {
            assert!(text.lines().any(|line| line == sample), "{sample} in {text}");
        }
    }
}
