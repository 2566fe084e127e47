//! Which spans tell of a call to a model that no other span has told of.
//!
//! One call is often told by several: an SDK of a provider beside the instrumentation of it, an agent or a workflow around both
//! with the sum of their tokens. They end, and are sent, from the inside out. So a span with the id of an answer that was
//! counted is none, and one that wraps calls is none where a span of its trace that may be within it was counted; a wrapper
//! around calls that nobody tells of counts for them. Siblings without `gen_ai.response.id` are told apart by nothing.
//! Limits: the last [`KNOWN_MAX`] answers and as many traces. Cost: 80 B each.

use std::collections::VecDeque;
use std::hash::Hash;

use hashbrown::HashMap;

use super::facts::Facts;
use super::siphash;
use super::traces::Trace;

const KNOWN_MAX: usize = 4_096;

/// Calls that were counted lately.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// An instance and the hash of an answer's id.
    answers: Lately<(usize, u64), ()>,
    /// The innermost of a trace.
    traces: Lately<Trace, Layer>,
}

/// What a span is around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Call,
    Agent,
    Workflow,
}

impl Layer {
    fn of(facts: &Facts<'_>) -> Self {
        match facts.model_operation.as_deref() {
            Some("invoke_agent" | "create_agent" | "execute_tool" | "execute_task") => Self::Agent,
            Some("invoke_workflow") => Self::Workflow,
            _ => Self::Call,
        }
    }
}

impl Calls {
    /// Whether a span of `instance` and `trace` tells of a call that no span before it has.
    pub(super) fn is_new(
        &mut self,
        instance: usize,
        trace: Option<Trace>,
        facts: &Facts<'_>,
    ) -> bool {
        let layer = Layer::of(facts);
        if let Some(trace) = trace {
            let inner = self.traces.get_or_note(trace, layer);
            if *inner < layer {
                return false;
            }
            *inner = layer;
        }
        let answer = facts.answer.as_deref().filter(|id| !id.is_empty());
        let answer = answer.map(|id| (instance, siphash::hash(&[0; 16], id.as_bytes())));
        answer.is_none_or(|answer| self.answers.note(answer))
    }
}

/// The last few keys that were noted first.
#[derive(Debug)]
struct Lately<K, V> {
    known: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Self { known: HashMap::default(), order: VecDeque::new() }
    }
}

impl<K: Copy + Eq + Hash, V> Lately<K, V> {
    /// What was noted of a key; `value` from now on, if nothing was.
    fn get_or_note(&mut self, key: K, value: V) -> &mut V {
        if !self.known.contains_key(&key) {
            if self.order.len() >= KNOWN_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.known.entry(key).or_insert(value)
    }
}

impl<K: Copy + Eq + Hash> Lately<K, ()> {
    /// Notes a key. Whether it was not known.
    fn note(&mut self, key: K) -> bool {
        let before = self.known.contains_key(&key);
        self.get_or_note(key, ());
        !before
    }
}
