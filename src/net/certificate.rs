//! When certificates are valid: as much of DER as leads there. Pure.
//!
//! ```text
//! Certificate SEQUENCE ─ tbsCertificate SEQUENCE ─ [0] version? │ serial │ algorithm │ issuer │ validity SEQUENCE
//!                                                                                   notBefore │ notAfter ┘
//! ```
//! Nothing is verified here: rustls does that. Source: RFC 5280 section 4.1, X.690.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use time::{Date, Month, PrimitiveDateTime, Time};

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// From when until when each of the certificates in `pem` that can be read is valid, in seconds since 1970.
pub fn validities(pem: &[u8]) -> impl Iterator<Item = (i64, i64)> {
    let certificates = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok);
    certificates.filter_map(|der| validity(&der))
}

/// From when until when a certificate is valid, in seconds since 1970; `None` when it cannot be read.
#[must_use]
pub fn validity(der: &[u8]) -> Option<(i64, i64)> {
    let (certificate, _) = of(SEQUENCE, der)?;
    let (mut rest, _) = of(SEQUENCE, certificate)?;
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    for _serial_algorithm_issuer in 0..3 {
        rest = element(rest)?.2;
    }
    let (validity, _) = of(SEQUENCE, rest)?;
    let (from_tag, from, rest) = element(validity)?;
    let (until_tag, until, _) = element(rest)?;
    Some((seconds(from_tag, from)?, seconds(until_tag, until)?))
}

/// Whole days, in words: `5 days`, `1 day`, `less than a day`.
#[must_use]
pub fn days(seconds: u64) -> String {
    match seconds / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// `YYMMDDHHMMSSZ` before 2050, `YYYYMMDDHHMMSSZ` from then on.
fn seconds(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let year: i32 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let date = Date::from_calendar_date(year, Month::try_from(part(0)?).ok()?, part(2)?).ok()?;
    let time = Time::from_hms(part(4)?, part(6)?, part(8)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

/// The content of an element with this tag, and what follows it.
fn of(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(der)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = der.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn until(year: i32, month: u8, day: u8) -> String {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1999, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn times_of_certificates_are_read() {
        for (tag, text, want) in [
            (0x17, "700101000000Z", Some(0)),
            (0x17, "491231235959Z", Some(2_524_607_999)),
            (0x18, "20000229120000Z", Some(951_825_600)),
            (0x18, "20261121070000Z", Some(1_795_244_400)),
            (0x18, "2026", None),
            (0x02, "20261121070000Z", None),
        ] {
            assert_eq!(seconds(tag, text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn every_certificate_of_a_file_has_its_beginning_and_its_end() {
        let (old, new, far) = (until(2001, 2, 3), until(2031, 12, 31), until(2061, 1, 1));
        let chain = format!("{far}{old}{new}");
        let all: Vec<_> = validities(chain.as_bytes()).collect();
        // 1 January 1999.
        let from = 915_148_800;
        assert_eq!(all, [(from, 2_871_763_200), (from, 981_158_400), (from, 1_956_441_600)]);
    }

    #[test]
    fn what_is_no_certificate_says_nothing() {
        assert_eq!(validities(b"").count(), 0);
        let empty = b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        assert_eq!(validities(empty).count(), 0);
        let der = CertificateDer::from_pem_slice(until(2031, 1, 1).as_bytes()).unwrap();
        for end in 0..der.len() {
            // Cut short its lengths say more than there is.
            assert_eq!(validity(&der[..end]), None);
        }
    }
}
