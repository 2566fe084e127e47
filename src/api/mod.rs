//! The admin listener: health, metrics, ledger, control.
