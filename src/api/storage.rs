//! What is stored and for how long: `/api/sidelight/v1/storage`, `storage.csv`, and `storage/files`.

use http::StatusCode;
use serde_json::{Value, json};

use super::asked::Asked;
use super::call::Call;
use super::failure::Failure;
use super::reply::Reply;
use super::sheets;
use super::sources::{Refused, Sources};
use crate::store::offline;
use crate::telemetry;

pub(super) fn storage(call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(Reply::json(StatusCode::OK, document(call).to_string()))
}

pub(super) fn sheet(call: &Call<'_>) -> Result<Reply, Failure> {
    Ok(sheets::reply(sheets::values(&document(call))))
}

pub(super) fn files(from: &Sources, asked: &Asked) -> Result<String, Refused> {
    let none = || Refused::Unknown(format!("no metrics are kept here: {}", (from.no_store)()));
    let store = (from.store)().ok_or_else(none)?;
    let patience = asked.patience.clone();
    let gone = move || patience.ended().is_some();
    let files = offline::files_of_agent(store.config(), gone)
        .map_err(|error| Refused::Failed(telemetry::chain(&error)))?;
    Ok(offline::document(store.config(), &files).to_string())
}

pub(super) fn document(call: &Call<'_>) -> Value {
    let stats = call.store.stats();
    let config = call.store.config();
    let files = stats.files.iter().map(|file| {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        json!({ "file": name, "bytes": file.bytes })
    });
    let offenders = stats.offenders.iter().map(|offender| {
        json!({ "metric": offender.metric, "series": offender.series, "refused": offender.refused })
    });
    let bytes: u64 = stats.files.iter().map(|file| file.bytes).sum();
    json!({
        "schema_version": 1,
        "series": stats.series,
        "series_limit": config.series_max,
        "disk_bytes": bytes,
        "disk_limit_bytes": config.max_size,
        "memory_bytes": stats.head_bytes,
        "samples_taken": stats.samples,
        "samples_refused": stats.overflow_samples,
        "newest_unix_seconds": stats.newest_ms.map(|ms| ms.div_euclid(1_000)),
        "retention_seconds": {
            "raw": config.retention.as_secs(),
            "rollup_5m": config.retention_5m.as_secs(),
            "rollup_1h": config.retention_1h.as_secs(),
        },
        "largest_metrics": offenders.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
    })
}
