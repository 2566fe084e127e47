//! OTLP in: unary gRPC and HTTP on hyper, admission, auth, TLS.
