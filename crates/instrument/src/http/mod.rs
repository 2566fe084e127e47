//! Layers for HTTP and gRPC, server and client.
