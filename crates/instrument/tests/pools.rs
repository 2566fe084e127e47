//! Pools of deadpool and bb8 as they are: what the adapters tell of their connections.

#![cfg(all(feature = "bb8", feature = "deadpool", feature = "macros", feature = "testing"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bb8::ManageConnection;
use deadpool::managed::{Manager, Metrics, RecycleResult};
use sidelight::Pool;
use sidelight::testing::{Capture, MetricMatch};

/// Opens connections that say `hello`, until they break.
#[derive(Debug, Default)]
struct Open {
    broken: AtomicBool,
}

impl Manager for Open {
    type Type = String;
    type Error = io::Error;

    async fn create(&self) -> io::Result<String> {
        Ok("hello".to_owned())
    }

    async fn recycle(&self, _: &mut String, _: &Metrics) -> RecycleResult<io::Error> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
        }
        Ok(())
    }
}

impl ManageConnection for Open {
    type Connection = String;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<String> {
        self.create().await
    }

    async fn is_valid(&self, _: &mut String) -> io::Result<()> {
        Ok(())
    }

    fn has_broken(&self, _: &mut String) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

fn of(captured: &Capture, name: &str, pool: &str) -> MetricMatch {
    let conventional = name.starts_with("db.");
    let label = if conventional { "db.client.connection.pool.name" } else { "pool.name" };
    captured.metric(name).attr(label, pool)
}

fn states(captured: &Capture, pool: &str) -> (f64, f64) {
    let count = |state| {
        let all = of(captured, "db.client.connection.count", pool);
        all.attr("db.client.connection.state", state).value()
    };
    (count("idle"), count("used"))
}

#[sidelight::test]
async fn connections_of_deadpool_are_followed_from_their_opening_to_their_end(captured: &Capture) {
    static STOCK: Pool = Pool::db("postgresql", "deadpool.stock").limits(0, 2);
    let managed = sidelight::deadpool::Managed::new(&STOCK, Open::default());
    let pool = sidelight::deadpool::Pool::<Open>::builder(managed).max_size(2).build().unwrap();
    let (mut one, other) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    one.push_str(" you");
    assert_eq!((one.as_str(), other.as_str()), ("hello you", "hello"));
    assert_eq!(states(captured, "deadpool.stock"), (0.0, 2.0));
    drop((one, other));
    assert_eq!(states(captured, "deadpool.stock"), (2.0, 0.0));
    drop(pool.get().await.unwrap());
    of(captured, "sidelight.connection.opened", "deadpool.stock").assert_eq(2);
    of(captured, "sidelight.connection.reuses", "deadpool.stock").assert_eq(1);
    of(captured, "db.client.connection.create_time", "deadpool.stock").assert_count(2);
    of(captured, "db.client.connection.use_time", "deadpool.stock").assert_count(3);
    // Both are found broken when they are wanted, and a third is opened.
    pool.manager().manager().broken.store(true, Ordering::Relaxed);
    drop(pool.get().await.unwrap());
    let closed = of(captured, "sidelight.connection.duration", "deadpool.stock");
    closed.attr("error.type", "recycle_failed").assert_count(2);
    of(captured, "sidelight.connection.opened", "deadpool.stock").assert_eq(3);
    drop(pool);
    of(captured, "sidelight.connection.closed", "deadpool.stock").assert_eq(3);
}

#[sidelight::test]
async fn connections_of_bb8_are_followed_from_their_opening_to_their_end(captured: &Capture) {
    static STOCK: Pool = Pool::db("postgresql", "bb8.stock").limits(0, 2);
    let managed = sidelight::bb8::Managed::new(&STOCK, Open::default());
    let timeout = Duration::from_secs(10);
    let pool = bb8::Pool::builder().max_size(2).connection_timeout(timeout);
    let pool = pool.build(managed).await.unwrap();
    let (mut one, other) = (pool.get().await.unwrap(), pool.get().await.unwrap());
    one.push_str(" you");
    assert_eq!((one.as_str(), other.as_str()), ("hello you", "hello"));
    assert_eq!(states(captured, "bb8.stock"), (0.0, 2.0));
    drop((one, other));
    assert_eq!(states(captured, "bb8.stock"), (2.0, 0.0));
    drop(pool.get().await.unwrap());
    of(captured, "sidelight.connection.opened", "bb8.stock").assert_eq(2);
    of(captured, "sidelight.connection.reuses", "bb8.stock").assert_eq(1);
    of(captured, "db.client.connection.create_time", "bb8.stock").assert_count(2);
    of(captured, "db.client.connection.use_time", "bb8.stock").assert_count(3);
    drop(pool);
    of(captured, "sidelight.connection.closed", "bb8.stock").assert_eq(2);
}
