//! Unique users of features: keyed hashes in sketches, never the users themselves.

/// What was seen of one feature's users since the last drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureSketch {
    /// The name of the feature: attribute `feature.name` of the log record that carries it.
    pub feature: String,
    /// The sketch in the layout of `docs/signals.md`: the body of that record, as bytes.
    pub sketch: Vec<u8>,
}

/// Takes the sketches of all features that were used since the last call. The exporter calls this every minute and at
/// shutdown, and sends them as logs of event name `sidelight.feature.sketch` in a request of their own with the header
/// `sidelight-internal: sketch`.
#[must_use]
pub fn drain() -> Vec<FeatureSketch> {
    Vec::new()
}
