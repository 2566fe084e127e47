//! What became of the last reload of the configuration: a series, and a reason to look while it is not the one in force.

use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::{Gauge, Registry, desc};

/// The last reload. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct Reloads {
    successful: Gauge,
    at: Gauge,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Reloads {
    /// At the start, at `now` in seconds since 1970, which is one that succeeded.
    pub(super) fn new(registry: &Registry, now: f64) -> Self {
        let successful = registry.gauge(&desc::CONFIG_LAST_RELOAD_SUCCESSFUL, &[]);
        let at = registry.gauge(&desc::CONFIG_LAST_RELOAD_SUCCESS, &[]);
        let reloads = Self { successful, at, trouble: Arc::default() };
        reloads.note(Ok(()), now);
        reloads
    }

    /// One ended at `now`.
    pub(super) fn note(&self, outcome: Result<(), &str>, now: f64) {
        self.successful.set(f64::from(u8::from(outcome.is_ok())));
        if outcome.is_ok() {
            self.at.set(now);
        }
        let trouble = outcome.err().map(|error| {
            // Findings come in the order of their places: warnings among them are no reason.
            let first = error.lines().find(|line| line.contains(": error: "));
            let first = first.or_else(|| error.lines().next()).unwrap_or_default();
            format!(
                "the last reload of the configuration failed, the one before is in force: {first}; \
                 `sidelight check config FILE` shows everything"
            )
        });
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// That the last one failed, where it did.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_that_failed_is_a_reason_and_a_series_until_one_succeeds() {
        let registry = Registry::default();
        let reloads = Reloads::new(&registry, 5.0);
        let shown = || {
            let of = |desc| registry.gauge(desc, &[]).get();
            (of(&desc::CONFIG_LAST_RELOAD_SUCCESSFUL), of(&desc::CONFIG_LAST_RELOAD_SUCCESS))
        };
        assert_eq!((shown(), reloads.trouble()), ((1.0, 5.0), None));
        reloads.note(Err("c.yaml:3:1: error: unknown key\n  |\n"), 6.0);
        let said = reloads.trouble().unwrap();
        assert!(said.contains("is in force: c.yaml:3:1: error: unknown key; "), "{said}");
        assert_eq!(shown(), (0.0, 5.0));
        let findings =
            "c.yaml:4:73: warning: `/nope` cannot be read\n  |\nc.yaml:5:1: error: unknown key\n";
        reloads.note(Err(findings), 6.0);
        let said = reloads.trouble().unwrap();
        assert!(said.contains("is in force: c.yaml:5:1: error: unknown key; "), "{said}");
        reloads.note(Err("cannot read the configuration `c.yaml`: gone\n"), 6.0);
        let said = reloads.trouble().unwrap();
        assert!(
            said.contains("is in force: cannot read the configuration `c.yaml`: gone; "),
            "{said}"
        );
        reloads.note(Ok(()), 7.0);
        assert_eq!((shown(), reloads.trouble()), ((1.0, 7.0), None));
    }
}
