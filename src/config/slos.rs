//! `slos`: objectives, each checked for what it needs.

use std::collections::BTreeSet;

use super::check::Values;
use crate::rules::config::Slo;
use crate::yaml::Finding;

pub(super) fn resolve(values: &Values, findings: &mut Vec<Finding>) -> Vec<Slo> {
    let (mut slos, mut names) = (Vec::new(), BTreeSet::new());
    for (at, span) in values.entries("slos") {
        let mut slo = Slo::default();
        at.set("name", &mut slo.name);
        at.set("service", &mut slo.service);
        at.set("operations", &mut slo.operations);
        at.set("objective", &mut slo.objective);
        at.set("latency", &mut slo.latency);
        for (key, example) in [("name", "checkout"), ("service", "shop")] {
            if at.given(key).is_none() {
                let message = format!("this objective has no `{key}`");
                let help = format!("add one, for example `{key}: {example}`");
                findings.push(Finding::error(span, message).help(help));
            }
        }
        let control = |text: &String| text.chars().any(char::is_control);
        if control(&slo.name) || control(&slo.service) || slo.operations.iter().any(control) {
            let message = "a text of this objective holds a control character";
            findings.push(Finding::error(span, message).help("leave it out"));
        }
        if let Some(given) = at.given("name")
            && !names.insert(slo.name.clone())
        {
            let message = format!("another objective is called `{}`", slo.name);
            findings.push(Finding::error(given.span, message).help("give each its own `name`"));
        }
        slos.push(slo);
    }
    slos
}
