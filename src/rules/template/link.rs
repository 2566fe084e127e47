//! Texts for other places: URLs, HTML, JavaScript; and hosts with ports.

use std::fmt::Write as _;

/// `text` as a query parameter's value.
pub(super) fn query(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            // Writing to a text does not fail.
            byte => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

/// The address of an expression's page, relative to where the API is.
pub(super) fn graph(expr: &str, tab: u8) -> String {
    format!("/graph?g0.expr={}&g0.tab={tab}", query(expr))
}

/// The path of `url`, decoded.
pub(super) fn path(url: &str) -> String {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    let path = match (url.contains("://"), after.find('/')) {
        (true, None) => "",
        (true, Some(at)) => after.get(at..).unwrap_or_default(),
        (false, _) => after,
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let encoded = path.replace('+', "%2B");
    let decoded = form_urlencoded::parse(encoded.as_bytes()).next();
    decoded.map_or_else(String::new, |(name, value)| {
        // A path may hold `=`, at which a form's name ends.
        if path.contains('=') { format!("{name}={value}") } else { name.into_owned() }
    })
}

/// `host:port`, `[host]:port`, `:port`; `None` where there is no port.
pub(super) fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(host) => host.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let stray = |text: &str| text.contains(['[', ']']);
    (!stray(host) && !stray(port)).then_some((host, port))
}

/// Safe within HTML.
pub(super) fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => escaped.push('\u{fffd}'),
            '"' => escaped += "&#34;",
            '\'' => escaped += "&#39;",
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            c => escaped.push(c),
        }
    }
    escaped
}

/// Safe within a quoted text of JavaScript.
pub(super) fn javascript(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => escaped.extend(['\\', c]),
            '<' | '>' | '&' | '=' => {
                let _ = write!(escaped, "\\u{:04X}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(escaped, "\\u{:04X}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}
