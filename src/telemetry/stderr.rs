//! Standard error of the running agent: one thread writes, and nobody else waits for a reader that is not there.
//!
//! ```text
//! log lines, start block, a panic  ── push ──▶ ┐ queue, QUEUE_BYTES        one thread
//! batches of `debug`  ── offer: half of it ──▶ ┴ ───────────────────────▶ write(2)
//! ```
//! Invariants: lines leave in the order in which they came, each whole. A line that finds no room is passed over and counted;
//! from then on all are, until half of the queue has gone, so that what is missing is missing in one place, and a line says
//! how much there. What fails to be written (nobody has the other end of the pipe, the disk is full) is counted likewise, and
//! told once a line is taken again.
//!
//! It has no lock in common with `std::io::stderr`, which others of the process may use. Until [`begin`], which only a running
//! agent calls, [`say`] writes at once and waits: so do the other commands. Limits: [`QUEUE_BYTES`], and one batch of `debug`
//! that is larger. Cost: a copy and an allocation per line, a write per [`TOGETHER_BYTES`] of them.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::desc;
use super::registry::Registry;
use crate::time::{Clock, SystemClock};

/// What may wait to be written, in bytes.
pub const QUEUE_BYTES: usize = 1 << 20;
/// What batches may have of it, and what a larger one counts as: the rest is for log lines.
const OFFERED_BYTES: usize = QUEUE_BYTES / 2;
/// What a line takes besides its text.
const LINE_BYTES: usize = 64;
/// Lines that are written together: a pipe takes so many bytes whole or not at all (PIPE_BUF), also between other writers.
const TOGETHER_BYTES: usize = 4 << 10;
/// A longer one is written in parts, so that one that is taken slowly does not look as if it were not taken.
const PART_BYTES: usize = 64 << 10;
/// How long a batch waits for standard error to take anything, and the end of the process for it to take everything.
const PATIENCE: Duration = Duration::from_secs(1);
/// For how many times as long lines are offered while something is taken: less than a batch may take to be written.
const OFFERS: u32 = 4;
/// Until the next attempt, where somebody else made it non-blocking.
const AGAIN: Duration = Duration::from_millis(20);

/// There is one standard error.
static OF_PROCESS: Mutex<Option<Stderr>> = Mutex::new(None);

/// What is written to standard error by a thread of its own. Cloning shares it.
#[derive(Clone)]
pub struct Stderr(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// There is something to write.
    work: Condvar,
    /// Something was taken.
    moved: Condvar,
    patience: Duration,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Vec<u8>>,
    /// Weight of the queue, and of what is being written.
    held: usize,
    /// Something is being written, or told.
    busy: bool,
    /// Nothing is let in before half of the queue has gone.
    full: bool,
    /// Nothing was taken while a batch waited for as long as it may: the next does not wait.
    stuck: bool,
    /// Counts up when something was taken.
    taken: u64,
    /// Lines passed over of which nobody was told yet.
    untold: u64,
    passed_over: u64,
}

/// Begins the thread, once in a process: from then on nothing here waits for a reader.
///
/// # Errors
/// The system has no room for a thread; the next call tries again.
pub fn begin() -> io::Result<Stderr> {
    let mut of_process = lock(&OF_PROCESS);
    if let Some(begun) = &*of_process {
        return Ok(begun.clone());
    }
    let tell = |lines| {
        tracing::warn!(lines, "standard error was not read for a while: lines are missing here");
    };
    let begun = Stderr::over(Unlocked, PATIENCE, tell)?;
    Ok(of_process.insert(begun).clone())
}

/// Says `text` to people. It is passed over where a running agent's standard error has no room.
pub fn say(text: &str) {
    match begun() {
        Some(stderr) => stderr.push(line(text)),
        None => at_once(text),
    }
}

/// The same for what a process says last, which always has room; [`flush`] follows.
pub fn say_last(text: &str) {
    match begun() {
        Some(stderr) => stderr.insist(line(text)),
        None => at_once(text),
    }
}

/// Waits until everything is written, for a second at most: for the end of the process.
pub fn flush() {
    if let Some(stderr) = begun() {
        stderr.flush_within(PATIENCE);
    }
}

/// Shows on `registry` how many lines were passed over.
pub fn observe(registry: &Registry) {
    registry.collect(|out| {
        let lines = begun().map_or(0, |stderr| stderr.passed_over());
        out.family(&desc::TELEMETRY_PASSED_OVER_LINES).count(&[], lines, None);
    });
}

fn begun() -> Option<Stderr> {
    lock(&OF_PROCESS).clone()
}

fn line(text: &str) -> Vec<u8> {
    format!("{}\n", text.trim_end_matches('\n')).into_bytes()
}

fn at_once(text: &str) {
    // Nothing better can be done when standard error is closed.
    drop(io::stderr().lock().write_all(&line(text)));
}

impl Stderr {
    fn over(
        to: impl Write + Send + 'static,
        patience: Duration,
        tell: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let (work, moved) = (Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { state: Mutex::default(), work, moved, patience });
        let writer = Arc::clone(&shared);
        let thread = thread::Builder::new().name("stderr".to_owned());
        thread.spawn(move || writer.run(to, tell))?;
        Ok(Self(shared))
    }

    /// Leaves whole lines to be written, or passes them over where there is no room. Never waits.
    pub fn push(&self, lines: Vec<u8>) {
        let mut state = self.0.state();
        if state.full || state.held.saturating_add(weight(&lines)) > QUEUE_BYTES {
            state.full = true;
            return state.pass_over(&lines);
        }
        self.0.put(&mut state, lines);
    }

    /// Leaves whole lines to be written where there is little of others, and waits for that as long as something is taken: for a
    /// thread that may block, and for lines of which there may be more than a terminal can take. Passes them over where nothing
    /// is taken for a second, or too little for four.
    pub fn offer(&self, lines: Vec<u8>) {
        let weight = weight(&lines);
        let fits = |state: &State| {
            !state.full && (state.held == 0 || state.held.saturating_add(weight) <= OFFERED_BYTES)
        };
        let (clock, patience) = (SystemClock::new(), OFFERS * self.0.patience);
        let late = || clock.monotonic() >= patience;
        let (mut state, fits) = self.0.wait(self.0.state(), late, fits);
        if !fits {
            return state.pass_over(&lines);
        }
        self.0.put(&mut state, lines);
        if weight == OFFERED_BYTES {
            // Whoever made it has accounted for its memory until this returns.
            drop(self.0.wait(state, late, |state| state.held < OFFERED_BYTES));
        }
    }

    /// Lines that were passed over since it began.
    #[must_use]
    pub fn passed_over(&self) -> u64 {
        self.0.state().passed_over
    }

    fn insist(&self, lines: Vec<u8>) {
        self.0.put(&mut self.0.state(), lines);
    }

    /// Whether everything was written in time.
    fn flush_within(&self, time: Duration) -> bool {
        let pending = |state: &mut State| state.busy || !state.queue.is_empty();
        let waited = self.0.moved.wait_timeout_while(self.0.state(), time, pending);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// For `tracing_subscriber`, which writes each event with one call.
impl Write for Stderr {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.push(lines.to_vec());
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Stderr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stderr").finish_non_exhaustive()
    }
}

impl State {
    fn pass_over(&mut self, lines: &[u8]) {
        let lines = lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.untold = self.untold.saturating_add(lines);
        self.passed_over = self.passed_over.saturating_add(lines);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn put(&self, state: &mut State, lines: Vec<u8>) {
        state.held = state.held.saturating_add(weight(&lines));
        state.queue.push_back(lines);
        self.work.notify_one();
    }

    /// Waits until `done`, and whether it came to that: not where nothing is taken for too long, nor once it is `late`.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        late: impl Fn() -> bool,
        done: impl Fn(&State) -> bool,
    ) -> (MutexGuard<'a, State>, bool) {
        while !done(&state) {
            if state.stuck || late() {
                return (state, false);
            }
            let before = state.taken;
            let still = |state: &mut State| state.taken == before && !state.stuck && !done(state);
            let waited = self.moved.wait_timeout_while(state, self.patience, still);
            let (after, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = after;
            state.stuck |= timeout.timed_out();
        }
        (state, true)
    }

    fn run(&self, mut to: impl Write, tell: impl Fn(u64)) {
        loop {
            let (lines, weight) = self.next();
            let written = self.write(&mut to, &lines);
            let mut state = self.state();
            state.held = state.held.saturating_sub(weight);
            state.full &= state.held > QUEUE_BYTES / 2;
            let untold = match written {
                Ok(()) if !state.full => std::mem::take(&mut state.untold),
                Ok(()) => 0,
                Err(_) => {
                    state.pass_over(&lines);
                    0
                }
            };
            self.moved.notify_all();
            drop(state);
            if untold > 0 {
                tell(untold);
            }
            self.state().busy = false;
            self.moved.notify_all();
        }
    }

    /// What is to be written next, and its weight; waits until there is something.
    fn next(&self) -> (Vec<u8>, usize) {
        let empty = |state: &mut State| state.queue.is_empty();
        let waited = self.work.wait_while(self.state(), empty);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.busy = true;
        let mut lines = state.queue.pop_front().unwrap_or_default();
        let mut weight = weight(&lines);
        let together = |lines: &[u8], next: &[u8]| lines.len() + next.len() <= TOGETHER_BYTES;
        while let Some(next) = state.queue.pop_front_if(|next| together(&lines, next)) {
            weight = weight.saturating_add(self::weight(&next));
            lines.extend_from_slice(&next);
        }
        (lines, weight)
    }

    fn write(&self, to: &mut impl Write, lines: &[u8]) -> io::Result<()> {
        for part in lines.chunks(PART_BYTES) {
            let mut rest = part;
            while !rest.is_empty() {
                match to.write(rest) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        thread::park_timeout(AGAIN);
                    }
                    Err(error) => return Err(error),
                }
            }
            let mut state = self.state();
            state.taken = state.taken.wrapping_add(1);
            state.stuck = false;
            self.moved.notify_all();
        }
        Ok(())
    }
}

/// What lines count as.
fn weight(lines: &[u8]) -> usize {
    lines.len().saturating_add(LINE_BYTES).min(OFFERED_BYTES)
}

/// Standard error without the lock of `std`: whoever holds that while nobody reads stops all who print.
struct Unlocked;

impl Write for Unlocked {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stderr(), lines)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A panic elsewhere leaves a state that is whole: no update here can stop half way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(20);

    /// Takes as many writes as it is told to, and keeps them; fails while it is told to.
    struct Reader {
        told: Receiver<bool>,
        read: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Reader {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            // Whoever told it has gone: it takes everything.
            if !self.told.recv().unwrap_or(true) {
                return Err(ErrorKind::BrokenPipe.into());
            }
            lock(&self.read).extend_from_slice(lines);
            Ok(lines.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Scene {
        stderr: Stderr,
        take: SyncSender<bool>,
        read: Arc<Mutex<Vec<u8>>>,
        told: Receiver<u64>,
    }

    fn scene(patience: Duration) -> Scene {
        let ((take, told), read) = (sync_channel(1_000), Arc::<Mutex<Vec<u8>>>::default());
        let reader = Reader { told, read: Arc::clone(&read) };
        let (tell, told) = sync_channel(1_000);
        let stderr = Stderr::over(reader, patience, move |lines| _ = tell.send(lines));
        Scene { stderr: stderr.unwrap(), take, read, told }
    }

    /// A line of so many bytes that begins with its number.
    fn numbered(number: usize, bytes: usize) -> Vec<u8> {
        format!("{number:08}{}\n", "x".repeat(bytes - 9)).into_bytes()
    }

    fn numbers(read: &[u8]) -> Vec<usize> {
        let lines = std::str::from_utf8(read).unwrap().lines();
        lines.map(|line| line[..8].parse().unwrap()).collect()
    }

    #[test]
    fn what_is_not_read_holds_up_nobody_and_what_is_missing_is_told_once_it_is() {
        let Scene { stderr, take, read, told } = scene(SHORT);
        // On one thread: if any of these waited for the reader, this would not end.
        for number in 0..2_000 {
            stderr.push(numbered(number, 1_000));
        }
        let over = stderr.passed_over();
        let kept = 2_000 - usize::try_from(over).unwrap();
        assert!((900..1_000).contains(&kept), "{kept}");
        // Nothing is let in between, also where there would be room for something shorter.
        stderr.push(numbered(2_000, 10));
        assert_eq!(stderr.passed_over(), over + 1);
        assert!(!stderr.flush_within(SHORT));
        drop(take);
        assert_eq!(told.recv_timeout(LONG).unwrap(), over + 1);
        stderr.push(numbered(2_001, 1_000));
        assert!(stderr.flush_within(LONG));
        let expected: Vec<_> = (0..kept).chain([2_001]).collect();
        assert_eq!(numbers(&lock(&read)), expected);
        assert!(told.try_recv().is_err(), "told once");
    }

    #[test]
    fn a_batch_waits_while_something_is_taken_and_the_first_that_waits_in_vain_is_the_last_that_waits()
     {
        let Scene { stderr, take, read, told } = scene(PATIENCE);
        let batch = |number| numbered(number, OFFERED_BYTES * 2);
        stderr.offer(batch(0));
        for passed_over in 1..=100 {
            stderr.offer(batch(1));
            assert_eq!(stderr.passed_over(), passed_over);
        }
        // Log lines still have their half.
        stderr.push(numbered(2, 100));
        drop(take);
        assert!(stderr.flush_within(LONG));
        assert_eq!(told.recv_timeout(LONG).unwrap(), 100);
        // More than there is room for, and all of it is taken.
        for number in 3..13 {
            stderr.offer(batch(number));
        }
        assert!(stderr.flush_within(LONG));
        let expected: Vec<_> = [0, 2].into_iter().chain(3..13).collect();
        assert_eq!(numbers(&lock(&read)), expected);
        assert_eq!(stderr.passed_over(), 100);
    }

    #[test]
    fn what_is_said_last_has_room_where_nothing_else_has() {
        let Scene { stderr, take, read, .. } = scene(SHORT);
        for number in 0..2_000 {
            stderr.push(numbered(number, 1_000));
        }
        let over = stderr.passed_over();
        stderr.insist(numbered(9_999, 1_000));
        assert_eq!(stderr.passed_over(), over);
        drop(take);
        assert!(stderr.flush_within(LONG));
        assert_eq!(numbers(&lock(&read)).last(), Some(&9_999));
    }

    #[test]
    fn lines_that_cannot_be_written_are_tried_once_and_told_when_one_is_taken_again() {
        let Scene { stderr, take, read, told } = scene(LONG);
        for number in 0..3 {
            take.send(false).unwrap();
            stderr.push(numbered(number, 100));
            assert!(stderr.flush_within(LONG));
        }
        assert_eq!(stderr.passed_over(), 3);
        assert!(told.try_recv().is_err());
        take.send(true).unwrap();
        stderr.push(numbered(3, 100));
        assert!(stderr.flush_within(LONG));
        assert_eq!(told.try_recv(), Ok(3));
        assert_eq!(numbers(&lock(&read)), [3]);
    }
}
