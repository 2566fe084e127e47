//! Rule files that the start left out: a series, and a reason to look until a reload takes all of them up.

use std::sync::{Arc, Mutex, PoisonError};

use crate::telemetry::{Gauge, Registry, desc};

/// Files shown by name; the others are counted.
const SHOWN: usize = 3;

/// What became of the rule files. Cloning shares it.
#[derive(Clone, Debug)]
pub(super) struct RuleFiles {
    invalid: Gauge,
    trouble: Arc<Mutex<Option<String>>>,
}

impl RuleFiles {
    /// Nothing was read yet.
    pub(super) fn new(registry: &Registry) -> Self {
        Self { invalid: registry.gauge(&desc::RULE_FILES_INVALID, &[]), trouble: Arc::default() }
    }

    /// What runs lacks the files with these `errors`; the text of each begins with a line that names it.
    pub(super) fn note(&self, errors: &[String]) {
        self.invalid.set(errors.len() as f64);
        let first = |error: &String| error.lines().next().unwrap_or_default().to_owned();
        let mut shown: Vec<_> = errors.iter().take(SHOWN).map(first).collect();
        let more = errors.len().saturating_sub(SHOWN);
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        let trouble = (!errors.is_empty()).then(|| {
            format!(
                "rule files are left out, none of their rules and alerts run: {}; mend them and reload, \
                 `sidelight check rules FILE` shows everything",
                shown.join("; ")
            )
        });
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// That some are left out, where it is so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_files_that_a_start_left_out_are_a_reason_and_a_series_until_all_are_taken_up() {
        let registry = Registry::default();
        let files = RuleFiles::new(&registry);
        let invalid = || registry.gauge(&desc::RULE_FILES_INVALID, &[]).get();
        assert_eq!((invalid(), files.trouble()), (0.0, None));
        let error = |n| format!("{n}.yaml:1:1: error: no groups\n  |\n");
        files.note(&[error(1)]);
        let said = files.trouble().unwrap();
        assert!(said.contains("alerts run: 1.yaml:1:1: error: no groups; mend them"), "{said}");
        files.note(&[1, 2, 3, 4, 5].map(error));
        let said = files.trouble().unwrap();
        assert!(said.contains("3.yaml:1:1: error: no groups; and 2 more; mend them"), "{said}");
        assert_eq!(invalid(), 5.0);
        files.note(&[]);
        assert_eq!((invalid(), files.trouble()), (0.0, None));
    }
}
