//! What every HTTP client here needs: endpoints, TLS, connections, bodies, the schedule of retries, secrets; and how
//! servers listen.
//!
//! Knows no telemetry and no alert: what is sent, and what an answer means, is the caller's. Limits: 16 idle
//! HTTP/1.1 connections an endpoint, 64 KiB of response headers.

pub mod body;
pub mod certificate;
pub mod connect;
pub mod endpoint;
pub mod listen;
pub mod retry;
pub mod secret;
pub mod tls;
pub mod token;
