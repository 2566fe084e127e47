//! Who may ask: bearer token, `Host` against DNS rebinding, `Origin` against other pages.
//!
//! Pure: headers and the peer are arguments. Source: RFC 9110, RFC 6750 section 2.1, Fetch section
//! 3.2; the browser that a rebound name points here sends that name as `Host`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, StatusCode, header};
use subtle::ConstantTimeEq as _;

/// What proxies say of whom they ask for.
const FORWARDED: [HeaderName; 2] = [header::FORWARDED, HeaderName::from_static("x-forwarded-for")];

/// A bearer token. Never shown.
#[derive(Clone)]
pub struct Token {
    secret: Box<[u8]>,
    /// The file that the agent made for it, where nobody configured one.
    made_in: Option<PathBuf>,
}

impl Token {
    /// The token in a file's contents: without white space around it, `None` when nothing is left that a header can carry.
    #[must_use]
    pub fn from_file(contents: &[u8]) -> Option<Self> {
        let token = contents.trim_ascii();
        let sendable = !token.is_empty() && http::HeaderValue::from_bytes(token).is_ok();
        sendable.then(|| Self { secret: token.into(), made_in: None })
    }

    /// The same, of a file that the agent made by itself: loopback needs it for what is [`Access::Private`] only.
    #[must_use]
    pub fn made_in(self, path: PathBuf) -> Self {
        Self { made_in: Some(path), ..self }
    }

    /// The file that the agent made for it.
    pub(super) fn file(&self) -> Option<&Path> {
        self.made_in.as_deref()
    }

    /// Whether the request carries it. Takes as long for a wrong token as for the right one.
    #[must_use]
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(AUTHORIZATION).map(|v| v.as_bytes()) else { return false };
        let Some((scheme, credentials)) = value.split_at_checked(7) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ")
            && bool::from(credentials.trim_ascii().ct_eq(&self.secret))
    }

    /// Whether it is asked for.
    fn guards(&self, access: Access, loopback: bool) -> bool {
        match access {
            Access::Open => false,
            _ if self.made_in.is_none() => true,
            Access::Scrape => false,
            Access::Private => true,
            Access::Read | Access::Control => !loopback,
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// What a route asks of its callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Probes: anyone who reaches the port.
    Open,
    /// Numbers for a Prometheus on another machine: the token where one is configured.
    Scrape,
    /// Reading: the token where one is configured; without, loopback, and others with the one that the agent made.
    Read,
    /// Reading what says most of users: the token, on loopback too; nobody where there is none.
    Private,
    /// Steering: as reading, and never another page's script.
    Control,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token, or a wrong one.
    #[error("a bearer token is needed")]
    Token,
    /// The `Host` header is absent, repeated or unreadable.
    #[error("the Host header is missing or unreadable")]
    BadHost,
    /// The `Host` header names something else than this endpoint.
    #[error("the Host header names another host; list it in admin.allowed_hosts")]
    ForeignHost,
    /// A page of another origin sent the request.
    #[error("requests of other origins are refused")]
    ForeignOrigin,
    /// From another machine, and there is no token.
    #[error("only loopback may ask for this: there is no admin token, set admin.token_file")]
    NotLoopback,
}

impl Refusal {
    /// The response's status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::BadHost => StatusCode::BAD_REQUEST,
            Self::ForeignHost | Self::ForeignOrigin | Self::NotLoopback => StatusCode::FORBIDDEN,
        }
    }
}

/// Admits a request or says why not. A valid token makes the `Host` check needless: no page that
/// rebound a name knows it.
///
/// # Errors
/// [`Refusal`], to be answered with its status.
pub fn admit(
    access: Access,
    token: Option<&Token>,
    allowed_hosts: &[String],
    peer: IpAddr,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    if access == Access::Open {
        return Ok(());
    }
    // Behind a proxy on this machine everyone is loopback.
    let proxied = access == Access::Control && is_proxied(headers);
    let loopback = peer.to_canonical().is_loopback() && !proxied;
    match token {
        Some(token) if token.is_in(headers) => {}
        Some(token) if token.guards(access, loopback) => return Err(Refusal::Token),
        None if !loopback && access != Access::Scrape => return Err(Refusal::NotLoopback),
        None if access == Access::Private => return Err(Refusal::Token),
        _ => check_host(headers, allowed_hosts)?,
    }
    if access == Access::Control {
        check_origin(headers)?;
    }
    Ok(())
}

fn is_proxied(headers: &HeaderMap) -> bool {
    FORWARDED.iter().any(|name| headers.contains_key(name))
}

/// Whether a refused request may hear which file the token is in: neither a page that rebound a name nor whoever is behind a
/// proxy.
pub(super) fn may_know_file(peer: IpAddr, headers: &HeaderMap, allowed_hosts: &[String]) -> bool {
    let here = peer.to_canonical().is_loopback() && !is_proxied(headers);
    here && check_host(headers, allowed_hosts).is_ok()
}

fn check_host(headers: &HeaderMap, allowed: &[String]) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return Err(Refusal::BadHost) };
    let host = Authority::try_from(host.as_bytes()).map_err(|_| Refusal::BadHost)?;
    let name = host.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let known = name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok()
        || allowed.iter().any(|host| host.eq_ignore_ascii_case(name));
    if known { Ok(()) } else { Err(Refusal::ForeignHost) }
}

/// Browsers send `Origin` with every POST of a script or form, and cannot be made to lie about it.
fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let host = headers.get(HOST).map(|v| v.as_bytes()).unwrap_or_default();
    let bytes = origin.as_bytes();
    let own = [&b"http://"[..], b"https://"]
        .into_iter()
        .filter_map(|scheme| bytes.strip_prefix(scheme))
        .any(|authority| authority.eq_ignore_ascii_case(host));
    if own { Ok(()) } else { Err(Refusal::ForeignOrigin) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let parse =
            |&(n, v): &(&'static str, &str)| (http::HeaderName::from_static(n), v.parse().unwrap());
        pairs.iter().map(parse).collect()
    }

    #[test]
    fn only_the_endpoints_own_names_pass_as_host() {
        let allowed = ["agent.shop.internal".to_owned()];
        for (host, expected) in [
            ("localhost:9464", Ok(())),
            ("127.0.0.1:9464", Ok(())),
            ("[::1]:9464", Ok(())),
            ("10.0.0.7", Ok(())),
            ("Agent.Shop.internal:9464", Ok(())),
            ("evil.example:9464", Err(Refusal::ForeignHost)),
            ("localhost.evil.example", Err(Refusal::ForeignHost)),
            ("127.0.0.1.evil.example", Err(Refusal::ForeignHost)),
            ("", Err(Refusal::BadHost)),
            ("a b", Err(Refusal::BadHost)),
        ] {
            let outcome = admit(Access::Read, None, &allowed, HERE, &headers(&[("host", host)]));
            assert_eq!(outcome, expected, "{host}");
        }
        assert_eq!(admit(Access::Read, None, &[], HERE, &headers(&[])), Err(Refusal::BadHost));
        assert_eq!(admit(Access::Open, None, &[], AWAY, &headers(&[])), Ok(()));
    }

    #[test]
    fn a_token_once_set_guards_all_but_the_probes() {
        let token = Token::from_file(b" s3cret\n");
        let admit = |access, authorization| {
            let headers = headers(&[("host", "any.example"), ("authorization", authorization)]);
            admit(access, token.as_ref(), &[], AWAY, &headers)
        };
        assert_eq!(admit(Access::Read, "Bearer s3cret"), Ok(()));
        assert_eq!(admit(Access::Control, "bearer s3cret"), Ok(()));
        assert_eq!(admit(Access::Open, ""), Ok(()));
        for wrong in ["", "Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret"] {
            assert_eq!(admit(Access::Read, wrong), Err(Refusal::Token), "{wrong}");
        }
        assert!(Token::from_file(b" \n").is_none());
        assert!(!format!("{token:?}").contains("s3cret"));
    }

    #[test]
    fn a_token_that_the_agent_made_is_for_other_machines_and_for_what_is_private() {
        let token = Token::from_file(b"made").unwrap().made_in("/state/admin.token".into());
        let check = |access, peer, authorization| {
            let headers = headers(&[("host", "127.0.0.1:9464"), ("authorization", authorization)]);
            admit(access, Some(&token), &[], peer, &headers)
        };
        for access in [Access::Open, Access::Scrape, Access::Read, Access::Private, Access::Control]
        {
            let free = matches!(access, Access::Open | Access::Scrape);
            let needed = |free| if free { Ok(()) } else { Err(Refusal::Token) };
            assert_eq!(check(access, AWAY, ""), needed(free), "{access:?}");
            assert_eq!(check(access, HERE, ""), needed(access != Access::Private), "{access:?}");
            assert_eq!(check(access, AWAY, "Bearer made"), Ok(()), "{access:?}");
            let none = admit(access, None, &[], HERE, &headers(&[("host", "127.0.0.1:9464")]));
            assert_eq!(none, needed(access != Access::Private), "{access:?} without any token");
            let none = admit(access, None, &[], AWAY, &headers(&[("host", "10.0.0.7")]));
            assert_eq!(none.is_ok(), free, "{access:?}");
            assert!(none.err().is_none_or(|why| why == Refusal::NotLoopback));
        }
    }

    #[test]
    fn the_file_of_the_token_is_told_to_this_machine_and_to_no_page_that_rebound_a_name() {
        let told = |peer, host| may_know_file(peer, &headers(&[("host", host)]), &[]);
        assert!(told(HERE, "127.0.0.1:9464"));
        assert!(told(HERE, "localhost:9464"));
        assert!(!told(HERE, "evil.example:9464"));
        assert!(!told(AWAY, "10.0.0.7:9464"));
        assert!(!may_know_file(HERE, &headers(&[]), &[]));
        let proxied = [("host", "127.0.0.1:9464"), ("x-forwarded-for", "10.0.0.9")];
        assert!(!may_know_file(HERE, &headers(&proxied), &[]));
    }

    #[test]
    fn steering_is_for_loopback_and_never_for_another_page() {
        let check = |peer, pairs: &[_]| admit(Access::Control, None, &[], peer, &headers(pairs));
        let host = ("host", "127.0.0.1:9464");
        assert_eq!(check(HERE, &[host]), Ok(()));
        assert_eq!(check("::ffff:127.0.0.1".parse().unwrap(), &[host]), Ok(()));
        assert_eq!(check(AWAY, &[host]), Err(Refusal::NotLoopback));
        for proxied in [("forwarded", "for=10.0.0.9"), ("x-forwarded-for", "10.0.0.9")] {
            assert_eq!(check(HERE, &[host, proxied]), Err(Refusal::NotLoopback));
            let made = Token::from_file(b"made").unwrap().made_in("/state/admin.token".into());
            let own = |access| admit(access, Some(&made), &[], HERE, &headers(&[host, proxied]));
            assert_eq!(own(Access::Control), Err(Refusal::Token));
            assert_eq!(own(Access::Read), Ok(()));
        }
        assert_eq!(check(HERE, &[host, ("origin", "http://127.0.0.1:9464")]), Ok(()));
        for origin in ["http://evil.example", "null", "http://127.0.0.1:80"] {
            let outcome = check(HERE, &[host, ("origin", origin)]);
            assert_eq!(outcome, Err(Refusal::ForeignOrigin), "{origin}");
        }
    }
}
