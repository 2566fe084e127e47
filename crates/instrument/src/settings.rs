//! What handles of every family have: a name, a switch, and how many of their measurements are told of one by one.
//!
//! One text of each, by a macro: a trait would have to be imported to be used, and has no `const fn`.

/// Methods of a handle that has the fields `name`, `detail` and `on`: what its measurements are called, a handle as an
/// example of it, and what there is to say of switching it off.
macro_rules! settings {
    ($measurements:literal, $type:literal, $example:literal $(, $switched:literal)?) => {
        #[doc = concat!("Tells of a part of the ", $measurements, " one by one, by log events `sidelight.entry` with their")]
        /// trace, which the agent lists as entries: `rate` from 0 (as it is at first) to 1. Each costs about a microsecond.
        ///
        /// ```
        #[doc = concat!("use sidelight::", $type, ";")]
        ///
        #[doc = concat!("static ONE_IN_A_HUNDRED: ", $type, " = ", $example, ".detailed(0.01);")]
        /// # let _ = ONE_IN_A_HUNDRED.name();
        /// ```
        #[must_use]
        pub const fn detailed(mut self, rate: f64) -> Self {
            self.detail = $crate::entry::Detail::of(rate);
            self
        }

        /// The name that was given.
        #[must_use]
        pub const fn name(&self) -> &'static str {
            self.name
        }

        #[doc = concat!("Switches it on (as it is at first) or off.", $(" ", $switched)?)]
        ///
        /// ```
        #[doc = concat!("use sidelight::", $type, ";")]
        ///
        #[doc = concat!("static COSTLY: ", $type, " = ", $example, ";")]
        ///
        /// COSTLY.set_enabled(false); // nothing of it is recorded, nor counted as dropped
        /// ```
        pub fn set_enabled(&self, on: bool) {
            self.on.store(on, std::sync::atomic::Ordering::Relaxed);
        }
    };
}

pub(crate) use settings;
