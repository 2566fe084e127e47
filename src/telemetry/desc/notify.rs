//! The self-metrics of notifications.

use super::{Desc, Kind};

table! {
/// Alerts that a receiver took.
pub const NOTIFICATIONS_SENT: Desc = Desc {
    name: "sidelight_notifications_sent_alerts",
    kind: Kind::Counter,
    help: "Alerts, firing or resolved, that a receiver took; one that is told again counts again.",
    labels: &["receiver"],
};
/// Tries that failed.
pub const NOTIFICATIONS_ERRORS: Desc = Desc {
    name: "sidelight_notifications_errors",
    kind: Kind::Counter,
    help: "Requests to receivers that failed, by reason; most are tried again.",
    labels: &["receiver", "reason"],
};
/// Alerts that were not told.
pub const NOTIFICATIONS_DROPPED: Desc = Desc {
    name: "sidelight_notifications_dropped_alerts",
    kind: Kind::Counter,
    help: "Alerts dropped on the way to a receiver: no room, or tried for too long. Those that fire on are due again \
           within a minute.",
    labels: &["receiver", "reason"],
};
/// Alerts that wait.
pub const NOTIFICATIONS_QUEUE_SIZE: Desc = Desc {
    name: "sidelight_notifications_queue_size",
    kind: Kind::Gauge,
    help: "Alerts that wait for an Alertmanager, or that a webhook's groups hold.",
    labels: &["receiver"],
};
/// Alerts that came from rules.
pub const NOTIFICATIONS_RECEIVED: Desc = Desc {
    name: "sidelight_notifications_received_alerts",
    kind: Kind::Counter,
    help: "Alerts that rules handed over to be told.",
    labels: &[],
};
/// Alerts that were refused.
pub const NOTIFICATIONS_REFUSED: Desc = Desc {
    name: "sidelight_notifications_refused_alerts",
    kind: Kind::Counter,
    help: "Alerts of rules that were dropped because 10,000 waited already. Those that fire on are due again within a \
           minute.",
    labels: &[],
};
/// Rows of history that were lost.
pub const NOTIFICATIONS_HISTORY_LOST: Desc = Desc {
    name: "sidelight_notifications_history_lost_rows",
    kind: Kind::Counter,
    help: "Transitions and delivery results that history does not have, because the disk did not take them in time.",
    labels: &[],
};
/// Silences that hold.
pub const NOTIFICATIONS_SILENCES: Desc = Desc {
    name: "sidelight_notifications_silences",
    kind: Kind::Gauge,
    help: "Silences that hold now.",
    labels: &[],
};
}
