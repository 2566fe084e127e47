//! Why requests are refused, as the `reason` label of self-metrics says it: for who counts, and for who looks at the counts.

/// The `receiver` label.
pub const RECEIVER: &str = "otlp";

/// What was sent is not OTLP, or broken.
pub const MALFORMED: &str = "malformed";
/// It is larger than the receiver takes.
pub const TOO_LARGE: &str = "too_large";
/// There is no bearer token, or a wrong one.
pub const UNAUTHENTICATED: &str = "unauthenticated";
/// A path, content type or encoding that is not served.
pub const UNIMPLEMENTED: &str = "unimplemented";
/// A connection that did not get through its TLS handshake.
pub const TLS: &str = "tls";
/// A connection beyond `limits.connections_max`: of the connections, not of the requests.
pub const CONNECTIONS: &str = "connections";
/// Somebody looked whether something answers, and sent nothing: anything but POST, or a health check of another service.
pub const PROBE: &str = "probe";
