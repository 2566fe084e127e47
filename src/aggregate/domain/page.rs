//! docs/signals.md, written from the tables.

use std::fmt::Write as _;

use super::families::{Family, How, SPELLINGS};
use super::instruments::{Holds, Instrument};
use crate::aggregate::metrics::labels::label_name;

const HEAD: &str = "# Signals

<!-- Written by a test from src/aggregate/domain/: UPDATE_DOCS=1 cargo test --lib domain::page -->

What applications say of themselves in any of the spellings below becomes one set of series under one set of names. An
application in any language can write the first spelling of a family, `sidelight.*`, through the plain OpenTelemetry API:
[examples/python/signals.py](../examples/python/signals.py) does.

## Sources

An instance (`service.name` and `service.instance.id`) has one source of each family: the first of its spellings that it
sends, in the order of the table. What it says besides is not counted, but in
`sidelight_aggregate_source_suppressed_total{family}`. A source is another's to take when it was silent for
`aggregate.series_ttl`. Spans count for those that sampling left out (`ot=th` of the trace state).

*stored* is stored under its own name, translated as [otlp-to-prometheus.md](otlp-to-prometheus.md) says; *rule* is as well,
and the built-in rules give it the common name; *derived* is counted or converted into a series of the next table.

| family | spelling | is | becomes | note |
|---|---|---|---|---|
";

const SERIES: &str = "
## Derived series

Besides these labels each has `job`, `instance`, `service_name` and the other promoted attributes of its resource. Samples
are on a grid of 5 s; one that did not change is repeated once a minute; one without news for `aggregate.series_ttl`
ends. At most 2,000 series of each; what is beyond is counted in `{otel_metric_overflow=\"true\"}`.

| series | type | labels | meaning |
|---|---|---|---|
";

const REST: &str = "
## Routes of lookups

A lookup in a cache that is said on a span has the route of the nearest SERVER span above it in the same instance. That span
is sent later, so the lookup waits for it for at most 10 s. `sidelight.cache.requests` that are received as metrics have the
route where the application gave `http.route`.

## Entries

`sidelight entries` lists single operations of the families `http`, `operation`, `llm`, `retry`, `cache`, `queue`, `connection`,
`feature`, `error` and `alert`, made from spans and log events as they arrive. Those of `alert` are made from the log events that
the agent writes of its own alerts, so there are none unless `alerting.otlp` is true; what alerts did is in
`sidelight alerts history` in any case.

## Language models

Several spans often tell of one call: the SDK of a provider and the instrumentation around it, then agents (`invoke_agent`) and
workflows (`invoke_workflow`) with the sum of what is within. The first span with a `gen_ai.response.id` counts in an
instance, and an agent or a workflow only where its trace has no call within it that was counted. Two spans side by side
without `gen_ai.response.id` are two calls. Tokens are those that are reported: an emitter that leaves cached ones out of
`gen_ai.usage.input_tokens` counts too few.

## What is not made

Nothing here says how long a message waited for its consumer. The metrics of messaging in the semantic conventions are in
development, and tell other things: `messaging.client.operation.duration` how long a call to send or receive took,
`messaging.process.duration` how long a message was processed, `messaging.client.sent.messages` and
`messaging.client.consumed.messages` how many there were. They are stored under their own names, and consumers are operations by
their spans. An application that knows its queue says so by `sidelight.queue.size` and `sidelight.queue.item.wait.duration`.

Hours of the day, as the peak hour of a feature, are in UTC, and no option says another zone. Conversations
(`gen_ai.conversation.id`) are not counted: the series of `gen_ai` tell requests, tokens and cost by provider and model.

## Unique users

Names of users are hashed by SipHash-2-4 with a key of the agent's own (`user.key` in the store's directory, 0600), and only
a sketch of the hashes is kept: HyperLogLog with 2^12 registers, 1.6 % off. A window of `1h` is the last 50 to 60 minutes, one
of `1d` the last 23 to 24 hours. At most 64 features.

Instances that keep sketches themselves send them in a logs request of their own with the header
`sidelight-internal: sketch`: one record for each feature with `event_name` `sidelight.feature.sketch`, the attribute
`feature.name` and the sketch as the body's bytes. The agent journals such a request and never exports it; a
collector in its place takes it for log records. Sketches of equal key
id are merged; estimates are never added up, and where keys differ the greatest estimate is shown.

```text
version u8 = 1 │ precision u8 = 12 │ key id u32 LE │ form u8
form 0, sparse  count u16 LE │ (register u16 LE, rank u8) × count, registers ascending
form 1, dense   4096 ranks u8
```

A register is the 12 highest bits of a hash; its rank is the greatest number of zeros, plus one, that lead the other 52.
The key id is the low 32 bits of the SipHash of `sidelight user key` under the key.
";

/// The page.
#[must_use]
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for family in Family::ALL {
        for known in SPELLINGS.iter().filter(|known| known.family == family) {
            let name = match known.name.strip_suffix('.') {
                Some(name) => format!("`{name}.*`"),
                None => format!("`{}`", known.name),
            };
            let how = match known.how {
                How::AsIs => "stored",
                How::Rule => "rule",
                How::Derived => "derived",
            };
            let (family, is, note) = (family.name(), known.source.name(), known.note);
            // Writing to a string does not fail.
            let _ = writeln!(page, "| {family} | {name} | {is} | {how} | {note} |");
        }
    }
    page.push_str(SERIES);
    for instrument in Instrument::ALL {
        let spec = instrument.spec();
        let kind = match spec.holds {
            Holds::Count => "counter",
            Holds::Level => "gauge",
            Holds::Buckets(_) => "histogram",
        };
        let labels: Vec<String> = spec.attributes.iter().filter_map(|a| label_name(a)).collect();
        let (name, labels) = (instrument.series_name(), labels.join(", "));
        let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {} |", spec.help);
    }
    page.push_str(REST);
    page
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_documentation_is_what_is_derived() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/signals.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, super::page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == super::page(), "docs/signals.md is stale: run with UPDATE_DOCS=1");
    }
}
