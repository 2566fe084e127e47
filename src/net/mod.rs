//! What every HTTP client here needs: endpoints, TLS, connections, bodies, the schedule of retries, secrets; and what
//! servers share: how they listen, and which connection is evicted when all places are taken.
//!
//! Knows no telemetry and no alert: what is sent, and what an answer means, is the caller's. Limits: 16 idle
//! HTTP/1.1 connections an endpoint, 64 KiB of response headers.

pub mod arriving;
pub mod body;
pub mod certificate;
pub mod connect;
pub mod endpoint;
pub mod evictions;
pub mod listen;
pub mod places;
pub mod retry;
pub mod secret;
pub mod tls;
pub mod token;
