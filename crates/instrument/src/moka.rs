//! Evictions of moka's caches.

use std::sync::Arc;

use ::moka::notification::RemovalCause;

use crate::{Cache, EvictReason};

/// Makes a listener that counts what a moka cache lets go, for `eviction_listener` of its builder, sync or async.
///
/// # Example
/// ```
/// use sidelight::{Cache, CacheKind};
/// use std::sync::Arc;
///
/// static USERS: Cache = Cache::new("users").kind(CacheKind::Session);
///
/// let users: Arc<moka::sync::Cache<u32, String>> = Arc::new(
///     moka::sync::Cache::builder().max_capacity(100).eviction_listener(sidelight::moka::evictions(&USERS)).build(),
/// );
/// USERS.observe(&users, |users| (users.entry_count() as usize, 100));
/// users.insert(7, "Ada".to_owned());
/// assert!(USERS.get(|| users.get(&7)).is_some());
/// ```
pub fn evictions<K, V>(
    cache: &'static Cache,
) -> impl Fn(Arc<K>, V, RemovalCause) + Send + Sync + 'static {
    move |_, _, cause| {
        let why = match cause {
            RemovalCause::Expired => EvictReason::Ttl,
            RemovalCause::Size => EvictReason::Capacity,
            RemovalCause::Explicit | RemovalCause::Replaced => EvictReason::Explicit,
        };
        cache.evicted(why, 1);
    }
}
