//! Start and end of telemetry: resource, exporters, the I/O thread and the guard.
