//! The layer that writes lines, to standard output or into memory.

use std::cell::RefCell;
use std::io::Write;

use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::format::{self, Head, Service, Style};
use super::timestamp;
use super::trace::{Dispatched, span_of};
use crate::{current, entry};

/// A buffer that grew past this gives its memory back.
const BUFFER_KEPT: usize = 16 * 1024;

thread_local! {
    static LINE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Where lines go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Output {
    Process,
    #[cfg(feature = "testing")]
    To(fn(&str)),
}

impl Output {
    /// What cannot be written is lost: a closed output is no reason to end or to block.
    fn write(self, line: &str) {
        match self {
            Self::Process => _ = std::io::stdout().lock().write_all(line.as_bytes()),
            #[cfg(feature = "testing")]
            Self::To(take) => take(line),
        }
    }
}

/// Writes one line per event.
#[derive(Debug)]
pub(crate) struct Stdout {
    style: Option<Style>,
    service: Service,
    output: Output,
    dispatched: Dispatched,
}

impl Stdout {
    pub(crate) fn new(style: Option<Style>, service: Service, output: Output) -> Self {
        Self { style, service, output, dispatched: Dispatched::default() }
    }
}

impl<S> Layer<S> for Stdout
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.dispatched.remember(dispatch);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(style) = self.style else { return };
        // Told of to the agent; a line for each would be noise.
        if event.metadata().target() == entry::TARGET {
            return;
        }
        let span = span_of(event, &context);
        let head = Head {
            time: timestamp::now(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            span: span.as_ref().map(|span| span.name()),
            request_id: current::request_id(),
            trace: self.dispatched.trace_of(span.as_ref()),
        };
        in_buffer(|line| {
            format::event(line, style, &self.service, &head, event);
            self.output.write(line);
        });
    }
}

/// The thread's buffer, or another where a field's value is itself logging.
fn in_buffer(write: impl FnOnce(&mut String)) {
    let mut write = Some(write);
    let reused = LINE.try_with(|line| {
        let Ok(mut line) = line.try_borrow_mut() else { return };
        line.clear();
        if let Some(write) = write.take() {
            write(&mut line);
        }
        if line.capacity() > BUFFER_KEPT {
            *line = String::new();
        }
    });
    if let (Some(write), _) = (write, reused) {
        write(&mut String::new());
    }
}
