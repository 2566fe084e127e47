//! The certificates, keys and tokens that a configuration names: whether they are there, and for how long.
//!
//! Findings are warnings: a configuration is often checked on another machine than the one that it is for. The
//! agent itself reads the files again, and does not start without those of its listeners and of the admin endpoint.
//! Source: RFC 5280, section 4.1.

use std::io::Read as _;
use std::path::Path;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Config;
use super::check::{Val, Values};
use crate::net::{certificate, token};
use crate::receive::Listener;
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

/// What is wrong with the files at `now`, those of `config`, which is made of `values`.
pub(super) fn look(values: &Values, config: &Config, now: UnixNano) -> Vec<Finding> {
    let of = |(key, given): (&String, &super::check::Given)| {
        let name = key.rsplit('.').next()?;
        let (_, holds) = KEYS.iter().find(|(known, _)| *known == name)?;
        let Val::Text(path) = &given.value else { return None };
        let path = Path::new(path);
        let wrong = wrong(path, *holds, now)?;
        let own = starts_with(config, key, path);
        Some(
            Finding::warning(given.span, format!("`{}` {}", path.display(), wrong.message))
                .help(wrong.help)
                .stops_start(own && wrong.unusable)
                .refuses_peers(own && !wrong.unusable),
        )
    };
    values.given.iter().filter_map(of).collect()
}

/// Whether the agent reads the file at `path` of `key` before it serves: that of the admin endpoint, and those of its
/// listeners. Those of destinations are read when there is something to send, and again until they can be.
fn starts_with(config: &Config, key: &str, path: &Path) -> bool {
    let reads = |listener: &Listener| {
        let tls = listener.tls.iter().flat_map(|tls| {
            [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca_file.as_ref()]
        });
        let token = listener.auth.iter().map(|auth| &auth.bearer_token_file);
        tls.flatten().chain(token).any(|read| read == path)
    };
    key.starts_with("admin.")
        || key.starts_with("receivers.") && config.receive.listeners.iter().any(reads)
}

struct Wrong {
    message: String,
    help: &'static str,
    /// It cannot be started with; otherwise it is out of time, which may be mended meanwhile.
    unusable: bool,
}

/// What is wrong with one file, and what to do.
fn wrong(path: &Path, holds: Holds, now: UnixNano) -> Option<Wrong> {
    const THERE: &str = "it must be there, for the agent's user to read, before the agent starts";
    let unusable =
        |message: &str, help| Some(Wrong { message: message.to_owned(), help, unusable: true });
    let out_of_time = |message, help| Some(Wrong { message, help, unusable: false });
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    let read = file.and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    if let Err(error) = read {
        return unusable(&format!("cannot be read: {error}"), THERE);
    }
    let pem = "write it in PEM: `-----BEGIN …`";
    match holds {
        Holds::Token if token::of(&bytes).is_none() => {
            unusable("does not hold one line of text", "write the token into it, and nothing else")
        }
        Holds::Token => None,
        Holds::Key if PrivateKeyDer::from_pem_slice(&bytes).is_err() => {
            unusable("holds no private key", pem)
        }
        Holds::Key => None,
        Holds::Certificate | Holds::Authorities => {
            let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
            let certificates = all.unwrap_or_default();
            let Some(first) = certificates.first() else {
                return unusable("holds no certificate", pem);
            };
            // Bundles carry authorities that ended long ago; one that stands alone is meant.
            if matches!(holds, Holds::Authorities) && certificates.len() > 1 {
                return None;
            }
            let (from, until) = certificate::validity(first)?;
            let seconds = i64::try_from(now.0 / 1_000_000_000).unwrap_or(i64::MAX);
            if seconds > until {
                let ago = certificate::days(until.abs_diff(seconds));
                let message = format!("holds a certificate that expired {ago} ago");
                return out_of_time(message, "renew it");
            }
            let message = "holds a certificate that is not valid yet".to_owned();
            if seconds < from { out_of_time(message, "see this machine's clock") } else { None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixNano = UnixNano(1_795_000_000_000_000_000);

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
        // NOW is 2026-11-18, 11:06:40.
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 11, 17);
        let over = params.self_signed(&key).unwrap().pem();
        for (text, holds, want) in [
            (good.as_str(), Holds::Certificate, None),
            (&old, Holds::Certificate, Some("expired 2513 days ago")),
            (&over, Holds::Certificate, Some("expired 1 day ago")),
            (&old, Holds::Authorities, Some("expired")),
            (&format!("{old}{good}"), Holds::Authorities, None),
            (&early, Holds::Certificate, Some("not valid yet")),
            (&good, Holds::Key, Some("no private key")),
            (&key.serialize_pem(), Holds::Key, None),
            ("garbage", Holds::Certificate, Some("no certificate")),
            (" \n", Holds::Token, Some("does not hold one line")),
            ("two\nlines", Holds::Token, Some("does not hold one line")),
            ("secret", Holds::Token, None),
        ] {
            let path = dir.path().join("file");
            std::fs::write(&path, text).unwrap();
            let found = wrong(&path, holds, NOW).map(|wrong| wrong.message);
            match want {
                None => assert_eq!(found, None),
                Some(want) => {
                    assert!(found.as_ref().is_some_and(|m| m.contains(want)), "{found:?}")
                }
            }
        }
        let missing = wrong(&dir.path().join("none"), Holds::Token, NOW).unwrap().message;
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
