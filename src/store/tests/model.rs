//! The store against a naive map.

use super::*;

/// One of few histograms or numbers at one of few times, so that all meet.
#[derive(Clone, Debug)]
enum Step {
    Float(u8, i64, f64),
    Classic(u8, i64, Vec<u64>, bool, bool),
    Stale(u8, bool, i64),
    Checkpoint,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let time = || 0_i64..20_000_000;
    prop_oneof![
        40 => (0_u8..4, time(), prop_oneof![(-50_i32..50).prop_map(f64::from), any::<f64>()])
            .prop_map(|(series, time, value)| Step::Float(series, time, value)),
        40 => (0_u8..3, time(), prop::collection::vec(0_u64..50, 3), any::<bool>(), any::<bool>())
            .prop_map(|(series, time, counts, other, sum)| Step::Classic(series, time, counts, other, sum)),
        4 => (0_u8..3, any::<bool>(), time()).prop_map(|(series, classic, time)| Step::Stale(series, classic, time)),
        1 => prop_oneof![Just(Step::Checkpoint), Just(Step::Restart)],
    ]
}

/// Every series as it would be stored one by one.
#[derive(Default)]
struct Model {
    last: BTreeMap<(u8, bool), (i64, bool)>,
    series: BTreeMap<String, Vec<(i64, u64)>>,
    bounds: BTreeMap<u8, Vec<f64>>,
}

impl Model {
    fn takes(&mut self, series: u8, classic: bool, time: i64, ended: bool) -> bool {
        let taken = self.last.get(&(series, classic)).is_none_or(|&(last, _)| time > last);
        if taken {
            self.last.insert((series, classic), (time, ended));
        }
        taken
    }

    fn put(&mut self, labels: String, time: i64, value: f64) {
        self.series.entry(labels).or_default().push((time, value.to_bits()));
    }

    fn classic(
        &mut self,
        series: u8,
        time: i64,
        bounds: &[f64],
        counts: Option<&[u64]>,
        sum: Option<f64>,
    ) {
        let stale = f64::from_bits(STALE_BITS);
        let mut total = 0;
        let infinite = [f64::INFINITY];
        for (i, bound) in bounds.iter().chain(&infinite).enumerate() {
            total += counts.map_or(0, |counts| counts[i]);
            let le = if bound.is_infinite() { "+Inf".to_owned() } else { bound.to_string() };
            let value = if counts.is_some() { total as f64 } else { stale };
            self.put(
                format!("{{__name__=\"h_bucket\", le=\"{le}\", s=\"{series}\"}}"),
                time,
                value,
            );
        }
        let value = if counts.is_some() { total as f64 } else { stale };
        self.put(format!("{{__name__=\"h_count\", s=\"{series}\"}}"), time, value);
        if let Some(sum) = if counts.is_some() { sum } else { Some(stale) } {
            self.put(format!("{{__name__=\"h_sum\", s=\"{series}\"}}"), time, sum);
        }
        self.bounds.insert(series, bounds.to_vec());
    }

    fn step(&mut self, step: &Step, writer: &mut Writer) {
        let mut id = |name, series: u8, kind| {
            writer.series(&[("__name__", name), ("s", &series.to_string())], kind)
        };
        match *step {
            Step::Float(series, time, value) => {
                let id = id("f", series, Kind::Float);
                let taken = self.takes(series, false, time, value.to_bits() == STALE_BITS);
                assert_eq!(writer.append(id, T0 + time, value).is_ok(), taken);
                if taken {
                    self.put(format!("{{__name__=\"f\", s=\"{series}\"}}"), T0 + time, value);
                }
            }
            Step::Classic(series, time, ref counts, other, sum) => {
                let id = id("h", series, Kind::Classic);
                let bounds = if other { [0.25, 1.0] } else { [1.0, 2.5] };
                let (sum, count) = (sum.then_some(0.1), counts.iter().sum());
                let taken = self.takes(series, true, time, false);
                let classic = Classic { bounds: &bounds, counts, sum, count };
                assert_eq!(writer.append_classic(id, T0 + time, &classic).is_ok(), taken);
                if taken {
                    self.classic(series, T0 + time, &bounds, Some(counts), sum);
                }
            }
            Step::Stale(series, classic, time) => {
                let (name, kind) = if classic { ("h", Kind::Classic) } else { ("f", Kind::Float) };
                let id = id(name, series, kind);
                writer.stale(id, T0 + time);
                let live = self.last.get(&(series, classic)).is_some_and(|&(_, ended)| !ended);
                if live && self.takes(series, classic, time, true) {
                    if classic {
                        let bounds = self.bounds[&series].clone();
                        self.classic(series, T0 + time, &bounds, None, None);
                    } else {
                        let labels = format!("{{__name__=\"f\", s=\"{series}\"}}");
                        self.put(labels, T0 + time, f64::from_bits(STALE_BITS));
                    }
                }
            }
            Step::Checkpoint | Step::Restart => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// The virtual view of histograms is what storing their series one by one gives.
    #[test]
    fn the_store_is_what_a_naive_map_is(
        mut steps in prop::collection::vec(step(), 1..600), sorted in any::<bool>(),
    ) {
        let far = |config: &mut Config| {
            let far = std::time::Duration::from_hours(24);
            (config.future_max, config.series_ttl) = (far, far);
        };
        let mut fixture = open(far);
        if sorted {
            let (mut at, all) = (0, i64::try_from(steps.len()).unwrap());
            for step in &mut steps {
                at += 20_000_000 / all;
                match step {
                    Step::Float(_, time, _) | Step::Classic(_, time, ..) | Step::Stale(_, _, time) => *time = at,
                    Step::Checkpoint | Step::Restart => {}
                }
            }
        }
        let mut model = Model::default();
        for (seq, step) in (1..).zip(&steps) {
            model.step(step, &mut fixture.writer);
            if matches!(step, Step::Checkpoint | Step::Restart) {
                fixture.writer.checkpoint(seq).unwrap();
            }
            if matches!(step, Step::Restart) {
                prop_assert_eq!(fixture.restart(far).journal_seq, Some(seq));
            }
        }
        let store = &fixture.store;
        prop_assert_eq!(everything(store), model.series.clone());
        let (after, until) = (T0 + 5_000_000, T0 + 15_000_000);
        let mut within = model.series;
        within.values_mut().for_each(|s| s.retain(|(time, _)| *time > after && *time <= until));
        within.retain(|_, samples| !samples.is_empty());
        let all = [matcher("__name__", MatchOp::Regex, ".+")];
        prop_assert_eq!(select(store, &all, after, until), within.clone());
        for (name, op, value) in [
            ("le", MatchOp::Equal, "1"), ("le", MatchOp::NotEqual, ""), ("le", MatchOp::Equal, ""),
            ("le", MatchOp::Regex, "0.*|.Inf"), ("__name__", MatchOp::NotRegex, "h_b.*"),
            ("__name__", MatchOp::Equal, "h_sum"), ("__name__", MatchOp::Equal, "h"), ("s", MatchOp::NotEqual, "1"),
        ] {
            let condition = matcher(name, op, value);
            let label = |labels: &str| {
                let value = labels.split(&format!("{name}=\"")).nth(1);
                value.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
            };
            let mut expected = within.clone();
            expected.retain(|labels, _| condition.matches(&label(labels)));
            let both = [all[0].clone(), condition.clone()];
            prop_assert_eq!(select(store, &both, after, until), expected, "{}{:?}{}", name, op, value);
        }
    }
}
