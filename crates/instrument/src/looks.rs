//! Looks at what an application has: a few sizes of one name, each while what it is of lives.

use std::sync::{Arc, Mutex, PoisonError};

use crate::observe;

/// Of one name.
const LOOKS_MAX: usize = 16;

/// `None` once what it looks at is gone.
type Look<L> = Arc<dyn Fn() -> Option<L> + Send + Sync>;

pub(crate) struct Looks<L>(Mutex<Vec<Look<L>>>);

impl<L> Default for Looks<L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<L> Looks<L> {
    /// Looks at `of` from here on; what is past the limit is counted.
    pub(crate) fn add<T, I>(&self, of: &Arc<T>, look: impl Fn(&T) -> I + Send + Sync + 'static)
    where
        T: Send + Sync + 'static,
        I: Into<L>,
    {
        let of = Arc::downgrade(of);
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.len() < LOOKS_MAX {
            looks.push(Arc::new(move || of.upgrade().map(|of| look(&of).into())));
        } else {
            observe::refuse();
        }
    }

    /// What there is at present. Nothing is locked while an application's code runs.
    pub(crate) fn all(&self) -> Vec<L> {
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut seen, mut gone) = (Vec::new(), Vec::new());
        for look in looks {
            match observe::guarded(|| look()) {
                Some(Some(level)) => seen.push(level),
                // What panicked would do so each time, and each time be logged.
                Some(None) | None => gone.push(look),
            }
        }
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|one| !gone.iter().any(|gone| Arc::ptr_eq(gone, one)));
        seen
    }
}
