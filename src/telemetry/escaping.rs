//! How names beyond `[a-zA-Z_:][a-zA-Z0-9_:]*`, those of labels without the colon, are written for readers of Prometheus
//! text: quoted for those who ask for UTF-8, for all others escaped to names that every reader knows.
//!
//! A name that needs no escaping is written as it is by every scheme. Two names may become one: whoever writes a page keeps the
//! one that needed none, see [`Escaping::changes_label`].
//!
//! Sources: Prometheus 3.15, "Escaping schemes" and "Content negotiation".

use std::borrow::Cow;
use std::fmt::Write as _;

/// A scheme of `escaping=` in `Accept` and `Content-Type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escaping {
    /// None: such names are quoted.
    Utf8,
    /// `_` for each character that is not allowed. What Prometheus does where nothing is asked for.
    #[default]
    Underscores,
    /// `_dot_` for a dot, `__` for an underscore and for all else.
    Dots,
    /// `U__`, then `_2e_` for a dot and so on, and `__` for an underscore: what can be undone.
    Values,
}

impl Escaping {
    /// The scheme of a name; none where nobody knows it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let all = [Self::Utf8, Self::Underscores, Self::Dots, Self::Values];
        all.into_iter().find(|scheme| scheme.name() == name)
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// A metric's name as it is written, but for the quotes of [`Escaping::Utf8`].
    #[must_use]
    pub fn metric(self, name: &str) -> Cow<'_, str> {
        self.escape(name, true)
    }

    /// A label's name, likewise. Prometheus leaves a colon in it, which its own reader refuses, and two underscores at its
    /// head, which are reserved: prometheus_client refuses a page for them, so there is one.
    #[must_use]
    pub fn label(self, name: &str) -> Cow<'_, str> {
        match self.escape(name, false) {
            Cow::Owned(escaped) if escaped.starts_with("__") => {
                Cow::Owned(format!("_{}", escaped.trim_start_matches('_')))
            }
            escaped => escaped,
        }
    }

    /// Whether a metric's name is not written as it is.
    #[must_use]
    pub fn changes_metric(self, name: &str) -> bool {
        self != Self::Utf8 && !is_plain(name, true)
    }

    /// Whether a label's name is not written as it is: then it gives way to one that is.
    #[must_use]
    pub fn changes_label(self, name: &str) -> bool {
        self != Self::Utf8 && !is_plain(name, false)
    }

    fn escape(self, name: &str, colons: bool) -> Cow<'_, str> {
        if self == Self::Utf8 || is_plain(name, colons) {
            return Cow::Borrowed(name);
        }
        let mut out = String::with_capacity(name.len() + 8);
        if self == Self::Values {
            out.push_str("U__");
        }
        for (at, c) in name.char_indices() {
            match (self, c) {
                (Self::Dots | Self::Values, '_') => out.push_str("__"),
                _ if is_allowed(c, colons) && (at > 0 || !c.is_ascii_digit()) => out.push(c),
                (Self::Dots, '.') => out.push_str("_dot_"),
                (Self::Dots, _) => out.push_str("__"),
                (Self::Values, _) => {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "_{:x}_", u32::from(c));
                }
                _ => out.push('_'),
            }
        }
        Cow::Owned(out)
    }
}

const fn is_allowed(c: char, colons: bool) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':')
}

/// Whether every reader of Prometheus text knows a name; those of metrics may have colons.
#[must_use]
pub fn is_plain(name: &str, colons: bool) -> bool {
    let starts = |c: char| is_allowed(c, colons) && !c.is_ascii_digit();
    name.starts_with(starts) && name.chars().all(|c| is_allowed(c, colons))
}

/// A text between quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_prometheus_escapes_them() {
        use Escaping::{Dots, Underscores, Utf8, Values};
        // Recorded from model.EscapeMetricFamily of prometheus/common 0.71.
        for (name, underscores, dots, values) in [
            ("a_b:c", "a_b:c", "a_b:c", "a_b:c"),
            (
                "http.requests_total",
                "http_requests_total",
                "http_dot_requests__total",
                "U__http_2e_requests__total",
            ),
            ("utf.8 name", "utf_8_name", "utf_dot_8__name", "U__utf_2e_8_20_name"),
            ("1a", "_a", "__a", "U___31_a"),
            ("größe_🚀", "gr__e__", "gr____e____", "U__gr_f6__df_e___1f680_"),
            ("a-b:c", "a_b:c", "a__b:c", "U__a_2d_b:c"),
        ] {
            assert_eq!(Utf8.metric(name), name);
            assert_eq!(Underscores.metric(name), underscores);
            assert_eq!(Dots.metric(name), dots);
            assert_eq!(Values.metric(name), values);
        }
        assert_eq!(Underscores.label("a:b"), "a_b");
        assert_eq!(Values.label("a:b"), "U__a_3a_b");
        assert_eq!(Underscores.label("é.utf8"), "_utf8");
        assert_eq!(Dots.label("_é_"), "_");
        assert_eq!(Underscores.label("__name__"), "__name__");
        assert!(Underscores.changes_label("a:b") && !Underscores.changes_metric("a:b"));
        assert!(!Utf8.changes_label("a-b") && !Utf8.changes_metric("a-b"));
    }

    #[test]
    fn a_scheme_is_known_by_its_name_only() {
        for scheme in ["allow-utf-8", "underscores", "dots", "values"] {
            assert_eq!(Escaping::named(scheme).map(Escaping::name), Some(scheme));
        }
        assert_eq!(Escaping::named("Dots"), None);
    }
}
