//! The configuration changes: exporters come, go and are set otherwise, while the agent runs or while it does not; the
//! journal's size only while it does not, as in the agent.

use sidelight_agent::export::{self, Config};
use sidelight_agent::journal::{ReaderConfig, Removed, SignalSet, Start, WhenFull};

use super::{LOCAL, World};
use crate::place::Place;

impl World {
    /// The exporters that are configured, and every reader of the journal.
    pub(super) fn configured(&self) -> (Config, Vec<ReaderConfig>) {
        let there = self.places.iter().filter(|place| place.is_there());
        let config = Config { destinations: there.map(|place| place.configured.clone()).collect() };
        let mut readers = export::readers(&config);
        readers.push(ReaderConfig {
            name: LOCAL.to_owned(),
            signals: SignalSet::ALL.with_local(),
            durable: true,
            start: Start::Oldest,
            when_full: WhenFull::DropOldest,
        });
        (config, readers)
    }

    /// Another configuration, for which the agent is not started anew.
    pub(super) async fn reload(&mut self) {
        let nth = self.random.usize(..self.places.len());
        let (name, is_there) = (self.places[nth].name.clone(), self.places[nth].is_there());
        if is_there && self.random.bool() {
            self.say(format_args!("a reload changes {name}"));
            self.happened.note("reload changes");
            self.places[nth].change(&mut self.random);
            return self.apply(|_| {}).await;
        }
        self.toggle(nth).await;
    }

    /// All are configured again.
    pub(super) async fn bring_all_back(&mut self) {
        for nth in 0..self.places.len() {
            if !self.places[nth].is_there() {
                self.toggle(nth).await;
            }
        }
    }

    /// What changes while no agent runs.
    pub(super) fn reconfigure(&mut self) {
        if self.random.u8(..4) == 0 {
            self.config.max_size = Some(self.random.u64(1..4) << 19);
            self.happened.note("journal resized");
        }
        if self.random.u8(..8) == 0 {
            let nth = self.random.usize(..self.places.len());
            self.note_toggle(nth);
            self.places[nth].toggle();
            self.places[nth].note_toggled(&self.told.lock().unwrap());
        }
    }

    async fn toggle(&mut self, nth: usize) {
        self.note_toggle(nth);
        self.places[nth].toggle();
        // From when the journal knows it, and not before.
        self.apply(move |world| world.places[nth].note_toggled(&world.told.lock().unwrap())).await;
    }

    fn note_toggle(&self, nth: usize) {
        let Place { name, .. } = &self.places[nth];
        let what = if self.places[nth].is_there() { "removes" } else { "adds" };
        self.say(format_args!("a reload {what} {name}"));
        self.happened.note(format_args!("reload {what}"));
    }

    /// The journal says that readers are gone, and with what.
    pub(super) fn note_removed(&mut self, removed: &[Removed]) {
        for Removed { reader, dropped } in removed {
            let of = |place: &&mut Place| reader.starts_with(&place.name);
            if let Some(place) = self.places.iter_mut().find(of) {
                place.removed_items += dropped.items;
            }
        }
    }

    async fn apply(&mut self, reconfigured: impl FnOnce(&mut Self)) {
        let (config, readers) = self.configured();
        let mut agent = self.agent.take().expect("it runs");
        let prepared = agent.exporters.prepare(config).expect("it is valid");
        agent.exporters.release(&prepared).await;
        let done = agent.journal.reconfigure(readers);
        reconfigured(self);
        self.note_removed(&done.removed);
        let journal = agent.journal.clone();
        agent.exporters.apply(prepared, |name| journal.reader(name)).expect("each has a reader");
        self.agent = Some(agent);
    }
}
