//! A column: what an expression gives for one label set, at every step.
//!
//! Floats are dense, so that operators and functions are loops over `[f64]`; what stands at a step
//! without a sample is of no meaning.

use std::sync::Arc;

use super::bits::Bits;
use crate::limits::{LABEL_SAMPLES, SERIES_SAMPLES};
use crate::steps::Steps;
use crate::value::{SampleValue, Series};
use crate::{Histogram, Labels};

/// The samples of one label set.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Whose.
    pub(crate) labels: Labels,
    /// Whether the metric's name goes at the end of the query.
    pub(crate) drop_name: bool,
    /// The float of each step.
    pub(crate) values: Vec<f64>,
    /// The steps that have a sample of either kind.
    pub(crate) present: Bits,
    /// The histogram of each step, in place of the float; empty when there is none at all.
    pub(crate) histograms: Vec<Option<Arc<Histogram>>>,
}

impl Column {
    /// A column of `len` steps without samples.
    pub(crate) fn empty(labels: Labels, len: usize) -> Self {
        Self {
            labels,
            drop_name: false,
            values: vec![0.0; len],
            present: Bits::none(len),
            histograms: Vec::new(),
        }
    }

    /// A column of a number at every step, without labels.
    pub(crate) fn of_scalar(values: Vec<f64>) -> Self {
        let present = Bits::all(values.len());
        let labels = Labels::default();
        Self { labels, drop_name: false, values, present, histograms: Vec::new() }
    }

    /// How many steps there are.
    pub(crate) const fn len(&self) -> usize {
        self.values.len()
    }

    /// How many samples' memory it takes; a histogram that stays from step to step is one.
    pub(crate) fn samples(&self) -> usize {
        let mut before: Option<&Arc<Histogram>> = None;
        let mut samples = SERIES_SAMPLES + LABEL_SAMPLES * self.labels.len() + self.len();
        for histogram in self.histograms.iter().flatten() {
            if !before.is_some_and(|before| Arc::ptr_eq(before, histogram)) {
                samples += histogram.samples();
            }
            before = Some(histogram);
        }
        samples
    }

    /// The sample at `step`.
    pub(crate) fn get(&self, step: usize) -> Option<SampleValue> {
        if !self.present.get(step) {
            return None;
        }
        match self.histogram(step) {
            Some(histogram) => Some(SampleValue::Histogram(Arc::clone(histogram))),
            None => self.values.get(step).map(|value| SampleValue::Float(*value)),
        }
    }

    /// The float at `step`.
    pub(crate) fn float(&self, step: usize) -> Option<f64> {
        let here = self.present.get(step) && self.histogram(step).is_none();
        if here { self.values.get(step).copied() } else { None }
    }

    /// The histogram at `step`, if there is a sample at all.
    pub(crate) fn histogram(&self, step: usize) -> Option<&Arc<Histogram>> {
        self.histograms.get(step).and_then(Option::as_ref)
    }

    /// Sets the sample of `step`.
    pub(crate) fn set(&mut self, step: usize, value: SampleValue) {
        match value {
            SampleValue::Float(value) => self.set_float(step, value),
            SampleValue::Histogram(histogram) => {
                if self.histograms.is_empty() {
                    self.histograms = vec![None; self.values.len()];
                }
                if let Some(slot) = self.histograms.get_mut(step) {
                    *slot = Some(histogram);
                    self.present.set(step);
                }
            }
        }
    }

    /// Sets the float of `step`.
    pub(crate) fn set_float(&mut self, step: usize, value: f64) {
        if let Some(slot) = self.values.get_mut(step) {
            *slot = value;
            self.present.set(step);
        }
        if let Some(slot) = self.histograms.get_mut(step) {
            *slot = None;
        }
    }

    /// Removes the histograms. Returns whether there were any.
    pub(crate) fn drop_histograms(&mut self) -> bool {
        let histograms = std::mem::take(&mut self.histograms);
        let mut dropped = false;
        for (step, histogram) in histograms.iter().enumerate() {
            if histogram.is_some() && self.present.get(step) {
                self.present.clear(step);
                dropped = true;
            }
        }
        dropped
    }

    /// Replaces each float by what `f` makes of it, and removes the histograms.
    pub(crate) fn map(&mut self, f: impl Fn(f64) -> f64) {
        self.drop_histograms();
        for value in &mut self.values {
            *value = f(*value);
        }
    }

    /// Negates each float and each histogram.
    pub(crate) fn negate(&mut self) {
        for value in &mut self.values {
            *value = -*value;
        }
        for histogram in self.histograms.iter_mut().flatten() {
            Arc::make_mut(histogram).multiply(-1.0);
        }
    }

    /// Takes over the samples of `other` at the steps that have none here.
    pub(crate) fn fill_from(&mut self, other: &Self) {
        let mut wanted = other.present.clone();
        wanted.subtract(&self.present);
        for step in wanted.ones() {
            if let Some(value) = other.get(step) {
                self.set(step, value);
            }
        }
    }

    /// A column of one step at `len` steps.
    pub(crate) fn repeat(mut self, len: usize) -> Self {
        let value = self.values.first().copied().unwrap_or(0.0);
        self.values.resize(len, value);
        self.present = if self.present.get(0) { Bits::all(len) } else { Bits::none(len) };
        if let Some(histogram) = self.histograms.first().cloned() {
            self.histograms.resize(len, histogram);
        }
        self
    }

    /// The samples with their times.
    pub(crate) fn into_series(self, steps: Steps) -> Series {
        let mut floats =
            Vec::with_capacity(if self.histograms.is_empty() { self.present.count() } else { 0 });
        let mut histograms = Vec::new();
        for step in self.present.ones() {
            match self.get(step) {
                Some(SampleValue::Float(value)) => floats.push((steps.time(step), value)),
                Some(SampleValue::Histogram(value)) => histograms.push((steps.time(step), value)),
                None => {}
            }
        }
        Series { labels: self.labels, floats, histograms }
    }
}
