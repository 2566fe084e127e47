//! Certificates that clients are shown: said where people look before they end, and when they have.
//!
//! The receiver keeps when each file ends as a series; this compares it with the clock.

use std::time::Duration;

use super::shown::View;
use crate::telemetry::registry::Value;
use crate::telemetry::{Registry, desc};

/// How long before its end a certificate is worth saying.
const SOON: Duration = Duration::from_hours(7 * 24);
/// How often the log is told when something has changed.
const INTERVAL: Duration = Duration::from_secs(60);
const DAY: f64 = 86_400.0;

/// Files whose certificates have ended or end within [`SOON`], in a sentence each.
pub(super) fn trouble(registry: &Registry, now_seconds: f64) -> Vec<String> {
    let family = registry.family(desc::TLS_CERTIFICATE_EXPIRY.name);
    let series = family.map(|(_, series)| series).unwrap_or_default();
    let sentence = |labels: &[String], expiry: f64| {
        let [file] = labels else { return None };
        let left = expiry - now_seconds;
        let rough = rough(left.abs());
        if left <= 0.0 {
            Some(format!(
                "the certificate in {file} expired {rough} ago: peers refuse it; replace the file, it is read again \
                 within its reload_interval"
            ))
        } else if left < SOON.as_secs_f64() {
            Some(format!("the certificate in {file} expires in {rough}: replace the file"))
        } else {
            None
        }
    };
    let level = |value: &Value| match *value {
        Value::Level(expiry) => Some(expiry),
        Value::Count(_) => None,
    };
    series.iter().filter_map(|(labels, value)| sentence(labels, level(value)?)).collect()
}

/// Days, or hours where it is less than two of them.
fn rough(seconds: f64) -> String {
    let days = seconds / DAY;
    if days < 2.0 { format!("{:.0} h", days * 24.0) } else { format!("{:.0} d", days.floor()) }
}

/// Says in the log what [`trouble`] says, whenever that changes.
pub(super) async fn watch(view: View) {
    let mut said = Vec::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        ticks.tick().await;
        let trouble = trouble(&view.registry, view.now_seconds());
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
}
