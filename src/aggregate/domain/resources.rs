//! Who sent something: labels, and the source of each family.
//!
//! A source claims a family of an instance when it is seen; a better one takes it over, and keeps it until it was not
//! seen for the TTL. An instance is `job` and `service.instance.id`. Limits: [`INSTANCES_MAX`]; beyond it an instance
//! that nothing was heard of for the TTL makes room, or the new one is counted and left out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sidelight_wire::view::Resource;

use super::families::{Family, Source};
use crate::aggregate::codec::{self, Read};
use crate::aggregate::metrics::Promotion;
use crate::aggregate::metrics::cache::{Level, ROOT, Slot};
use crate::aggregate::metrics::keys::write_attributes;
use crate::aggregate::metrics::labels::LabelSet;
use crate::aggregate::metrics::target::Target;

/// The most instances.
pub(super) const INSTANCES_MAX: usize = 1_000;
/// The most services whose last sign of life is kept.
const SERVICES_MAX: usize = 1_000;

const FAMILIES: usize = Family::ALL.len();

/// What was seen of an instance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Instance {
    seen_ms: i64,
    claims: [Option<(Source, i64)>; FAMILIES],
    /// When the last metrics request came.
    pub(super) exported_ms: i64,
}

/// What a source may do with a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It is the source.
    Held,
    /// It took over from spans.
    Took,
    /// Another is better.
    Lost,
}

impl Instance {
    /// Whether `source` is the one for `family`.
    pub(super) fn claim(
        &mut self,
        family: Family,
        source: Source,
        (now_ms, ttl_ms): (i64, i64),
    ) -> Claim {
        let Some(claim) = self.claims.get_mut(family as usize) else { return Claim::Lost };
        let before = claim.filter(|(_, seen_ms)| ttl_ms <= 0 || now_ms - seen_ms <= ttl_ms);
        match before {
            Some((known, _)) if known < source => Claim::Lost,
            Some((known, _)) => {
                *claim = Some((source, now_ms));
                if known > source { Claim::Took } else { Claim::Held }
            }
            None => {
                *claim = Some((source, now_ms));
                Claim::Held
            }
        }
    }
}

/// Resources by their bytes, instances by their names.
#[derive(Debug)]
pub(super) struct Resources {
    promote: Promotion,
    value_bytes_max: usize,
    ttl_ms: i64,
    known: Level<(Arc<Target>, usize)>,
    by_name: HashMap<String, usize>,
    instances: Vec<Instance>,
    /// When telemetry of a service was last received, in milliseconds. In order, as samples are made in it.
    pub(super) services: BTreeMap<String, i64>,
    key: Vec<u8>,
    /// The place that another instance had until the last search.
    reused: Option<usize>,
}

/// A resource of a request.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) slot: Slot,
    pub(super) target: Arc<Target>,
    pub(super) instance: usize,
}

impl Resources {
    pub(super) fn new(promote: Promotion, value_bytes_max: usize, ttl_ms: i64) -> Self {
        Self {
            promote,
            value_bytes_max,
            ttl_ms,
            known: Level::new(4_096, 4 << 20),
            by_name: HashMap::new(),
            instances: Vec::new(),
            services: BTreeMap::new(),
            key: Vec::new(),
            reused: None,
        }
    }

    /// The place that another instance had until the last search. No resource has its slot any more then.
    pub(super) const fn take_reused(&mut self) -> Option<usize> {
        self.reused.take()
    }

    /// Whether the slots of all resources have to be forgotten to learn another.
    pub(super) fn make_room(&mut self) -> bool {
        let full = !self.known.has_room(64 << 10);
        if full {
            self.known.clear();
        }
        full
    }

    /// The resource, seen at `now_ms`; `None` past the limits.
    pub(super) fn find(&mut self, resource: Resource<'_>, now_ms: i64) -> Option<Found> {
        write_attributes(&mut self.key, resource.attributes())?;
        let slot = match self.known.find(ROOT, 0, &self.key) {
            Ok(slot) => slot,
            Err(place) => {
                let target = Target::of(resource, &self.promote, self.value_bytes_max);
                let instance = self.instance(&target, now_ms)?;
                if self.reused.is_some() {
                    // What is known by its bytes leads to the instance that was here.
                    self.known.clear();
                }
                let known = (Arc::new(target), instance);
                self.known.insert(place, (ROOT, 0, &self.key), known)
            }
        };
        let (target, instance) = self.known.get(slot)?.clone();
        let of = self.instances.get_mut(instance)?;
        of.seen_ms = now_ms;
        let service = target.service_name();
        if let Some(seen_ms) = self.services.get_mut(service) {
            *seen_ms = now_ms;
        } else if self.services.len() < SERVICES_MAX {
            self.services.insert(service.to_owned(), now_ms);
        }
        Some(Found { slot, target, instance })
    }

    pub(super) fn instance_mut(&mut self, found: &Found) -> Option<&mut Instance> {
        self.instances.get_mut(found.instance)
    }

    /// The instance of series with these labels.
    pub(super) fn by_labels(&mut self, labels: &[(String, String)]) -> Option<&mut Instance> {
        let label = |wanted| labels.iter().find(|(name, _)| name == wanted);
        let text = |wanted| label(wanted).map_or("", |(_, value)| value.as_str());
        let name = format!("{}\n{}", text("job"), text("instance"));
        self.instances.get_mut(*self.by_name.get(&name)?)
    }

    fn instance(&mut self, target: &Target, now_ms: i64) -> Option<usize> {
        let name = target.identity();
        if let Some(&known) = self.by_name.get(&name) {
            return Some(known);
        }
        let fresh = Instance { seen_ms: now_ms, claims: [None; FAMILIES], exported_ms: 0 };
        if self.instances.len() < INSTANCES_MAX {
            self.by_name.insert(name, self.instances.len());
            self.instances.push(fresh);
            return Some(self.instances.len() - 1);
        }
        let ttl_ms = self.ttl_ms;
        let mut instances = self.instances.iter();
        let old = instances.position(|of| ttl_ms > 0 && now_ms - of.seen_ms > ttl_ms)?;
        self.by_name.retain(|_, at| *at != old);
        self.by_name.insert(name, old);
        *self.instances.get_mut(old)? = fresh;
        self.reused = Some(old);
        Some(old)
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        let (promote, max) = (self.promote.clone(), self.value_bytes_max);
        *self = Self::new(promote, max, self.ttl_ms);
    }

    /// Everything but what the next request says again, for the checkpoint.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        codec::put(out, self.by_name.len() as u64);
        // In the order of their places, which other parts name them by.
        let mut names: Vec<_> = self.by_name.iter().collect();
        names.sort_unstable_by_key(|(_, at)| **at);
        for (name, &at) in names {
            let Some(of) = self.instances.get(at) else { continue };
            codec::put_bytes(out, name.as_bytes());
            for time in [of.seen_ms, of.exported_ms] {
                codec::put(out, time.unsigned_abs());
            }
            for claim in of.claims {
                let (source, seen_ms) = claim.map_or((0, 0), |(s, ms)| (1 + s as u8, ms));
                out.push(source);
                codec::put(out, seen_ms.unsigned_abs());
            }
        }
        codec::put(out, self.services.len() as u64);
        for (service, seen_ms) in &self.services {
            codec::put_bytes(out, service.as_bytes());
            codec::put(out, seen_ms.unsigned_abs());
        }
    }

    /// What [`Resources::encode`] wrote.
    pub(super) fn restore(&mut self, read: &mut Read<'_>) -> Option<()> {
        for _ in 0..read.number()? {
            let name = read.text()?;
            let mut time = || Some(read.number()?.cast_signed());
            let (seen_ms, exported_ms) = (time()?, time()?);
            let mut claims = [None; FAMILIES];
            for claim in &mut claims {
                let source = usize::from(read.byte()?);
                let seen_ms = read.number()?.cast_signed();
                let source = source.checked_sub(1).and_then(|at| Source::ALL.get(at));
                *claim = source.map(|source| (*source, seen_ms));
            }
            self.by_name.insert(name, self.instances.len());
            self.instances.push(Instance { seen_ms, claims, exported_ms });
        }
        for _ in 0..read.number()? {
            let service = read.text()?;
            self.services.insert(service, read.number()?.cast_signed());
        }
        Some(())
    }
}

impl Target {
    /// The labels with what the resource gives to all of its series.
    pub(super) fn complete(&self, mut set: LabelSet) -> LabelSet {
        self.add_to(&mut set);
        set.set_absent("service_name", self.service_name());
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_source_takes_over_and_gives_back_when_it_is_silent() {
        let mut of = Instance { seen_ms: 0, claims: [None; FAMILIES], exported_ms: 0 };
        let mut claim = |source, now_ms| of.claim(Family::Cache, source, (now_ms, 100));
        assert_eq!(claim(Source::Spans, 0), Claim::Held);
        assert_eq!(claim(Source::Sidelight, 10), Claim::Took);
        assert_eq!(claim(Source::Stable, 20), Claim::Lost);
        assert_eq!(claim(Source::Sidelight, 30), Claim::Held);
        assert_eq!(claim(Source::Spans, 130), Claim::Lost);
        assert_eq!(claim(Source::Spans, 131), Claim::Held);
        assert_eq!(of.claim(Family::Http, Source::Old, (0, 100)), Claim::Held);
    }
}
