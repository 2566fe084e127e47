//! Statuses of gRPC.

/// By their numbers.
const CODES: [&str; 17] = [
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

/// `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`: the server's failures.
const FAILURES: [i64; 6] = [2, 4, 12, 13, 14, 15];

/// The number of a status from its name; Connect writes it small.
pub(super) fn code(name: &str) -> Option<i64> {
    let mut numbers = (0..).zip(CODES);
    numbers.find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(number, _)| number)
}

/// Whether it is a failure of the server.
#[inline]
pub(super) fn is_failure(code: i64) -> bool {
    FAILURES.contains(&code)
}
