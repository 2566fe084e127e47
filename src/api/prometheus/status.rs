//! What Prometheus says of itself, as far as it means something here.

use serde_json::{Value, json};

use super::Call;
use super::envelope::{Failure, Success};
use crate::api::reply::Reply;

/// The release whose API and language this agent speaks. Grafana decides by it what to ask.
const COMPATIBLE: &str = "3.15.0";

/// Rows of each list of /api/v1/status/tsdb unless `limit` says otherwise.
const TOP: usize = 10;

fn fixed(value: &Value) -> Result<Reply, Failure> {
    Ok(Success::value(value).into_reply())
}

pub(super) fn build(_: &Call<'_>) -> Result<Reply, Failure> {
    fixed(&json!({
        "version": COMPATIBLE,
        "revision": concat!("sidelight-", env!("CARGO_PKG_VERSION")),
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

pub(super) fn config(_: &Call<'_>) -> Result<Reply, Failure> {
    fixed(&json!({ "yaml": "" }))
}

pub(super) fn flags(_: &Call<'_>) -> Result<Reply, Failure> {
    fixed(&json!({}))
}

pub(super) fn targets(_: &Call<'_>) -> Result<Reply, Failure> {
    fixed(&json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {} }))
}

pub(super) fn replay(_: &Call<'_>) -> Result<Reply, Failure> {
    fixed(&json!({ "min": 0, "max": 0, "current": 0 }))
}

pub(super) fn runtime(call: &Call<'_>) -> Result<Reply, Failure> {
    let stats = call.store.stats();
    fixed(&json!({
        "reloadConfigSuccess": true,
        "corruptionCount": 0,
        "timeSeriesCount": stats.series,
        "chunkCount": stats.chunks,
        "storageRetention": "",
    }))
}

pub(super) fn tsdb(call: &Call<'_>) -> Result<Reply, Failure> {
    let limit = match call.params.limit("limit")? {
        0 => TOP,
        limit => limit,
    };
    let stats = call.store.stats();
    let by_metric = stats.offenders.iter().take(limit);
    let by_metric: Vec<_> =
        by_metric.map(|of| json!({ "name": of.metric, "value": of.series })).collect();
    let (start, end) = call.params.span()?;
    let mut values = Vec::new();
    for name in call.store.label_names(&[], start, end, usize::MAX)? {
        if (call.stop)().is_some() {
            return Err(Failure::Canceled("the request was canceled".to_owned()));
        }
        let count = call.store.label_values(&name, &[], start, end, usize::MAX)?.len();
        values.push((count, name));
    }
    values.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let names = values.len();
    let by_label = values.into_iter().take(limit);
    let by_label: Vec<_> =
        by_label.map(|(count, name)| json!({ "name": name, "value": count })).collect();
    fixed(&json!({
        "headStats": {
            "numSeries": stats.series,
            "numLabelPairs": names,
            "chunkCount": stats.chunks,
            "minTime": 0,
            "maxTime": stats.newest_ms.unwrap_or(0),
        },
        "seriesCountByMetricName": by_metric,
        "labelValueCountByLabelName": by_label,
        "memoryInBytesByLabelName": [],
        "seriesCountByLabelValuePair": [],
    }))
}
