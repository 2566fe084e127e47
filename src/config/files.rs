//! The certificates, keys and tokens that a configuration names: whether they are there, and for how long.
//!
//! Findings are warnings: a configuration is often checked on another machine than the one that it is for. The
//! agent itself reads the files again, and says what it cannot use. Source: RFC 5280, section 4.1.

use std::io::Read as _;
use std::path::Path;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::check::{Val, Values};
use crate::time::UnixNano;
use crate::yaml::Finding;

/// A larger file is not looked into.
const FILE_BYTES_MAX: u64 = 4 << 20;

#[derive(Clone, Copy)]
enum Holds {
    /// What is shown to a peer.
    Certificate,
    /// Who is believed.
    Authorities,
    Key,
    Token,
}

const KEYS: [(&str, Holds); 6] = [
    ("cert_file", Holds::Certificate),
    ("ca_file", Holds::Authorities),
    ("client_ca_file", Holds::Authorities),
    ("key_file", Holds::Key),
    ("bearer_token_file", Holds::Token),
    ("token_file", Holds::Token),
];

/// What is wrong with the files at `now`.
pub(super) fn look(values: &Values, now: UnixNano) -> Vec<Finding> {
    let of = |(key, given): (&String, &super::check::Given)| {
        let name = key.rsplit('.').next()?;
        let (_, holds) = KEYS.iter().find(|(known, _)| *known == name)?;
        let Val::Text(path) = &given.value else { return None };
        let (message, help) = wrong(Path::new(path), *holds, now)?;
        Some(Finding::warning(given.span, format!("`{path}` {message}")).help(help))
    };
    values.given.iter().filter_map(of).collect()
}

/// What is wrong with one file, and what to do.
fn wrong(path: &Path, holds: Holds, now: UnixNano) -> Option<(String, &'static str)> {
    const THERE: &str = "it must be there, for the agent's user to read, before the agent starts";
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Some((format!("cannot be read: {error}"), THERE));
    }
    let pem = "write it in PEM: `-----BEGIN …`";
    match holds {
        Holds::Token => {
            let empty = bytes.trim_ascii().is_empty();
            empty.then(|| ("is empty".to_owned(), "write the token into it"))
        }
        Holds::Key => {
            let unusable = PrivateKeyDer::from_pem_slice(&bytes).is_err();
            unusable.then(|| ("holds no private key".to_owned(), pem))
        }
        Holds::Certificate | Holds::Authorities => {
            let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
            let certificates = all.unwrap_or_default();
            let Some(first) = certificates.first() else {
                return Some(("holds no certificate".to_owned(), pem));
            };
            // Bundles carry authorities that ended long ago; one that stands alone is meant.
            if matches!(holds, Holds::Authorities) && certificates.len() > 1 {
                return None;
            }
            let (from, until) = validity(first)?;
            let seconds = i64::try_from(now.0 / 1_000_000_000).unwrap_or(i64::MAX);
            if seconds > until {
                let days = (seconds - until) / 86_400;
                return Some((
                    format!("holds a certificate that expired {days} days ago"),
                    "renew it",
                ));
            }
            let early = seconds < from;
            early.then(|| {
                ("holds a certificate that is not valid yet".to_owned(), "see this machine's clock")
            })
        }
    }
}

/// From when until when a certificate is valid, in seconds since 1970.
fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    const SEQUENCE: u8 = 0x30;
    const EXPLICIT_VERSION: u8 = 0xa0;
    let (_, certificate, _) = element(certificate)?;
    let (_, mut fields, _) = element(certificate)?;
    // version (optional), serial number, signature, issuer, then validity
    let mut sequences = 0;
    loop {
        let (tag, content, rest) = element(fields)?;
        fields = rest;
        if tag == EXPLICIT_VERSION || tag != SEQUENCE {
            continue;
        }
        sequences += 1;
        if sequences == 3 {
            let (from_tag, from, rest) = element(content)?;
            let (until_tag, until, _) = element(rest)?;
            return Some((seconds(from_tag, from)?, seconds(until_tag, until)?));
        }
    }
}

/// The first DER element: tag, content and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
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

/// A UTCTime (`YYMMDDhhmmssZ`) or GeneralizedTime (`YYYYMMDDhhmmssZ`) in seconds since 1970.
fn seconds(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let (year, rest) = match tag {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let field = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (field(0)?, field(2)?);
    let (hour, minute, second) = (field(4)?, field(6)?, field(8)?);
    // Days of the proleptic Gregorian calendar, from a year that begins in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let days = of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1;
    Some((era * 146_097 + days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNano = UnixNano(1_795_000_000_000_000_000);

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
    fn what_is_wrong_with_a_file_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
        let mut pem = |from, until| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(until, 1, 1);
            params.self_signed(&key).unwrap().pem()
        };
        let (good, old, early) = (pem(2000, 2100), pem(2000, 2020), pem(2090, 2100));
        for (text, holds, want) in [
            (good.as_str(), Holds::Certificate, None),
            (&old, Holds::Certificate, Some("expired 2513 days ago")),
            (&old, Holds::Authorities, Some("expired")),
            (&format!("{old}{good}"), Holds::Authorities, None),
            (&early, Holds::Certificate, Some("not valid yet")),
            (&good, Holds::Key, Some("no private key")),
            (&key.serialize_pem(), Holds::Key, None),
            ("garbage", Holds::Certificate, Some("no certificate")),
            (" \n", Holds::Token, Some("is empty")),
            ("secret", Holds::Token, None),
        ] {
            let path = dir.path().join("file");
            std::fs::write(&path, text).unwrap();
            let found = wrong(&path, holds, NOW).map(|(message, _)| message);
            match want {
                None => assert_eq!(found, None),
                Some(want) => {
                    assert!(found.as_ref().is_some_and(|m| m.contains(want)), "{found:?}")
                }
            }
        }
        let missing = wrong(&dir.path().join("none"), Holds::Token, NOW).unwrap().0;
        assert!(missing.starts_with("cannot be read: "), "{missing}");
    }

    #[test]
    fn every_option_that_names_such_a_file_is_looked_at() {
        let known = |key: &str| KEYS.iter().any(|(known, _)| key.rsplit('.').next() == Some(known));
        for option in super::super::table::SECTIONS.iter().flat_map(|section| section.options) {
            assert_eq!(option.key.ends_with("_file"), known(option.key), "{}", option.key);
        }
    }
}
