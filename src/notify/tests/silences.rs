//! Silences, and alerts as they are shown under them.

use super::*;

#[tokio::test]
async fn a_silenced_alert_is_shown_and_told_only_to_alertmanagers_until_the_silence_ends() {
    let (manager, hook) = (Server::start(OK).await, Server::start(OK).await);
    let (_notifier, handle) =
        start(config(vec![manager.peer("am")], vec![hook.peer("hook")])).await;
    let silence = br#"{"matchers": [{"name": "alertname", "value": "X|Y", "isRegex": true}],
        "durationSeconds": 3600, "createdBy": "test", "comment": "deploy"}"#;
    let made: Value = serde_json::from_str(&handle.add_silence(silence).unwrap()).unwrap();
    let id = made["id"].as_str().unwrap();
    handle.notify(vec![fires("X"), fires("Z")]);
    until("told", || manager.heard() == ["X posted", "Z posted"] && hook.heard() == ["Z firing"])
        .await;
    let shown: Value =
        serde_json::from_str(&handle.alerts(Some(&[fires("X"), fires("Z")]))).unwrap();
    assert_eq!(
        (&shown["alerts"][0]["silencedBy"], &shown["alerts"][1]["silencedBy"]),
        (&id.into(), &Value::Null)
    );
    handle.expire_silence(id).unwrap();
    until("told late", || hook.heard() == ["Z firing", "X firing"]).await;
    assert!(matches!(handle.expire_silence(id), Err(SilenceError::Unknown(_))));
}

#[tokio::test]
async fn a_silence_that_ends_by_itself_lets_alerts_through() {
    let hook = Server::start(OK).await;
    let (_notifier, handle) = start(config(Vec::new(), vec![hook.peer("hook")])).await;
    let silence = br#"{"matchers": [{"name": "alertname", "value": "X"}], "durationSeconds": 1}"#;
    handle.add_silence(silence).unwrap();
    handle.notify(vec![fires("X"), fires("Z")]);
    until("one is told", || hook.heard() == ["Z firing"]).await;
    until("the other too", || hook.heard() == ["Z firing", "X firing"]).await;
}

#[tokio::test]
async fn an_alert_is_shown_with_the_labels_the_silence_and_the_fingerprint_that_it_is_sent_with() {
    let takes = Server::start(OK).await;
    let external_labels = pairs(&[("cluster", "a")]);
    let (_notifier, handle) =
        start(Config { external_labels, ..config(vec![], vec![takes.peer("hook")]) }).await;
    handle.notify(vec![fires("X")]);
    until("told", || takes.heard() == ["X firing"]).await;
    let sent = takes.got.lock().unwrap()[0].1["alerts"][0].clone();
    let silence = r#"{"matchers": [{"name": "cluster", "value": "a"}], "durationSeconds": 60}"#;
    handle.add_silence(silence.as_bytes()).unwrap();
    let pending = Alert { state: State::Pending, fired_at: None, ..fires("P") };
    for active in [None, Some(&[fires("X"), pending][..])] {
        let shown: Value = serde_json::from_str(&handle.alerts(active)).unwrap();
        let shown = shown["alerts"].as_array().unwrap();
        assert_eq!(shown.len(), active.map_or(1, <[Alert]>::len));
        for (key, of) in [("labels", "labels"), ("fingerprint", "fingerprint")] {
            assert_eq!(shown[0][key], sent[of], "{key}");
        }
        assert!(shown.iter().all(|alert| alert["silencedBy"].is_string()), "{shown:?}");
        assert!(
            active.is_none() || shown[1]["startsAt"].is_null() && shown[1]["state"] == "pending"
        );
    }
}
