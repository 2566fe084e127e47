//! The self-metrics of notifications.

use super::{Desc, Kind};

table! {
NOTIFICATIONS_SENT = Counter("sidelight_notifications_sent_alerts", &["receiver"]),
    "Alerts, firing or resolved, that a receiver took; one that is told again counts again.";
NOTIFICATIONS_ERRORS = Counter("sidelight_notifications_errors", &["receiver", "reason"]),
    "Requests to receivers that failed, by reason; most are tried again.";
NOTIFICATIONS_FAILING_SINCE = Gauge("sidelight_notifications_failing_since_timestamp_seconds", &["receiver"]),
    "Since when a receiver has taken nothing of what it was to be told; Unix seconds, 0 while nothing fails.";
NOTIFICATIONS_DROPPED = Counter("sidelight_notifications_dropped_alerts", &["receiver", "reason"]),
    "Alerts dropped on the way to a receiver: no room, or tried for too long. Those that fire on are due again within a \
     minute.";
NOTIFICATIONS_QUEUE_SIZE = Gauge("sidelight_notifications_queue_size", &["receiver"]),
    "Alerts that wait for an Alertmanager, or that a webhook's groups hold.";
NOTIFICATIONS_RECEIVED = Counter("sidelight_notifications_received_alerts", &[]),
    "Alerts that rules handed over to be told.";
NOTIFICATIONS_REFUSED = Counter("sidelight_notifications_refused_alerts", &[]),
    "Alerts of rules that were dropped because 10,000 waited already. Those that fire on are due again within a minute.";
NOTIFICATIONS_HISTORY_LOST = Counter("sidelight_notifications_history_lost_rows", &[]),
    "Transitions and delivery results that history does not have, because the disk did not take them in time.";
NOTIFICATIONS_SILENCES = Gauge("sidelight_notifications_silences", &[]),
    "Silences that hold now.";
}
