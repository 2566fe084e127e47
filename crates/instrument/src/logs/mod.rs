//! Formats of log lines.
