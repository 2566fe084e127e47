//! Binary operators between columns and numbers, and between columns and columns.
//!
//! Histograms: [`scalar`] and [`pairs`] call [`sample`] for the steps that hold one.

pub(crate) mod pairs;
pub(crate) mod sample;
pub(crate) mod scalar;
pub(crate) mod sets;
pub(crate) mod signature;
