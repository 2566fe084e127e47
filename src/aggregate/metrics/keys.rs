//! Keys of the cache: bytes as they are written, each after its length, so that no two sets share a key.

use sidelight_wire::view::Attributes;
use sidelight_wire::view::metrics::{Metric, ScopeMetrics};

/// The longest key: attributes above it are not translated.
pub(super) const KEY_BYTES_MAX: usize = 64 << 10;

/// Writes attributes as a key, each after its length; `None` when they are too long.
#[inline]
pub(in crate::aggregate) fn write_attributes(
    key: &mut Vec<u8>,
    attributes: Attributes<'_>,
) -> Option<()> {
    key.clear();
    add_attributes(key, attributes)
}

#[inline]
fn add_attributes(key: &mut Vec<u8>, attributes: Attributes<'_>) -> Option<()> {
    for attribute in attributes.bytes() {
        let len = u32::try_from(attribute.len()).ok()?;
        key.extend_from_slice(&len.to_le_bytes());
        key.extend_from_slice(attribute);
        if key.len() > KEY_BYTES_MAX {
            return None;
        }
    }
    Some(())
}

/// Writes what tells a scope from others; `None` when its name or attributes are too long.
pub(super) fn write_scope(key: &mut Vec<u8>, scope: ScopeMetrics<'_>) -> Option<()> {
    key.clear();
    let own = scope.scope();
    for text in [own.name(), own.version(), scope.schema_url()] {
        let text = text.as_bytes();
        key.extend_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
        key.extend_from_slice(text);
        if key.len() > KEY_BYTES_MAX {
            return None;
        }
    }
    add_attributes(key, own.attributes())
}

/// Writes what tells a metric from others of its scope, cut where no sane one reaches.
pub(super) fn write_metric(key: &mut Vec<u8>, metric: &Metric<'_>) {
    key.clear();
    for text in [metric.name, metric.unit, metric.description] {
        let text = text.as_bytes();
        let text = text.get(..KEY_BYTES_MAX).unwrap_or(text);
        key.extend_from_slice(&(text.len() as u64).to_le_bytes());
        key.extend_from_slice(text);
    }
}
