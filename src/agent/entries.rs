//! Detailed entries as the admin endpoint shows them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::aggregate::entries::{Entries, Entry, Filter};
use crate::api;
use crate::api::Refused;
use crate::time::Clock;

/// The entries, and the time that filters are read at.
pub(super) struct Shown {
    /// None where there is no store to keep them in.
    pub(super) entries: api::Source<Option<Entries>>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Shown {
    fn entries(&self) -> Result<Entries, Refused> {
        let none = || Refused::Unknown("no entries are kept without a store".to_owned());
        (self.entries)().ok_or_else(none)
    }
}

impl api::Entries for Shown {
    fn list(&self, parameters: &[(String, String)]) -> Result<String, Refused> {
        let pairs = parameters.iter().map(|(name, value)| (&**name, &**value));
        let filter = Filter::of(pairs, self.clock.unix_nano());
        let filter = filter.map_err(|error| Refused::Invalid(error.to_string()))?;
        let entries = self.entries()?.list(&filter);
        let entries: Vec<_> = entries.iter().map(document).collect();
        Ok(json!({ "schema_version": 1, "entries": entries }).to_string())
    }

    fn stats(&self) -> Result<String, Refused> {
        let mut document = json!(self.entries()?.stats());
        if let Value::Object(members) = &mut document {
            members.insert("schema_version".to_owned(), json!(1));
        }
        Ok(document.to_string())
    }

    fn cleanup(&self) -> Result<String, Refused> {
        let removed = self.entries()?.cleanup();
        Ok(json!({ "schema_version": 1, "removed": removed }).to_string())
    }
}

fn document(entry: &Entry) -> Value {
    let trace_id = entry.trace_id.map(|id| format!("{:032x}", u128::from_be_bytes(id)));
    let attributes = entry.attributes.iter().map(|(key, value)| (key.clone(), json!(value)));
    json!({
        "time_unix_seconds": entry.time.as_seconds_f64(),
        "family": entry.family.name(),
        "service": entry.service,
        "name": entry.name,
        "duration_seconds": entry.duration.map(|took| took.as_secs_f64()),
        "outcome": entry.outcome,
        "trace_id": trace_id,
        "attributes": attributes.collect::<serde_json::Map<_, _>>(),
    })
}
