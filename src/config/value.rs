//! Scalars: what a text means as a size, a time, a number, an address. Pure.

use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Bytes, from `ByteSize` text: a number, perhaps with a fraction, and `B`, `KiB`, `MiB`, `GiB`,
/// `TiB` (powers of 1024) or `KB`, `MB`, `GB`, `TB` (powers of 1000); no unit means bytes.
pub(super) fn byte_size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text.trim());
    let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "ki" => 1 << 10,
        "mib" | "mi" => 1 << 20,
        "gib" | "gi" => 1 << 30,
        "tib" | "ti" => 1 << 40,
        "kb" | "k" => 1_000,
        "mb" | "m" => 1_000_000,
        "gb" | "g" => 1_000_000_000,
        "tb" | "t" => 1_000_000_000_000,
        _ => return None,
    };
    scaled(number, factor)
}

/// A time as Go and Prometheus write it: `4ms`, `1m30s`, `1.5h`, `15d`; also `us`, `ns`, `w`, `y`.
/// A bare `0` is zero; any other number needs a unit.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut nanos: u64 = 0;
    while !rest.is_empty() || nanos == 0 {
        let (number, tail) = split_number(rest);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let factor: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "w" => 604_800_000_000_000,
            "y" => 31_536_000_000_000_000,
            _ => return None,
        };
        nanos = nanos.checked_add(scaled(number, factor)?)?;
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    Some(Duration::from_nanos(nanos))
}

fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_');
    text.split_at(end.unwrap_or(text.len()))
}

/// `number`, which may have a fraction, times `factor`; exact for whole numbers.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let whole: u64 = whole.parse().ok()?;
    let fraction: &str = fraction.get(..fraction.len().min(9))?;
    let tenths: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = u64::try_from(tenths * u128::from(factor) / scale).ok()?;
    whole.checked_mul(factor)?.checked_add(part)
}

/// A whole number; `_` may group digits.
pub(super) fn integer(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if digits { text.replace('_', "").parse().ok() } else { None }
}

/// A number of the YAML core schema, finite.
pub(super) fn float(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// A boolean of the YAML 1.2 core schema; `yes` and `on` are text there.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// An address to listen on: `IP:port`, `[IPv6]:port` or `localhost:port`.
pub(super) fn listen(text: &str) -> Option<SocketAddr> {
    match text.trim().split_once("localhost:") {
        Some(("", port)) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        _ => text.trim().parse().ok(),
    }
}

/// `text` with the brackets that it lacks: an IPv6 address and a port, which cannot be told apart without them.
pub(super) fn bracketed(text: &str) -> Option<String> {
    let (scheme, rest) = match text.trim().split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text.trim()),
    };
    let (host, port) = rest.trim_end_matches('/').rsplit_once(':')?;
    host.parse::<Ipv6Addr>().ok()?;
    port.parse::<u16>().ok()?;
    Some(format!("{scheme}[{host}]:{port}"))
}

/// Bytes as they are written in the documentation: the largest unit that gives a whole number.
pub(super) fn show_byte_size(bytes: u64) -> String {
    for (unit, factor) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

/// A time as it is written in the documentation: the largest unit that gives a whole number.
pub(super) fn show_duration(time: Duration) -> String {
    let nanos = time.as_nanos();
    let units: [(&str, u128); 6] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
    ];
    for (unit, factor) in units {
        if nanos >= factor && nanos.is_multiple_of(factor) {
            return format!("{}{unit}", nanos / factor);
        }
    }
    if nanos == 0 { "0s".to_owned() } else { format!("{nanos}ns") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_have_binary_and_decimal_units() {
        let cases = [
            ("0", Some(0)),
            ("17", Some(17)),
            ("1_000", Some(1_000)),
            ("64KiB", Some(65_536)),
            ("64 kib", Some(65_536)),
            ("3.5MiB", Some(3_670_016)),
            ("1.5KB", Some(1_500)),
            ("2GiB", Some(2 << 30)),
            ("1TB", Some(1_000_000_000_000)),
            ("128Mi", Some(128 << 20)),
            ("MiB", None),
            ("-1", None),
            ("1.2.3MiB", None),
            ("99999999999999999999", None),
            ("99999999999TiB", None),
            ("5 apples", None),
            ("", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(byte_size(text), bytes, "{text}");
        }
    }

    #[test]
    fn durations_are_go_and_prometheus_durations() {
        let cases = [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("4ms", Some(4_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            ("15d", Some(1_296_000_000_000_000)),
            ("250us", Some(250_000)),
            ("1w", Some(604_800_000_000_000)),
            ("30", None),
            ("s", None),
            ("", None),
            ("-3s", None),
            ("3 s", None),
            ("10lightyears", None),
            ("99999999y", None),
        ];
        for (text, nanos) in cases {
            assert_eq!(duration(text), nanos.map(Duration::from_nanos), "{text}");
        }
    }

    #[test]
    fn a_listener_is_an_ip_address_and_a_port() {
        assert_eq!(listen("127.0.0.1:4317"), Some(([127, 0, 0, 1], 4317).into()));
        assert_eq!(listen("localhost:0"), Some(([127, 0, 0, 1], 0).into()));
        assert!(listen("[::]:4318").is_some());
        assert_eq!((listen(":4317"), listen("4317"), listen("h:1")), (None, None, None));
        assert_eq!(listen("1.2.3.4:70000"), None);
    }

    #[test]
    fn an_ipv6_address_with_a_port_gets_its_brackets() {
        for (text, want) in [
            ("::1:22464", Some("[::1]:22464")),
            ("fd00::7:9464", Some("[fd00::7]:9464")),
            (":::4317", Some("[::]:4317")),
            ("http://fd00::7:4318/", Some("http://[fd00::7]:4318")),
            (":4317", None),
            ("[::1]:4317", None),
            ("127.0.0.1:4317", None),
            ("fd00::70000", None),
            ("h:1", None),
        ] {
            assert_eq!(bracketed(text).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn numbers_and_booleans_are_those_of_the_core_schema() {
        assert_eq!((integer("128"), integer("1.5"), integer("-1")), (Some(128), None, None));
        assert_eq!((float("1.5"), float("nan"), float("x")), (Some(1.5), None, None));
        assert_eq!(
            (boolean("true"), boolean("yes"), boolean("False")),
            (Some(true), None, Some(false))
        );
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes in 0_u64..1 << 50, nanos in 0_u64..1 << 60) {
            prop_assert_eq!(byte_size(&show_byte_size(bytes)), Some(bytes));
            let time = Duration::from_nanos(nanos);
            prop_assert_eq!(duration(&show_duration(time)), Some(time));
        }

        #[test]
        fn no_text_makes_a_scalar_panic(text in "\\PC{0,40}") {
            let _ = (byte_size(&text), duration(&text), integer(&text), float(&text), listen(&text));
        }
    }
}
