//! Options of service level objectives.

use super::{Kind, Opt, Section, is, live, millis, unset};

pub(super) const SECTION: Section = Section {
    title: "Service level objectives",
    intro: "Each makes a group of rules: the share of bad events over windows from 5m to 30d, what is left of the error \
            budget of 30 days (`sidelight:slo_error_budget_remaining`), and an alert when it is used up 14.4 times (over 1h \
            and 5m), 6 times (6h and 30m) or once (3d and 6h) as fast as it may be.",
    places: &["slos[]"],
    options: SLO,
};

const SLO: &[Opt] = &[
    live("name", Kind::Text, unset("required"), "The label `slo`; no two have the same."),
    live("service", Kind::Text, unset("required"), "`service.name`."),
    live(
        "operations",
        Kind::List(&Kind::Text),
        is("[]"),
        "Routes, or operations of a service without HTTP metrics; `<unmatched>` is requests without a route. None: all but \
         `aggregate.routes.exclude`.",
    ),
    live(
        "objective",
        Kind::Float { min: 1.0, max: 99.999_99 },
        is("99.9"),
        "How many percent of events are to be good.",
    ),
    live(
        "latency",
        millis(1, 10_000),
        unset("only failures are bad"),
        "An event that takes longer is bad, too. The bound of the service's histogram that is nearest counts.",
    ),
];
