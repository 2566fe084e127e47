//! Captures what a test records, and asserts on it.
