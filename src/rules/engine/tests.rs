use std::cell::Cell;
use std::task::Poll;

use super::*;
use crate::alert::Nowhere;
use crate::journal;
use crate::rules::file;
use crate::rules::group::BUILTIN;
use crate::signal::Sample;
use crate::store;
use crate::time::SystemClock;

#[tokio::test(start_paused = true)]
async fn rules_wait_for_the_store_also_when_the_journal_is_full_at_first() {
    let (tries, asked) = (Cell::new(0), Cell::new(0));
    let append = || {
        tries.set(tries.get() + 1);
        let full = tries.get() < 3;
        async move { if full { Err(AppendError::Full) } else { Ok(7) } }
    };
    let seen = || {
        asked.set(asked.get() + 1);
        let seen = asked.get() == 4;
        async move { seen }
    };
    catch_up(append, seen, || false).await;
    assert_eq!((tries.get(), asked.get()), (3, 4));
}

#[tokio::test(start_paused = true)]
async fn rules_do_not_wait_for_a_full_journal_for_ever() {
    let (tries, asked) = (Cell::new(0), Cell::new(0));
    let append = || {
        tries.set(tries.get() + 1);
        async { Err(AppendError::Full) }
    };
    let seen = || {
        asked.set(asked.get() + 1);
        async { true }
    };
    catch_up(append, seen, || tries.get() == 5).await;
    assert_eq!((tries.get(), asked.get()), (5, 0));
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_the_journal_at_a_stop_is_appended() {
    let (records, waiting) = mpsc::channel(RECORDS_MAX);
    let (end, ending) = watch::channel(false);
    for n in 0..RECORDS_MAX {
        let sample = Sample::float("a", &[], i64::try_from(n).unwrap(), 1.0);
        records.try_send(Samples(vec![sample])).unwrap();
    }
    end.send_replace(true);
    let appended = Cell::new(0);
    let append = |_: &Samples| {
        appended.set(appended.get() + 1);
        async { Ok(0) }
    };
    let dropped = Registry::default().counter(&desc::RULE_DROPPED_SAMPLES, &[]);
    write_journal(append, waiting, ending, dropped).await;
    assert_eq!(appended.get(), RECORDS_MAX);
    assert!(records.is_closed());
}

/// What rules share, over a store that nobody fills, and the other end of its inbox.
fn shared(directory: &std::path::Path) -> (Arc<Shared>, store::Outlet) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let registry = Registry::default();
    let deps = store::Deps { clock: Arc::clone(&clock), registry: registry.clone() };
    let (store, ..) = Store::open(store::Config::new(directory.to_owned()), deps).unwrap();
    let (inbox, outlet) = store::inbox(&registry);
    let deps = journal::Deps {
        fs: Arc::new(journal::fs::RealFs),
        clock: Arc::clone(&clock),
        registry: registry.clone(),
    };
    let in_memory =
        journal::Config { durability: journal::Durability::Memory, ..journal::Config::default() };
    let (journal, _) = Journal::open(in_memory, Vec::new(), deps).unwrap();
    let shared = Shared {
        state: State::open(directory),
        permits: Semaphore::new(EVALUATIONS_MAX),
        builtin: Semaphore::new(1),
        config: watch::Sender::new(Config::default()),
        ready: watch::Sender::new(true),
        running: Mutex::default(),
        ending: watch::Sender::new(false),
        writing: Mutex::default(),
        constants: Mutex::default(),
        records: mpsc::channel(1).0,
        dropped: registry.counter(&desc::RULE_DROPPED_SAMPLES, &[]),
        save_failures: registry.counter(&desc::RULE_STATE_FAILURES, &[]),
        deps: Deps { clock, registry, store, inbox, journal, outbox: Arc::new(Nowhere) },
    };
    (Arc::new(shared), outlet)
}

fn group(of: &str, expr: &str) -> Arc<Group> {
    let text =
        format!("groups: [{{name: g, interval: 1s, rules: [{{record: a, expr: '{expr}'}}]}}]");
    let file = file::parse(&text).unwrap();
    Arc::new(Group::new(of, &file.groups[0], Duration::from_secs(60)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_group_that_comes_with_the_agent_waits_for_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let (shared, _outlet) = shared(directory.path());
    let held = shared.permits.acquire_many(EVALUATIONS_MAX as u32).await.unwrap();
    // Neither makes a sample, so neither waits for the store.
    let [own, other] = [BUILTIN, "other.yaml"].map(|of| group(of, "vector(1) > 1"));
    let tasks = [&own, &other].map(|group| shared.run(Arc::clone(group)));
    let evaluated = async |group: &Group| {
        while group.last().at.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let soon = Duration::from_secs(20);
    tokio::time::timeout(soon, evaluated(&own)).await.unwrap();
    // The other has come to its slot as well, and waits.
    let waits = || other.counts.iterations.load(Ordering::Relaxed) > 0;
    tokio::time::timeout(soon, async {
        while !waits() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(other.last().at, None);
    drop(held);
    tokio::time::timeout(soon, evaluated(&other)).await.unwrap();
    for Task { stop, ended } in tasks.into_iter().filter_map(|running| running.task) {
        stop.send_replace(true);
        ended.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_store_that_takes_nothing_fails_rules_and_holds_them_up_no_longer_than_it_may() {
    let directory = tempfile::tempdir().unwrap();
    let (shared, _outlet) = shared(directory.path());
    let group = group("a.yaml", "vector(1)");
    let evaluated = tokio::task::spawn_blocking({
        let (shared, group) = (Arc::clone(&shared), Arc::clone(&group));
        move || {
            let (_stop, stopped) = watch::channel(false);
            let (inbox, patience) = (&shared.deps.inbox, Duration::from_millis(20));
            let sink = InboxSink { inbox, stopped: &stopped, patience };
            let with = Surroundings {
                source: &shared.deps.store,
                sink: &sink,
                outbox: &Nowhere,
                clock: &*shared.deps.clock,
                external_labels: &[],
                external_url: "",
                subquery_step_ms: 60_000,
                stopped: &|| false,
                resend: Duration::from_secs(60),
            };
            group.evaluate(UnixNano(1_700_000_000_000_000_000), &with)
        }
    });
    assert_eq!(evaluated.await.unwrap().0, [], "nothing is kept");
    let live = group.rules[0].live();
    let error = live.error.clone().unwrap().to_string();
    assert!(error.contains("the store took longer than 20ms"), "{error}");
    assert_eq!((live.failures, live.evaluations), (1, 1));
}

#[tokio::test]
async fn a_reload_shows_the_groups_before_it_until_those_after_it_are_there() {
    let directory = tempfile::tempdir().unwrap();
    let (shared, _outlet) = shared(directory.path());
    let before = group("before.yaml", "vector(1)");
    let running = shared.run(before);
    lock(&shared.running).push(running);
    let rules = Rules { shared };
    let names = || rules.groups().iter().map(|group| group.file.clone()).collect::<Vec<_>>();
    let after = Arc::into_inner(group("after.yaml", "vector(1)")).unwrap();
    let loaded = Loaded { groups: vec![after], errors: Vec::new() };
    let mut reload = std::pin::pin!(rules.reload(Config::default(), loaded));
    // The task of the group has had no turn in which it could end.
    let waits = std::future::poll_fn(|cx| Poll::Ready(reload.as_mut().poll(cx).is_pending())).await;
    assert!(waits);
    assert_eq!(names(), ["before.yaml"]);
    reload.await;
    assert_eq!(names(), ["after.yaml"]);
    rules.clone().stop().await;
}

#[tokio::test]
async fn a_service_that_is_expected_no_more_has_no_series_from_the_reload_on() {
    let directory = tempfile::tempdir().unwrap();
    let (shared, mut outlet) = shared(directory.path());
    let expect = |services: &[&str]| {
        let expected_services = services.iter().map(|&name| name.to_owned()).collect();
        shared.config.send_replace(Config { expected_services, ..Config::default() });
    };
    expect(&["shop", "till"]);
    let writing = tokio::spawn({
        let shared = Arc::clone(&shared);
        async move { repeat_constants(&shared, UnixNano(1)).await }
    });
    let mut written = async || {
        let batch = tokio::time::timeout(Duration::from_secs(10), outlet.next());
        let batch = batch.await.unwrap().unwrap();
        let of = |one: &&Sample| one.labels.metric_name() == constants::EXPECTED_SERVICE;
        let found = batch.samples.0.iter().filter(of);
        let found = found.map(|one| (one.labels.get("service_name").to_owned(), one.value.clone()));
        let found: Vec<_> = found.collect();
        batch.applied();
        found
    };
    let [one, gone] = [Value::Float(1.0), Value::Stale];
    assert_eq!(written().await, [("shop".into(), one.clone()), ("till".into(), one.clone())]);
    expect(&["till"]);
    assert_eq!(written().await, [("till".into(), one), ("shop".into(), gone)]);
    writing.abort();
}

#[tokio::test]
async fn a_reload_on_a_disk_that_takes_its_time_holds_up_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let (shared, _outlet) = shared(directory.path());
    let other = rusqlite::Connection::open(directory.path().join("alerts.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let rules = Rules { shared };
    let reload = rules.reload(Config::default(), Loaded { groups: vec![], errors: vec![] });
    tokio::select! {
        biased;
        () = reload => panic!("the file is not free"),
        () = tokio::time::sleep(Duration::from_millis(20)) => {}
    }
}
