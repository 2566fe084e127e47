use std::cell::Cell;
use std::task::Poll;

use super::*;
use crate::alert::Nowhere;
use crate::journal;
use crate::rules::file;
use crate::rules::group::BUILTIN;
use crate::signal::{Record, Sample};
use crate::store;
use crate::time::SystemClock;

#[tokio::test(start_paused = true)]
async fn rules_wait_until_the_store_has_what_the_journal_took() {
    let (tries, asked) = (Cell::new(0), Cell::new(0));
    let append = || {
        tries.set(tries.get() + 1);
        async { Ok(7) }
    };
    let seen = || {
        asked.set(asked.get() + 1);
        let seen = asked.get() == 4;
        async move { seen }
    };
    catch_up(append, seen).await;
    assert_eq!((tries.get(), asked.get()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn rules_do_not_wait_for_a_journal_that_is_full_or_has_no_disk() {
    let began = tokio::time::Instant::now();
    for error in [AppendError::Full, AppendError::Disk(Arc::new(std::io::Error::other("gone")))] {
        let append = || {
            let error = error.clone();
            async move { Err(error) }
        };
        catch_up(append, || async { false }).await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn rules_do_not_wait_for_ever_for_a_store_that_cannot_read_the_journal() {
    let directory = tempfile::tempdir().unwrap();
    let (shared, _outlet) = shared(directory.path());
    shared.ready.send_replace(false);
    let writing = tokio::spawn(write_constants(Arc::clone(&shared)));
    let mut ready = shared.ready.subscribe();
    let ready = ready.wait_for(|ready| *ready);
    assert!(tokio::time::timeout(CATCH_UP_MAX * 2, ready).await.unwrap().is_ok());
    writing.abort();
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
    let append = |_: Record| {
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
        fs: Arc::new(journal::fs::Roomy),
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
        deps: Deps {
            clock,
            registry,
            store,
            inbox,
            journal,
            outbox: Arc::new(Nowhere),
            samples_max: 1_000_000,
        },
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
async fn a_group_that_comes_with_the_agent_waits_for_no_other_and_that_one_is_not_late() {
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
    // The other has come to its slot as well, a second ago at least, and waits.
    let third = || own.counts.iterations.load(Ordering::Relaxed) >= 3;
    tokio::time::timeout(soon, async {
        while !third() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(other.last().at, None);
    let now = shared.deps.clock.unix_nano();
    drop(held);
    tokio::time::timeout(soon, evaluated(&other)).await.unwrap();
    // As of when it was its turn: what it tells would be too old otherwise.
    assert!(other.last().at > Some(now.before(Duration::from_secs(1))));
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
                samples_max: 1_000_000,
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
    let loaded = Loaded { groups: vec![after], ..Loaded::default() };
    let mut reload = std::pin::pin!(rules.reload(Config::default(), loaded));
    // The task of the group has had no turn in which it could end.
    let waits = std::future::poll_fn(|cx| Poll::Ready(reload.as_mut().poll(cx).is_pending())).await;
    assert!(waits);
    assert_eq!(names(), ["before.yaml"]);
    reload.await;
    assert_eq!(names(), ["after.yaml"]);
    rules.clone().stop().await;
}

/// A group that is not due within any test.
fn rare(of: &str, rule: &str) -> Group {
    let file = file::parse(&format!("groups: [{{name: g, rules: [{rule}]}}]")).unwrap();
    Group::new(of, &file.groups[0], Duration::from_secs(30 * 86_400))
}

#[tokio::test(start_paused = true)]
async fn a_reload_waits_neither_for_an_evaluation_nor_for_a_store_that_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let (shared, _outlet) = shared(directory.path());
    let hanging = Arc::new(rare("before.yaml", "{record: a, expr: up}"));
    hanging.rules[0].live().previous = vec![Labels::new([("__name__", "a")])];
    let stop = watch::Sender::new(false);
    let task = Task { stop, ended: tokio::spawn(std::future::pending()) };
    lock(&shared.running).push(Running { group: hanging, task: Some(task) });
    let rules = Rules { shared };
    let groups = vec![rare("after.yaml", "{record: a, expr: up}")];
    let reload = rules.reload(Config::default(), Loaded { groups, ..Loaded::default() });
    tokio::time::timeout(Duration::from_secs(60), reload).await.unwrap();
    assert_eq!(rules.groups()[0].file, "after.yaml");
    rules.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_evaluation_that_hangs_gives_its_permit_to_others_and_one_that_is_slow_keeps_it() {
    let permits = Semaphore::new(1);
    let slow = async {
        tokio::time::sleep(HANGS_AFTER / 2).await;
        permits.available_permits()
    };
    assert_eq!(holding(permits.acquire().await.unwrap(), slow).await, 0);
    let hangs = async {
        tokio::time::sleep(HANGS_AFTER * 2).await;
        permits.available_permits()
    };
    assert_eq!(holding(permits.acquire().await.unwrap(), hangs).await, 1);
    assert_eq!(permits.available_permits(), 1);
}

/// A store that takes nothing.
struct Full;

impl crate::rules::evaluate::Sink for Full {
    fn append(&self, _: Samples) -> Result<(), String> {
        Err("full".to_owned())
    }
}

#[tokio::test]
async fn a_reload_gives_the_rules_of_a_file_that_was_left_out_at_the_start_their_alerts() {
    let directory = tempfile::tempdir().unwrap();
    let (shared, _outlet) = shared(directory.path());
    let group = || rare("late.yaml", "{alert: A, expr: vector(1)}");
    let before = group();
    let with = Surroundings {
        source: &shared.deps.store,
        sink: &Full,
        outbox: &Nowhere,
        clock: &*shared.deps.clock,
        external_labels: &[],
        external_url: "",
        subquery_step_ms: 60_000,
        samples_max: 1_000_000,
        stopped: &|| false,
        resend: Duration::from_secs(60),
    };
    let at = UnixNano(1_700_000_000_000_000_000);
    let _ = before.evaluate(at, &with);
    kept::save(&before, &shared.state).unwrap();
    shared.forget_others([], vec!["late.yaml".to_owned()]);
    let rules = Rules { shared: Arc::clone(&shared) };
    rules.reload(Config::default(), Loaded { groups: vec![group()], ..Loaded::default() }).await;
    let fired = |group: &Group| {
        group.rules[0].live().alerts.all().map(|alert| alert.fired_at).collect::<Vec<_>>()
    };
    assert_eq!(fired(&rules.groups()[0]), [Some(at)]);
    rules.stop().await;
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
    let reload = rules.reload(Config::default(), Loaded::default());
    tokio::select! {
        biased;
        () = reload => panic!("the file is not free"),
        () = tokio::time::sleep(Duration::from_millis(20)) => {}
    }
}
