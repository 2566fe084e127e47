//! What requests say of themselves, as the closed sets of words that may become labels.
//!
//! Source: OpenTelemetry semantic conventions 1.44, HTTP and RPC. A method, scheme or version that they do not know is `_OTHER`.

use http::header::{CONTENT_TYPE, HeaderMap};

use crate::interned::OTHER;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($variant:ident = $text:expr),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum $name { $($variant),+ }

        impl $name {
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

words! {
    /// `http.request.method`.
    Method: Other = OTHER, Get = "GET", Head = "HEAD", Post = "POST", Put = "PUT", Delete = "DELETE", Connect = "CONNECT",
    Options = "OPTIONS", Trace = "TRACE", Patch = "PATCH", Query = "QUERY",
}

words! {
    /// `url.scheme`.
    Scheme: Http = "http", Https = "https", Other = OTHER,
}

words! {
    /// `network.protocol.version`.
    Version: Other = OTHER, Http09 = "0.9", Http10 = "1.0", Http11 = "1.1", Http2 = "2", Http3 = "3",
}

words! {
    /// How an exchange went wrong, where its status does not say so: `error.type`.
    #[cfg_attr(not(feature = "reqwest"), expect(dead_code, reason = "only reqwest tells timeouts and connections"))]
    Fault: None = "", Cancelled = "cancelled", Panic = "panic", Timeout = "timeout", Connect = "connect", Body = "body",
    Error = OTHER,
}

impl Method {
    pub(crate) fn of(method: &http::Method) -> Self {
        match method.as_str() {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            "PATCH" => Self::Patch,
            "QUERY" => Self::Query,
            _ => Self::Other,
        }
    }

    /// What a span is called: a method that is not known is `HTTP`.
    pub(crate) fn span_word(self) -> &'static str {
        if self == Self::Other { "HTTP" } else { self.text() }
    }
}

impl Scheme {
    /// A request line without a scheme came to a server that knows no other.
    pub(crate) fn of(scheme: Option<&str>) -> Self {
        match scheme {
            None => Self::Http,
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => Self::Http,
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => Self::Https,
            Some(_) => Self::Other,
        }
    }
}

impl Version {
    pub(crate) fn of(version: http::Version) -> Self {
        match version {
            http::Version::HTTP_09 => Self::Http09,
            http::Version::HTTP_10 => Self::Http10,
            http::Version::HTTP_11 => Self::Http11,
            http::Version::HTTP_2 => Self::Http2,
            http::Version::HTTP_3 => Self::Http3,
            _ => Self::Other,
        }
    }
}

/// Whether a request is a gRPC call.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| {
        // gRPC-web ends otherwise: its status is in the body.
        kind.as_bytes()
            .strip_prefix(b"application/grpc")
            .is_some_and(|rest| !rest.starts_with(b"-"))
    })
}

/// The status of a gRPC call in headers or trailers.
pub(crate) fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse::<u16>().ok()?;
    // A code of no name means unknown.
    Some(if code <= 16 { code } else { 2 })
}

/// The name of a gRPC status.
pub(crate) fn grpc_word(code: u16) -> &'static str {
    const WORDS: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    WORDS.get(usize::from(code)).copied().unwrap_or("UNKNOWN")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_is_not_known_is_one_word() {
        let own = http::Method::from_bytes(b"PURGE").unwrap();
        assert_eq!(Method::of(&own).text(), "_OTHER");
        assert_eq!(Method::of(&own).span_word(), "HTTP");
        assert_eq!(Method::of(&http::Method::PATCH).text(), "PATCH");
        assert_eq!(Scheme::of(Some("HTTPS")).text(), "https");
        assert_eq!(Scheme::of(Some("gopher")).text(), "_OTHER");
        assert_eq!(Version::of(http::Version::HTTP_2).text(), "2");
    }

    #[test]
    fn grpc_is_told_by_the_content_type_and_web_is_not_it() {
        let with = |kind: &'static [u8]| {
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_bytes(kind).unwrap())])
        };
        assert!(is_grpc(&with(b"application/grpc")));
        assert!(is_grpc(&with(b"application/grpc+proto")));
        assert!(!is_grpc(&with(b"application/grpc-web")));
        assert!(!is_grpc(&with(b"application/json")));
        assert!(!is_grpc(&with(b"\xff\xfe")));
    }

    #[test]
    fn a_grpc_status_without_a_name_is_unknown() {
        let status = |text: &'static [u8]| {
            grpc_status(&HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                HeaderValue::from_bytes(text).unwrap(),
            )]))
        };
        assert_eq!(status(b"14").map(grpc_word), Some("UNAVAILABLE"));
        assert_eq!(status(b"99").map(grpc_word), Some("UNKNOWN"));
        assert_eq!(status(b"-1"), None);
        assert_eq!(status(b"\xff"), None);
    }
}
