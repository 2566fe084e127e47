//! The trimmed layer for `tracing`, for applications that own their subscriber.
