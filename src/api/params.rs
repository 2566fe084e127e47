//! Parameters of a request: from the form of a POST, then from the query string, as Prometheus reads them.
//!
//! Times are seconds with a fraction, RFC 3339, or Go's ends of time that Prometheus writes; durations
//! are seconds with a fraction or Prometheus' (`1h30m`).

use std::time::Duration;

use sidelight_promql::ast::Matcher;
use sidelight_promql::{duration, parse_selector};

use super::failure::Failure;
use crate::time::parse_unix_ms;

/// Names and values in the order sent; a name may come more than once.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

/// The most `match[]` of a request: each is looked for in every file.
const SELECTORS_MAX: usize = 64;

/// What Prometheus prints for the earliest and the latest time, in milliseconds.
const ENDS: [(&str, i64); 2] = [
    ("-292273086-05-16T16:47:06Z", i64::MIN / 2),
    ("292277025-08-18T07:12:54.999999999Z", i64::MAX / 2),
];

impl Params {
    /// The parameters of a query string and a form's body.
    pub(super) fn new(query: Option<&str>, form: &[u8]) -> Self {
        let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        let pairs = form_urlencoded::parse(form).chain(query);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// All of them, as they came.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first value of `name` that is not empty.
    pub(super) fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).find(|value| !value.is_empty())
    }

    /// Every value of `name`.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The time called `name` in milliseconds, or `default`.
    pub(super) fn time(&self, name: &str, default: i64) -> Result<i64, Failure> {
        let Some(text) = self.first(name) else { return Ok(default) };
        time(text).ok_or_else(|| {
            Failure::parameter(name, format_args!("cannot parse {text:?} to a valid timestamp"))
        })
    }

    /// The time called `name`, which must be there.
    pub(super) fn required_time(&self, name: &str) -> Result<i64, Failure> {
        // Prometheus' words for an absent one.
        let absent = || Failure::parameter(name, "cannot parse \"\" to a valid timestamp");
        self.first(name).ok_or_else(absent)?;
        self.time(name, 0)
    }

    /// The duration called `name` in milliseconds.
    pub(super) fn duration(&self, name: &str) -> Result<Option<i64>, Failure> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let parsed = length(text).ok_or_else(|| {
            Failure::parameter(name, format_args!("cannot parse {text:?} to a valid duration"))
        });
        parsed.map(Some)
    }

    /// The time that the query may take: what it asks for, at most `longest`. One that asks for none has had it.
    pub(super) fn timeout(&self, longest: Duration) -> Result<Duration, Failure> {
        let Some(asked) = self.duration("timeout")? else { return Ok(longest) };
        match u64::try_from(asked) {
            Ok(ms @ 1..) => Ok(Duration::from_millis(ms).min(longest)),
            _ => Err(Failure::Timeout("query timed out in query execution".to_owned())),
        }
    }

    /// The number of rows wanted; 0 is all.
    pub(super) fn limit(&self, name: &str) -> Result<usize, Failure> {
        let Some(text) = self.first(name) else { return Ok(0) };
        text.parse().map_err(|_| Failure::parameter(name, "limit must be a number, 0 or more"))
    }

    /// The number called `name` of what Prometheus lists of metadata: none, or a negative one, is `None`.
    pub(super) fn listed(&self, name: &str) -> Result<Option<usize>, Failure> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| {
            // In Prometheus' words.
            Failure::BadData(format!("{name} must be a number"))
        })?;
        Ok(usize::try_from(number).ok())
    }

    /// Start and end, both with a default; the end may be before the start.
    pub(super) fn span(&self) -> Result<(i64, i64), Failure> {
        let [earliest, latest] = ENDS.map(|(_, time)| time);
        Ok((self.time("start", earliest)?, self.time("end", latest)?))
    }

    /// The matchers of every `match[]`.
    pub(super) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, Failure> {
        self.parsed_selectors(Failure::BadData)
    }

    /// The same; `failure` is that of one that selects nothing in particular.
    fn parsed_selectors(
        &self,
        failure: impl Fn(String) -> Failure,
    ) -> Result<Vec<Vec<Matcher>>, Failure> {
        let parse = |text| {
            let matchers =
                parse_selector(text).map_err(|error| Failure::parameter("match[]", error))?;
            if matchers.iter().all(|matcher| matcher.matches("")) {
                let why = "match[] must contain at least one non-empty matcher";
                return Err(failure(why.to_owned()));
            }
            Ok(matchers)
        };
        if self.all("match[]").nth(SELECTORS_MAX).is_some() {
            let why = format_args!("more than {SELECTORS_MAX} selectors");
            return Err(Failure::parameter("match[]", why));
        }
        self.all("match[]").map(parse).collect()
    }

    /// The matchers of every `match[]`, of which there must be one.
    pub(super) fn required_selectors(&self) -> Result<Vec<Vec<Matcher>>, Failure> {
        // As Prometheus words it for series, and not for labels.
        let selectors = self.parsed_selectors(|why| Failure::parameter("match[]", why))?;
        if selectors.is_empty() {
            return Err(Failure::BadData("no match[] parameter provided".to_owned()));
        }
        Ok(selectors)
    }
}

fn time(text: &str) -> Option<i64> {
    let end = ENDS.iter().find(|(known, _)| *known == text).map(|(_, time)| *time);
    end.or_else(|| parse_unix_ms(text))
}

fn length(text: &str) -> Option<i64> {
    // A number of seconds reads as a time does.
    if text.parse::<f64>().is_ok() { parse_unix_ms(text) } else { duration::parse(text).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc_3339() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1435781451.781", Some(1_435_781_451_781)),
            ("-1.5", Some(-1_500)),
            ("1e3", Some(1_000_000)),
            ("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781)),
            ("2015-07-01T22:10:51.781+02:00", Some(1_435_781_451_781)),
            ("292277025-08-18T07:12:54.999999999Z", Some(i64::MAX / 2)),
            ("NaN", None),
            ("1e300", None),
            ("yesterday", None),
            ("2015-07-01", None),
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
    }

    #[test]
    fn durations_are_seconds_or_with_units() {
        for (text, expected) in
            [("15", Some(15_000)), ("0.5", Some(500)), ("1h30m", Some(5_400_000)), ("x", None)]
        {
            assert_eq!(length(text), expected, "{text}");
        }
    }

    #[test]
    fn a_selector_that_selects_nothing_in_particular_is_refused() {
        for text in ["{}", "{a=\"\"}", "{a=~\".*\"}", "{a!=\"b\"}"] {
            let query: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
            let params = Params::new(Some(&format!("match[]=up&match[]={query}")), b"");
            let why = "match[] must contain at least one non-empty matcher".to_owned();
            let of_series = Failure::parameter("match[]", &why);
            assert_eq!(params.selectors().unwrap_err(), Failure::BadData(why), "{text}");
            assert_eq!(params.required_selectors().unwrap_err(), of_series, "{text}");
        }
    }

    #[test]
    fn a_query_that_may_take_no_time_has_taken_it() {
        let timeout = |query| Params::new(Some(query), b"").timeout(Duration::from_secs(9));
        for (query, expected) in [("timeout=5s", 5), ("timeout=1h", 9), ("", 9)] {
            assert_eq!(timeout(query).unwrap(), Duration::from_secs(expected), "{query}");
        }
        for query in ["timeout=0", "timeout=-1", "timeout=0s"] {
            assert!(matches!(timeout(query), Err(Failure::Timeout(_))), "{query}");
        }
    }

    #[test]
    fn a_form_comes_before_the_query_string_and_empty_values_do_not_count() {
        let params = Params::new(Some("query=3&a=1&match[]=x"), b"query=up%2B1&match%5B%5D=y+z");
        assert_eq!(params.first("query"), Some("up+1"));
        assert_eq!(params.all("match[]").collect::<Vec<_>>(), ["y z", "x"]);
        assert_eq!(Params::new(Some("query=3"), b"query=").first("query"), Some("3"));
        assert_eq!(params.first("b"), None);
    }
}
