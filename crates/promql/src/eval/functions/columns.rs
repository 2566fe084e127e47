//! Functions of whole columns: `absent`, `scalar`, `timestamp`, `clamp`, `round`.

use super::super::bits::Bits;
use super::super::column::Column;
use super::math;
use crate::Labels;
use crate::steps::{Steps, seconds};

/// 1 at the steps at which no column has a sample.
pub(super) fn absent(columns: &[Column], labels: &Labels, len: usize) -> Vec<Column> {
    let mut present = Bits::none(len);
    for column in columns {
        present.union(&column.present);
    }
    present.invert();
    let mut absent = Column::of_scalar(vec![1.0; len]);
    absent.labels = labels.clone();
    absent.present = present;
    vec![absent]
}

/// The float of each step at which there is exactly one, else NaN.
pub(super) fn scalar(columns: &[Column], len: usize) -> Vec<f64> {
    let mut found = vec![None; len];
    for column in columns {
        for step in column.present.ones() {
            let (Some(value), Some(slot)) = (column.float(step), found.get_mut(step)) else {
                continue;
            };
            *slot = Some(if slot.is_none() { value } else { f64::NAN });
        }
    }
    found.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect()
}

/// The time of each step at which there is a sample.
pub(super) fn timestamp(mut columns: Vec<Column>, steps: Steps) -> Vec<Column> {
    for column in &mut columns {
        column.histograms = Vec::new();
        for (value, time) in column.values.iter_mut().zip(steps.times()) {
            *value = seconds(time);
        }
        column.drop_name = true;
    }
    columns
}

/// Values within bounds; nothing where the bounds exclude each other.
pub(super) fn clamp(
    mut columns: Vec<Column>,
    min: Option<&[f64]>,
    max: Option<&[f64]>,
) -> Vec<Column> {
    for column in &mut columns {
        column.drop_histograms();
        column.drop_name = true;
        if let (Some(min), Some(max)) = (min, max) {
            for (step, (min, max)) in min.iter().zip(max).enumerate() {
                if max < min {
                    column.present.clear(step);
                }
            }
        }
        for (value, max) in column.values.iter_mut().zip(max.into_iter().flatten()) {
            *value = math::min(*max, *value);
        }
        for (value, min) in column.values.iter_mut().zip(min.into_iter().flatten()) {
            *value = math::max(*min, *value);
        }
    }
    columns
}

/// Values at the nearest multiple of `nearest`, or the nearest whole number.
pub(super) fn round(mut columns: Vec<Column>, nearest: Option<&[f64]>) -> Vec<Column> {
    for column in &mut columns {
        match nearest {
            None => column.map(|value| math::round(value, 1.0)),
            Some(nearest) => {
                column.drop_histograms();
                for (value, nearest) in column.values.iter_mut().zip(nearest) {
                    *value = math::round(*value, *nearest);
                }
            }
        }
        column.drop_name = true;
    }
    columns
}
