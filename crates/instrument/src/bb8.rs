//! Pools of bb8: a manager around the application's own, whose connections the [`Pool`] follows.
//!
//! bb8 asks its manager about each connection that it lends (unless `test_on_check_out` is off: then none counts as used) and
//! that it gets back, so there is nothing to do where connections are used.
//!
//! ```
//! use bb8::ManageConnection;
//! use sidelight::Pool;
//! use sidelight::bb8::Managed;
//!
//! struct Open;
//!
//! impl ManageConnection for Open {
//!     type Connection = String;
//!     type Error = std::io::Error;
//!
//!     async fn connect(&self) -> Result<String, std::io::Error> {
//!         Ok("a connection".to_owned())
//!     }
//!
//!     async fn is_valid(&self, _: &mut String) -> Result<(), std::io::Error> {
//!         Ok(())
//!     }
//!
//!     fn has_broken(&self, _: &mut String) -> bool {
//!         false
//!     }
//! }
//!
//! static STOCK: Pool = Pool::db("postgresql", "stock").limits(0, 8);
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let pool = bb8::Pool::builder().max_size(8).build(Managed::new(&STOCK, Open)).await.unwrap();
//! let wait = STOCK.waiting();
//! let connection = pool.get().await.unwrap();
//! drop(wait);
//! assert_eq!(connection.len(), 12);
//! # });
//! ```

use bb8::ManageConnection;

use crate::{Pool, Tracked};

/// Makes connections as another manager does, and follows them: when they were opened, how long that took, when they are used,
/// how they ended.
#[derive(Debug)]
pub struct Managed<M> {
    pool: &'static Pool,
    manager: M,
}

impl<M> Managed<M> {
    /// Connections of `manager`, told of as those of `pool`.
    pub const fn new(pool: &'static Pool, manager: M) -> Self {
        Self { pool, manager }
    }

    /// The manager that makes them.
    pub const fn manager(&self) -> &M {
        &self.manager
    }
}

impl<M: ManageConnection> ManageConnection for Managed<M> {
    type Connection = Tracked<M::Connection>;
    type Error = M::Error;

    async fn connect(&self) -> Result<Self::Connection, M::Error> {
        let opening = self.pool.opening();
        Ok(opening.track(self.manager.connect().await?))
    }

    async fn is_valid(&self, connection: &mut Self::Connection) -> Result<(), M::Error> {
        connection.used();
        let valid = self.manager.is_valid(&mut **connection).await;
        if valid.is_err() {
            connection.fail("invalid");
        }
        valid
    }

    fn has_broken(&self, connection: &mut Self::Connection) -> bool {
        connection.idle();
        let broken = self.manager.has_broken(&mut **connection);
        if broken {
            connection.fail("broken");
        }
        broken
    }
}
