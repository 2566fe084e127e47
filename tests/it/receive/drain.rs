//! Going down: what has begun is finished, nothing new is taken.

use std::time::Duration;

use http_body_util::BodyExt as _;

use super::{PROTOBUF, Server, TRACES, call, eventually, framed, h2c, post, traces_bytes};

#[tokio::test]
async fn a_drain_finishes_what_has_begun_and_takes_nothing_new() {
    let server = Server::plain().await;
    let address = server.address();
    let gate = server.journal.hold();
    let mut sender = h2c(server.connect().await).await;
    let idle = h2c(server.connect().await).await;
    let mut busy = sender.clone();
    let begun = tokio::spawn(async move {
        call(&mut busy, TRACES, framed(false, &traces_bytes(1)), &[]).await.code
    });
    eventually("it has begun", || server.journal.records().len() == 1).await;
    let drained = tokio::spawn(server.handle.drain(Duration::from_secs(10)));
    eventually("the idle connection is closed", || idle.is_closed()).await;
    let refused = async { while tokio::net::TcpStream::connect(&address).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), refused).await.unwrap();
    gate.add_permits(1);
    assert_eq!(begun.await.unwrap(), 0);
    assert!(drained.await.unwrap().complete);
    let late = post("http://localhost/v1/traces", "", &[PROTOBUF]);
    assert!(sender.send_request(late).await.is_err());
}

#[tokio::test]
async fn a_drain_cuts_what_does_not_finish_in_time() {
    let server = Server::plain().await;
    let _gate = server.journal.hold();
    let mut sender = h2c(server.connect().await).await;
    let request = post("http://localhost/v1/traces", traces_bytes(1), &[PROTOBUF]);
    let begun = tokio::spawn(sender.send_request(request));
    eventually("it has begun", || server.journal.records().len() == 1).await;
    assert!(!server.handle.drain(Duration::from_millis(50)).await.complete);
    assert!(begun.await.unwrap().is_err());
    eventually("its bytes are given back", || server.in_flight.used() == 0).await;
}

#[tokio::test]
async fn an_http_1_connection_is_closed_after_its_answer() {
    let server = Server::plain().await;
    let gate = server.journal.hold();
    let stream = server.connect().await;
    let request = post("/v1/traces", traces_bytes(1), &[PROTOBUF]);
    let begun = tokio::spawn(super::send_over(stream, request));
    eventually("it has begun", || server.journal.records().len() == 1).await;
    let drained = tokio::spawn(server.handle.drain(Duration::from_secs(10)));
    gate.add_permits(1);
    assert_eq!(begun.await.unwrap().status(), 200);
    assert!(drained.await.unwrap().complete);
}

#[tokio::test]
async fn a_watch_of_health_sees_the_drain_and_does_not_hold_it_up() {
    let server = Server::plain().await;
    let mut sender = h2c(server.connect().await).await;
    let path = "http://localhost/grpc.health.v1.Health/Watch";
    let headers = [("content-type", "application/grpc"), ("te", "trailers")];
    let response = sender.send_request(post(path, framed(false, b""), &headers)).await.unwrap();
    let mut body = response.into_body();
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&frame[..], [0, 0, 0, 0, 2, 8, 1], "SERVING");
    assert!(server.handle.drain(Duration::from_secs(10)).await.complete);
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&frame[..], [0, 0, 0, 0, 2, 8, 2], "NOT_SERVING");
    let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "14");
}
