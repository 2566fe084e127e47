//! Pools of deadpool: a manager around the application's own, whose connections the [`Pool`](crate::Pool) follows.
//!
//! ```
//! use deadpool::managed::{Manager, Metrics, RecycleResult};
//! use sidelight::Pool as Told;
//! use sidelight::deadpool::{Managed, Pool};
//!
//! struct Open;
//!
//! impl Manager for Open {
//!     type Type = String;
//!     type Error = std::io::Error;
//!
//!     async fn create(&self) -> Result<String, std::io::Error> {
//!         Ok("a connection".to_owned())
//!     }
//!
//!     async fn recycle(&self, _: &mut String, _: &Metrics) -> RecycleResult<std::io::Error> {
//!         Ok(())
//!     }
//! }
//!
//! static STOCK: Told = Told::db("postgresql", "stock").limits(0, 8);
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let pool: Pool<Open> = Pool::builder(Managed::new(&STOCK, Open)).max_size(8).build().unwrap();
//! let wait = STOCK.waiting();
//! let connection = pool.get().await.unwrap();
//! drop(wait);
//! assert_eq!(connection.len(), 12);
//! # });
//! ```

use std::ops::{Deref, DerefMut};

use deadpool::managed::{self, Manager, Metrics, Object, RecycleResult};

use crate::{Checkout, Pool as Told, Tracked};

/// A pool that lends connections as [`Lent`].
pub type Pool<M> = managed::Pool<Managed<M>, Lent<M>>;

/// Makes connections as another manager does, and follows them: when they were opened, how long that took, how often they were
/// used again, how they ended.
#[derive(Debug)]
pub struct Managed<M> {
    pool: &'static Told,
    manager: M,
}

impl<M> Managed<M> {
    /// Connections of `manager`, told of as those of `pool`.
    pub const fn new(pool: &'static Told, manager: M) -> Self {
        Self { pool, manager }
    }

    /// The manager that makes them.
    pub const fn manager(&self) -> &M {
        &self.manager
    }
}

impl<M: Manager> Manager for Managed<M> {
    type Type = Tracked<M::Type>;
    type Error = M::Error;

    async fn create(&self) -> Result<Self::Type, M::Error> {
        let opening = self.pool.opening();
        Ok(opening.track(self.manager.create().await?))
    }

    async fn recycle(
        &self,
        connection: &mut Self::Type,
        metrics: &Metrics,
    ) -> RecycleResult<M::Error> {
        let recycled = self.manager.recycle(&mut **connection, metrics).await;
        if recycled.is_err() {
            connection.fail("recycle_failed");
        }
        recycled
    }

    fn detach(&self, connection: &mut Self::Type) {
        self.manager.detach(&mut **connection);
    }
}

/// A connection in use; dropped, it is idle in its pool again. It is used as the connection itself.
pub struct Lent<M: Manager> {
    // Idle before anybody else can have it.
    _used: Checkout,
    object: Object<Managed<M>>,
}

impl<M: Manager> From<Object<Managed<M>>> for Lent<M> {
    fn from(object: Object<Managed<M>>) -> Self {
        Self { _used: object.checkout(), object }
    }
}

impl<M: Manager> Deref for Lent<M> {
    type Target = M::Type;

    fn deref(&self) -> &M::Type {
        &self.object
    }
}

impl<M: Manager> DerefMut for Lent<M> {
    fn deref_mut(&mut self) -> &mut M::Type {
        &mut self.object
    }
}

impl<M: Manager> std::fmt::Debug for Lent<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lent")
    }
}
