//! A metrics request of any bytes, through the translator into a store: never a panic, never more series or memory than the
//! limits say, and a checkpoint of what came of it.
#![no_main]

use std::cell::RefCell;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sidelight_agent::aggregate::metrics::{Config, Translator};
use sidelight_agent::memory::StoreBudget;
use sidelight_agent::store;
use sidelight_agent::store::{SeriesId, Store, Writer};
use sidelight_agent::telemetry::Registry;
use sidelight_agent::time::{ManualClock, UnixNano};

const SERIES_MAX: usize = 500;
const MEMORY: StoreBudget = StoreBudget::of(4 << 20);
/// 2023-11-14, in nanoseconds.
const START: u64 = 1_700_000_000_000_000_000;

struct Kept {
    translator: Translator<SeriesId>,
    writer: Writer,
    store: Store,
    requests: u64,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::new(open());
}

fn open() -> Kept {
    let directory = std::env::temp_dir().join(format!("sidelight-fuzz-{}", std::process::id()));
    let config = store::Config::new(directory);
    let config = store::Config { memory: MEMORY, series_max: SERIES_MAX, ..config };
    let registry = Registry::default();
    let deps = store::Deps { clock: Arc::new(ManualClock::default()), registry: registry.clone() };
    let (store, writer, _) = Store::open(config, deps).expect("a store in the temporary directory");
    let config = Config { memory: MEMORY, series_max: SERIES_MAX, ..Config::default() };
    Kept { translator: Translator::new(config, &registry), writer, store, requests: 0 }
}

fuzz_target!(|input: &[u8]| {
    KEPT.with_borrow_mut(|kept| {
        let Kept { translator, writer, store, requests } = kept;
        *requests += 1;
        translator.observe(writer, input, UnixNano(START + *requests * 1_000_000_000));
        if *requests % 1_024 == 0 {
            translator.forget(writer);
            let encode = |writer: &Writer, put: store::PutState<'_>| translator.encode(writer, put);
            writer.checkpoint_with(*requests, encode).expect("a checkpoint");
            let stats = store.stats();
            assert!(stats.series <= SERIES_MAX + 1, "{} series", stats.series);
            assert!(stats.head_bytes < 2 * (MEMORY.series + MEMORY.pending), "{stats:?}");
        }
    });
});
