//! Samples that are too old to be kept one by one: rows, their bytes, and what a query reads from them.

mod codec;
mod histograms;
mod points;
mod row;

pub(in crate::store) use codec::{Depth, decode, encode};
pub(in crate::store) use histograms::densify_histograms;
pub(in crate::store) use points::{Looks, densify, samples};
pub(in crate::store) use row::{Roller, Row, bucket};
