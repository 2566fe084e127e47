//! OTLP out: one lane per signal and destination.
