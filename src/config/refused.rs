//! Keys that other agents or later versions have, with what to do instead.

/// Keys that later versions will have, or that other programs have: where, and what to say.
pub(super) const REFUSED: &[(&str, &str)] = &[
    (
        "processors",
        "processors are not in this version: bytes leave as they came; what `batch` and `memory_limiter` do is \
         `sending_queue.batch` of each exporter and `limits.memory`",
    ),
    ("extensions", "there are no extensions: health is on the `admin` endpoint"),
    ("connectors", "there are no connectors: span metrics are on the `admin` endpoint's /metrics"),
    (
        "service",
        "there are no pipelines: everything received goes to every exporter that wants its signal",
    ),
    (
        "aggregate.cache_window",
        "the window is in the rules, 15 minutes: a view takes any by `range=`, and a rule file of your own takes the place \
         of the group `sidelight-caches` once `rules.builtin.disable` names it",
    ),
    (
        "aggregate.feature_window",
        "the window is in the rules, 24 hours: a view takes any by `range=`, and a rule file of your own takes the place \
         of the group `sidelight-features` once `rules.builtin.disable` names it",
    ),
    ("receivers.prometheus", "the only receiver is `otlp`"),
    ("exporters.*.sending_queue.queue_size", "the journal is the queue: `journal.max_size`"),
    ("exporters.*.sending_queue.sizer", "the journal is the queue: `journal.max_size`, in bytes"),
    (
        "exporters.*.sending_queue.storage",
        "the journal is the queue, on disk: `journal.directory` and `journal.durability`",
    ),
    ("exporters.*.sending_queue.enabled", "the journal is the queue, and always there"),
    (
        "exporters.*.sending_queue.block_on_overflow",
        "the journal is the queue: `when_full: reject` or `drop_oldest`",
    ),
];

/// What to say of the key at `full`, where it is one of these.
pub(super) fn why(full: &str) -> Option<&'static str> {
    let exporter = full.strip_prefix("exporters.").and_then(|below| below.split_once('.'));
    let is = |refused: &str| match refused.strip_prefix("exporters.*.") {
        Some(key) => exporter.is_some_and(|(_, below)| below == key),
        None => refused == full,
    };
    REFUSED.iter().find(|(refused, _)| is(refused)).map(|(_, why)| *why)
}
