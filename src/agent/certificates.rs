//! Certificates that clients are shown: said where people look before they end, when they have, and before they begin.
//!
//! The receiver keeps when each file begins and ends as series; this compares them with the clock.

use std::sync::Arc;
use std::time::Duration;

use crate::telemetry::registry::Value;
use crate::telemetry::{Desc, Registry, desc};
use crate::time::Clock;

/// How long before its end a certificate is worth saying; a quarter of its life where that is less, as of those that
/// something makes anew every day.
const SOON: Duration = Duration::from_hours(7 * 24);
/// How often the log is told when something has changed.
const INTERVAL: Duration = Duration::from_secs(60);
const DAY: f64 = 86_400.0;

/// Files whose certificates have not begun, have ended or end within [`SOON`], in a sentence each.
pub(super) fn trouble(registry: &Registry, now_seconds: f64) -> Vec<String> {
    let early = |(file, begin): (String, f64)| {
        let left = begin - now_seconds;
        (left > 0.0).then(|| {
            let rough = rough(left);
            format!(
                "the certificate in {file} is not valid yet, and will be in {rough}: peers refuse it; set this machine's \
                 clock, or replace the file"
            )
        })
    };
    let begins = times(registry, &desc::TLS_CERTIFICATE_START);
    let late = |(file, expiry): (String, f64)| {
        let left = expiry - now_seconds;
        let rough = rough(left.abs());
        let begin = begins.iter().find(|(of, _)| *of == file);
        let quarter = begin.map_or(f64::INFINITY, |(_, begin)| (expiry - begin) / 4.0);
        if left <= 0.0 {
            Some(format!(
                "the certificate in {file} expired {rough} ago: peers refuse it; replace the file, it is read again \
                 within its reload_interval"
            ))
        } else if left < SOON.as_secs_f64().min(quarter) {
            Some(format!("the certificate in {file} expires in {rough}: replace the file"))
        } else {
            None
        }
    };
    let early = begins.iter().cloned().filter_map(early);
    let late = times(registry, &desc::TLS_CERTIFICATE_EXPIRY).into_iter().filter_map(late);
    early.chain(late).collect()
}

/// What a series of each file says.
fn times(registry: &Registry, desc: &Desc) -> Vec<(String, f64)> {
    let series = registry.family(desc.name).map(|(_, series)| series).unwrap_or_default();
    let time = |(labels, value): (Vec<String>, Value)| match (labels.as_slice(), value) {
        ([file], Value::Level(time)) => Some((file.clone(), time)),
        _ => None,
    };
    series.into_iter().filter_map(time).collect()
}

/// Days, or hours where it is less than two of them.
fn rough(seconds: f64) -> String {
    let days = seconds / DAY;
    if days < 2.0 { format!("{:.0} h", days * 24.0) } else { format!("{:.0} d", days.floor()) }
}

/// Says in the log what [`trouble`] says, whenever that changes.
pub(super) async fn watch(registry: Registry, clock: Arc<dyn Clock>) {
    let mut said = Vec::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let trouble = trouble(&registry, clock.unix_nano().as_seconds_f64());
        for reason in trouble.iter().filter(|reason| !said.contains(*reason)) {
            tracing::warn!("{reason}");
        }
        said = trouble;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_spoken_of_a_week_before_it_ends_and_when_it_has() {
        let registry = Registry::default();
        assert!(trouble(&registry, 0.0).is_empty());
        registry.gauge(&desc::TLS_CERTIFICATE_EXPIRY, &["/tls.crt"]).set(100.0 * DAY);
        assert!(trouble(&registry, 92.0 * DAY).is_empty());
        let soon = trouble(&registry, 97.5 * DAY);
        assert_eq!(soon, ["the certificate in /tls.crt expires in 2 d: replace the file"]);
        let soon = trouble(&registry, 99.5 * DAY);
        assert_eq!(soon, ["the certificate in /tls.crt expires in 12 h: replace the file"]);
        let over = trouble(&registry, 103.0 * DAY);
        assert!(over[0].starts_with("the certificate in /tls.crt expired 3 d ago"), "{over:?}");
    }

    #[test]
    fn a_certificate_of_a_day_is_spoken_of_in_its_last_quarter() {
        let registry = Registry::default();
        registry.gauge(&desc::TLS_CERTIFICATE_START, &["/tls.crt"]).set(99.0 * DAY);
        registry.gauge(&desc::TLS_CERTIFICATE_EXPIRY, &["/tls.crt"]).set(100.0 * DAY);
        assert!(trouble(&registry, 99.7 * DAY).is_empty());
        let soon = trouble(&registry, 99.8 * DAY);
        assert_eq!(soon, ["the certificate in /tls.crt expires in 5 h: replace the file"]);
    }

    #[test]
    fn a_certificate_that_is_not_valid_yet_is_spoken_of_until_it_is() {
        let registry = Registry::default();
        registry.gauge(&desc::TLS_CERTIFICATE_START, &["/tls.crt"]).set(100.0 * DAY);
        registry.gauge(&desc::TLS_CERTIFICATE_EXPIRY, &["/tls.crt"]).set(200.0 * DAY);
        let early = trouble(&registry, 60.5 * DAY);
        let said = "the certificate in /tls.crt is not valid yet, and will be in 39 d: peers";
        assert!(early.len() == 1 && early[0].starts_with(said), "{early:?}");
        assert!(trouble(&registry, 100.0 * DAY).is_empty());
    }
}
