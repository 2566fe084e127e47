//! Admission of one request: every buffer it makes is charged to the in-flight budget before it exists.
//!
//! A charge never waits. It is refused when the message is above its limit, when the budget is used
//! up, or when the request is large and another large one is assembling; for good when it comes to
//! more than one request can ever have. What was charged is given back when the admission is
//! dropped, which is after the journal has the record.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::status::{Busy, Refusal};
use crate::memory::{InFlight, Reservation};

/// The least that a buffer grows by: up to here a declared length is believed.
const STEP_BYTES: usize = 64 << 10;

/// What one request holds.
#[derive(Debug)]
pub(super) struct Admission<'a> {
    reservation: Reservation,
    message_bytes_max: usize,
    large_request_bytes: usize,
    large_request: &'a Semaphore,
    permit: Option<SemaphorePermit<'a>>,
}

impl<'a> Admission<'a> {
    pub(super) fn new(
        in_flight: &InFlight,
        message_bytes_max: usize,
        large_request_bytes: usize,
        large_request: &'a Semaphore,
    ) -> Self {
        let reservation = in_flight.reserve_none();
        Self { reservation, message_bytes_max, large_request_bytes, large_request, permit: None }
    }

    /// The largest message, on the wire and inflated.
    pub(super) const fn message_bytes_max(&self) -> usize {
        self.message_bytes_max
    }

    /// Whether a message may have this size.
    pub(super) const fn check_size(&self, bytes: usize) -> Result<(), Refusal> {
        if bytes > self.message_bytes_max {
            return Err(Refusal::TooLarge { limit: self.message_bytes_max });
        }
        Ok(())
    }

    /// Whether other large requests are refused for this one.
    pub(super) const fn is_large(&self) -> bool {
        self.permit.is_some()
    }

    /// Charges `more` bytes that are about to be held.
    pub(super) fn charge(&mut self, more: usize) -> Result<(), Refusal> {
        if self.reservation.grow(more).is_err() {
            let for_good = more > self.attainable();
            return Err(if for_good { self.above_budget() } else { Refusal::Busy(Busy::InFlight) });
        }
        if self.permit.is_none() && self.reservation.bytes() > self.large_request_bytes {
            let permit = self.large_request.try_acquire();
            self.permit = Some(permit.map_err(|_| Refusal::Busy(Busy::LargeRequest))?);
        }
        Ok(())
    }

    /// How much more can be charged while nobody else holds anything.
    pub(super) fn attainable(&self) -> usize {
        self.reservation.bytes_max().saturating_sub(self.reservation.bytes())
    }

    /// That it takes more than can be charged at best.
    pub(super) fn above_budget(&self) -> Refusal {
        Refusal::AboveBudget { limit: self.reservation.bytes_max() }
    }

    /// Gives back what is held no longer.
    pub(super) fn release(&mut self, less: usize) {
        self.reservation.shrink(less);
    }

    /// The request is assembled: the next large one may begin. Its bytes stay charged.
    pub(super) fn assembled(&mut self) {
        self.permit = None;
    }

    /// Makes room for `more` bytes in `buffer`, doubling it, but never beyond `expected` while that is
    /// enough.
    pub(super) fn make_room(
        &mut self,
        buffer: &mut Vec<u8>,
        more: usize,
        expected: usize,
    ) -> Result<(), Refusal> {
        let needed = buffer.len() + more;
        if needed <= buffer.capacity() {
            return Ok(());
        }
        let doubled = buffer.capacity().saturating_mul(2).max(STEP_BYTES);
        let capacity = doubled.min(expected).max(needed);
        self.charge(capacity - buffer.capacity())?;
        buffer.reserve_exact(capacity - buffer.len());
        Ok(())
    }

    /// Gives back the part of `buffer` that was not needed, if that is more than an eighth of it.
    pub(super) fn trim(&mut self, buffer: &mut Vec<u8>) {
        let before = buffer.capacity();
        if before - buffer.len() > before / 8 {
            buffer.shrink_to_fit();
            self.release(before.saturating_sub(buffer.capacity()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_grows_by_what_arrives_and_ends_at_what_was_declared() {
        let in_flight = InFlight::new(1 << 30);
        let large = Semaphore::new(1);
        let mut admission = Admission::new(&in_flight, 1 << 30, 1 << 30, &large);
        let mut buffer = Vec::new();
        let declared = 10 << 20;
        let mut largest_charge_beyond = 0;
        while buffer.len() < declared {
            admission.make_room(&mut buffer, 16 << 10, declared).unwrap();
            buffer.resize(buffer.len() + (16 << 10), 0);
            let beyond = in_flight.used() - buffer.len();
            largest_charge_beyond = largest_charge_beyond.max(beyond.saturating_sub(buffer.len()));
        }
        assert!(largest_charge_beyond <= STEP_BYTES, "at most twice what arrived");
        assert_eq!((buffer.capacity(), in_flight.used()), (declared, declared));
    }

    #[test]
    fn one_large_request_assembles_at_a_time_and_the_budget_holds_for_all() {
        let in_flight = InFlight::new(100);
        let large = Semaphore::new(1);
        let new = || Admission::new(&in_flight, 1000, 20, &large);
        let (mut first, mut second, mut third) = (new(), new(), new());
        first.charge(30).unwrap();
        second.charge(20).unwrap();
        assert_eq!(second.charge(1), Err(Refusal::Busy(Busy::LargeRequest)));
        first.assembled();
        second.charge(1).unwrap();
        assert_eq!(third.charge(70), Err(Refusal::Busy(Busy::InFlight)));
        drop((first, second, third));
        assert_eq!(in_flight.used(), 0);
    }

    #[test]
    fn what_never_fits_is_refused_for_good_and_what_has_no_room_now_for_now() {
        let in_flight = InFlight::new(1 << 20);
        let large = Semaphore::new(1);
        let new = || Admission::new(&in_flight, 1 << 20, 1 << 30, &large);
        let limit = (1 << 20) / 8 * 7;
        let (mut first, mut second) = (new(), new());
        first.charge(limit - 1000).unwrap();
        assert_eq!(second.charge(100_000), Err(Refusal::Busy(Busy::InFlight)));
        assert_eq!(second.charge(limit), Err(Refusal::Busy(Busy::InFlight)), "alone it fits");
        assert_eq!(first.charge(1001), Err(Refusal::AboveBudget { limit }));
        assert_eq!(first.charge(1000), Ok(()));
        drop(first);
        // Near the memory ceiling there is less for a while.
        in_flight.set_limit(1);
        assert_eq!(second.charge(limit), Err(Refusal::Busy(Busy::InFlight)));
        assert_eq!(second.charge(limit + 1), Err(Refusal::AboveBudget { limit }));
    }
}
