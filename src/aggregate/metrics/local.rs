//! Samples that the agent made itself, into the store as they are: no resource, no zero at a start, no totals.
//!
//! They come twice: through the store's inbox, so that queries see them at once, and in the journal's record, so that they
//! survive. What is at or before the newest sample of its series came before. Cost: about 1 µs per sample.

use super::Translator;
use super::drops::Reason;
use super::reserved;
use crate::signal::samples::{Sample, Samples, Value};
use crate::store::{Kind, Rank, Refused, SeriesId, Writer};

/// How samples came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// For the first time.
    Inbox,
    /// Perhaps again.
    Journal,
}

impl Translator<SeriesId> {
    /// Counts samples that were made of others and not stored.
    pub(in crate::aggregate) fn refused(&mut self, refused: Refused, samples: u64) {
        self.drops.count(Reason::from(refused), samples);
    }

    /// Appends samples as they are; what is not stored is counted by reason.
    pub fn append(&mut self, writer: &mut Writer, samples: &Samples, way: Way) {
        for sample in &samples.0 {
            let Err(refused) = append(writer, sample) else { continue };
            let known = match refused {
                Refused::Duplicate => true,
                Refused::OutOfOrder | Refused::Conflict => way == Way::Journal,
                _ => false,
            };
            if !known {
                self.drops.count(Reason::from(refused), 1);
            }
        }
    }
}

fn append(writer: &mut Writer, sample: &Sample) -> Result<(), Refused> {
    let labels: Vec<_> = sample.labels.iter().map(|l| (&*l.name, &*l.value)).collect();
    let t_ms = sample.t_ms;
    let judged = reserved::is_judged(sample.labels.metric_name());
    let rank = if judged { Rank::Judged } else { Rank::Recorded };
    match &sample.value {
        Value::Float(value) => {
            let id = writer.series_of(rank, &labels, Kind::Float);
            writer.append(id, t_ms, *value)
        }
        Value::Native(histogram) => {
            let id = writer.series_of(rank, &labels, Kind::Native);
            writer.append_native(id, t_ms, histogram)
        }
        Value::Stale => {
            for kind in [Kind::Float, Kind::Native] {
                if let Some(id) = writer.find(&labels, kind) {
                    writer.stale(id, t_ms);
                }
            }
            Ok(())
        }
    }
}
