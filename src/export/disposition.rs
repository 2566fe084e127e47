//! What an answer means for a batch: one table for gRPC, one for HTTP.
//!
//! Source: OTLP specification 1.11, "Failures"; what condemns a destination rather than the data
//! (wrong credentials, wrong path, a redirect) holds the lane instead of dropping batch after batch.

use std::fmt;

use super::config::Retry;

/// How a destination answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// A gRPC status code, 0 to 16.
    Grpc(u8),
    /// An HTTP status code.
    Http(u16),
}

/// What to do with the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is theirs.
    Delivered,
    /// The same bytes may be taken later.
    Retry,
    /// Nothing will be taken until somebody changes the configuration, here or there.
    Hold,
    /// These bytes will never be taken.
    Refused,
}

const GRPC: [(&str, Disposition); 17] = [
    ("OK", Disposition::Delivered),
    ("CANCELLED", Disposition::Retry),
    ("UNKNOWN", Disposition::Refused),
    ("INVALID_ARGUMENT", Disposition::Refused),
    ("DEADLINE_EXCEEDED", Disposition::Retry),
    ("NOT_FOUND", Disposition::Refused),
    ("ALREADY_EXISTS", Disposition::Refused),
    ("PERMISSION_DENIED", Disposition::Hold),
    ("RESOURCE_EXHAUSTED", Disposition::Refused),
    ("FAILED_PRECONDITION", Disposition::Refused),
    ("ABORTED", Disposition::Retry),
    ("OUT_OF_RANGE", Disposition::Retry),
    ("UNIMPLEMENTED", Disposition::Hold),
    ("INTERNAL", Disposition::Refused),
    ("UNAVAILABLE", Disposition::Retry),
    ("DATA_LOSS", Disposition::Retry),
    ("UNAUTHENTICATED", Disposition::Hold),
];

const RESOURCE_EXHAUSTED: u8 = 8;

impl Status {
    /// A gRPC code as it stands in a response; what the protocol does not define is UNKNOWN.
    #[must_use]
    pub fn from_grpc_code(code: u32) -> Self {
        Self::Grpc(u8::try_from(code).ok().filter(|&c| c <= 16).unwrap_or(2))
    }

    /// What the status of an HTTP response without `grpc-status` means to a gRPC client: a proxy
    /// answered in the server's place (gRPC, "HTTP to gRPC Status Code Mapping"; to it are added a redirect and 405,
    /// which say the same of the destination as 404).
    #[must_use]
    pub const fn from_http_to_grpc(status: u16) -> Self {
        Self::Grpc(match status {
            400 => 13,
            401 => 16,
            403 => 7,
            300..=399 | 404 | 405 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        })
    }

    /// What to do with a batch that was answered so; `asked_to_wait` says whether the answer named a
    /// delay (RetryInfo, Retry-After).
    #[must_use]
    pub fn disposition(self, asked_to_wait: bool, policy: &Retry) -> Disposition {
        let found = match self {
            Self::Grpc(RESOURCE_EXHAUSTED) if asked_to_wait => Disposition::Retry,
            Self::Grpc(code) => {
                GRPC.get(usize::from(code)).map_or(Disposition::Refused, |(_, found)| *found)
            }
            Self::Http(code) if policy.extra_http_statuses.contains(&code) => Disposition::Retry,
            Self::Http(200..=299) => Disposition::Delivered,
            Self::Http(429 | 502 | 503 | 504) => Disposition::Retry,
            Self::Http(300..=399 | 401 | 403 | 404 | 405) => Disposition::Hold,
            Self::Http(_) => Disposition::Refused,
        };
        found.under(policy)
    }
}

impl Disposition {
    /// What becomes of it where retries or holding are switched off.
    #[must_use]
    pub(super) const fn under(self, policy: &Retry) -> Self {
        match self {
            Self::Hold if !policy.hold_on_config_error => Self::Refused,
            Self::Retry | Self::Hold if !policy.enabled => Self::Refused,
            found => found,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc(code) => f.write_str(GRPC.get(usize::from(*code)).map_or("?", |(n, _)| n)),
            Self::Http(code) => write!(f, "HTTP {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(code: u8, asked: bool, policy: &Retry) -> Disposition {
        Status::Grpc(code).disposition(asked, policy)
    }

    #[test]
    fn every_grpc_code_is_retried_held_or_refused_as_the_specification_says() {
        let policy = Retry::default();
        for code in 0..=16 {
            let want = match code {
                0 => Disposition::Delivered,
                1 | 4 | 10 | 11 | 14 | 15 => Disposition::Retry,
                7 | 12 | 16 => Disposition::Hold,
                _ => Disposition::Refused,
            };
            assert_eq!(names(code, false, &policy), want, "{}", Status::Grpc(code));
        }
        assert_eq!(names(8, true, &policy), Disposition::Retry);
        assert_eq!(
            names(3, true, &policy),
            Disposition::Refused,
            "RetryInfo makes nothing else so"
        );
        assert_eq!(Status::from_grpc_code(99), Status::Grpc(2));
    }

    #[test]
    fn every_http_status_is_retried_held_or_refused_as_the_specification_says() {
        let policy = Retry::default();
        for code in 200..=599_u16 {
            let want = match code {
                200..=299 => Disposition::Delivered,
                429 | 502 | 503 | 504 => Disposition::Retry,
                300..=399 | 401 | 403 | 404 | 405 => Disposition::Hold,
                _ => Disposition::Refused,
            };
            for asked in [false, true] {
                assert_eq!(Status::Http(code).disposition(asked, &policy), want, "{code}");
            }
        }
    }

    #[test]
    fn the_switches_change_what_they_name_and_nothing_else() {
        let letter = Retry { hold_on_config_error: false, ..Retry::default() };
        assert_eq!(names(16, false, &letter), Disposition::Refused);
        assert_eq!(names(14, false, &letter), Disposition::Retry);
        let off = Retry { enabled: false, ..Retry::default() };
        assert_eq!(names(14, false, &off), Disposition::Refused);
        assert_eq!(names(0, false, &off), Disposition::Delivered);
        let extra = Retry { extra_http_statuses: vec![500], ..Retry::default() };
        assert_eq!(Status::Http(500).disposition(false, &extra), Disposition::Retry);
        assert_eq!(Status::Http(501).disposition(false, &extra), Disposition::Refused);
    }

    #[test]
    fn a_proxy_in_front_of_a_grpc_server_is_understood() {
        let policy = Retry::default();
        for (http, want) in [
            (503, Disposition::Retry),
            (404, Disposition::Hold),
            (403, Disposition::Hold),
            (301, Disposition::Hold),
            (308, Disposition::Hold),
            (405, Disposition::Hold),
            (400, Disposition::Refused),
            (418, Disposition::Refused),
        ] {
            assert_eq!(Status::from_http_to_grpc(http).disposition(false, &policy), want, "{http}");
        }
    }
}
