//! Cross-origin requests: refused unless the origin is listed.
//!
//! A listed origin is echoed, with credentials; a bare `*` is answered with `*`, without (the two
//! together would let every page act as its visitor).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

use super::config::Cors;

/// Whether a request asks for permission and nothing else.
pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Headers of any answer to a request of these headers; `None` when its origin is not allowed or it
/// has none.
pub(super) fn allow(cors: &Cors, request: &HeaderMap) -> Option<HeaderMap> {
    let origin = request.get(ORIGIN)?;
    let mut headers = HeaderMap::new();
    headers.insert(VARY, HeaderValue::from_static("origin"));
    let listed =
        |pattern: &String| pattern != "*" && matches(pattern.as_bytes(), origin.as_bytes());
    if cors.allowed_origins.iter().any(listed) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        Some(headers)
    } else if cors.allowed_origins.iter().any(|pattern| pattern == "*") {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        Some(headers)
    } else {
        None
    }
}

/// Headers of the answer to a preflight; `None` when the origin is not allowed.
pub(super) fn preflight(cors: &Cors, request: &HeaderMap) -> Option<HeaderMap> {
    let mut headers = allow(cors, request)?;
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    let asked = request.get(ACCESS_CONTROL_REQUEST_HEADERS);
    let allowed = if cors.allowed_headers.iter().any(|name| name == "*") {
        asked.cloned()
    } else {
        let mut names = vec!["content-type".to_owned()];
        names.extend(cors.allowed_headers.iter().cloned());
        HeaderValue::try_from(names.join(", ")).ok()
    };
    if let Some(allowed) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, allowed);
    }
    if !cors.max_age.is_zero() {
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(cors.max_age.as_secs()));
    }
    Some(headers)
}

/// Whether `origin` is `pattern`, in which one `*` stands for anything. Case does not count.
fn matches(pattern: &[u8], origin: &[u8]) -> bool {
    let Some(star) = pattern.iter().position(|&byte| byte == b'*') else {
        return pattern.eq_ignore_ascii_case(origin);
    };
    let (head, tail) = pattern.split_at(star);
    let tail = tail.get(1..).unwrap_or_default();
    origin.len() >= head.len() + tail.len()
        && origin.iter().zip(head).all(|(a, b)| a.eq_ignore_ascii_case(b))
        && origin.iter().rev().zip(tail.iter().rev()).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cors(origins: &[&str]) -> Cors {
        let allowed_origins = origins.iter().map(|&o| o.to_owned()).collect();
        Cors { allowed_origins, allowed_headers: vec!["x-tenant".into()], max_age: Duration::ZERO }
    }

    fn from(origin: &str) -> HeaderMap {
        HeaderMap::from_iter([(ORIGIN, origin.parse().unwrap())])
    }

    #[test]
    fn an_origin_is_allowed_when_listed_and_a_star_never_comes_with_credentials() {
        let page = from("https://shop.example");
        for (origins, allowed) in [
            (&[][..], None),
            (&["https://other.example"][..], None),
            (&["https://shop.example"], Some("https://shop.example")),
            (&["HTTPS://*.example"], Some("https://shop.example")),
            (&["https://*.shop.example"], None),
            (&["*", "https://shop.example"], Some("https://shop.example")),
            (&["*"], Some("*")),
        ] {
            let headers = allow(&cors(origins), &page);
            let shown = headers.as_ref().map(|h| h[ACCESS_CONTROL_ALLOW_ORIGIN].to_str().unwrap());
            assert_eq!(shown, allowed, "{origins:?}");
            let credentials =
                headers.is_some_and(|h| h.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
            assert_eq!(credentials, allowed.is_some_and(|a| a != "*"), "{origins:?}");
        }
        assert!(allow(&cors(&["*"]), &HeaderMap::new()).is_none(), "not a cross-origin request");
    }

    #[test]
    fn a_preflight_names_the_method_and_the_headers() {
        let headers = preflight(&cors(&["https://a.example"]), &from("https://a.example")).unwrap();
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_METHODS], "POST");
        assert_eq!(headers[ACCESS_CONTROL_ALLOW_HEADERS], "content-type, x-tenant");
        assert!(preflight(&cors(&[]), &from("https://a.example")).is_none());
    }
}
