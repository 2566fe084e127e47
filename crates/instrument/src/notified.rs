//! Retries by a crate that tells of each: backon's `notify`, and those like it.

use std::time::Duration;

use crate::Attempts;

impl Attempts<'_> {
    /// Makes a listener for backon's `notify`: it counts each attempt that is followed by another, and the wait between. `reason`
    /// names the error in one of few words.
    ///
    /// # Example
    /// ```
    /// use backon::{BlockingRetryable, ConstantBuilder};
    /// use sidelight::Retry;
    /// use std::time::Duration;
    ///
    /// static STOCK: Retry = Retry::new("stock.reserve");
    ///
    /// let mut answers = [Err("busy"), Ok(7)].into_iter();
    /// let mut attempts = STOCK.start();
    /// let stock = (|| answers.next().unwrap())
    ///     .retry(ConstantBuilder::default().with_delay(Duration::from_millis(1)))
    ///     .notify(attempts.notify(|error: &&str| *error))
    ///     .call();
    /// attempts.ended(&stock, |error| *error);
    /// assert_eq!(stock, Ok(7));
    /// ```
    pub fn notify<'a, E>(
        &'a mut self,
        reason: impl Fn(&E) -> &'static str + 'a,
    ) -> impl FnMut(&E, Duration) + 'a {
        move |error, wait| self.retry(reason(error), wait)
    }

    /// Takes the result of the last attempt: an error after which there was no other.
    pub fn ended<T, E>(self, result: &Result<T, E>, reason: impl Fn(&E) -> &'static str) {
        match result {
            Ok(_) => self.succeeded(),
            Err(error) => self.exhausted(reason(error)),
        }
    }
}
