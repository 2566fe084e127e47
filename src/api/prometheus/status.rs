//! What Prometheus says of itself, as far as it means something here.

use serde_json::{Value, json};

use super::envelope::Success;
use crate::api::call::Call;
use crate::api::failure::Failure;
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
    let limit = match call.params.first("limit").map(str::parse) {
        None => TOP,
        Some(Ok(limit @ 1..)) => limit,
        Some(_) => return Err(Failure::parameter("limit", "limit must be a positive number")),
    };
    let stats = call.store.stats();
    let labels = call.store.cardinality(limit);
    let rows = |counted: Vec<(String, u64)>| -> Vec<Value> {
        let row = |(name, value)| json!({ "name": name, "value": value });
        counted.into_iter().map(row).collect()
    };
    fixed(&json!({
        "headStats": {
            "numSeries": stats.series,
            "numLabelPairs": labels.label_pairs,
            "chunkCount": stats.chunks,
            "minTime": stats.oldest_ms.unwrap_or(0),
            "maxTime": stats.newest_ms.unwrap_or(0),
        },
        "seriesCountByMetricName": rows(labels.series_by_metric),
        "labelValueCountByLabelName": rows(labels.values_by_label),
        "memoryInBytesByLabelName": rows(labels.bytes_by_label),
        "seriesCountByLabelValuePair": rows(labels.series_by_pair),
    }))
}
