//! Articles and orders, in SQLite behind a pool.

use sidelight::{Followed, Pool};
use sqlx::Error;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tracing::instrument;

static DATABASE: Pool = Pool::db("sqlite", "shop").limits(1, 4);

/// A database of its own, with twenty articles.
pub async fn open() -> Result<SqlitePool, Error> {
    let followed = Followed::new(&DATABASE);
    let (opened, used, idle) = (followed.clone(), followed.clone(), followed.clone());
    let file = std::env::temp_dir().join(format!("shop-{}.db", std::process::id()));
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let pool = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(4)
        .after_connect(move |_, _| {
            opened.connected();
            Box::pin(async { Ok(()) })
        })
        .before_acquire(move |_, known| {
            used.acquired(known.age);
            Box::pin(async { Ok(true) })
        })
        .after_release(move |_, known| {
            idle.released(known.age);
            Box::pin(async { Ok(true) })
        })
        .connect_with(options)
        .await?;
    let sized = pool.clone();
    followed.size(move || (!sized.is_closed()).then(|| (sized.size() as usize, sized.num_idle())));

    sqlx::query("CREATE TABLE IF NOT EXISTS articles (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        .execute(&pool)
        .await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS orders (user TEXT NOT NULL, article INTEGER NOT NULL)")
        .execute(&pool)
        .await?;
    for id in 1..=20 {
        let insert = sqlx::query("INSERT OR IGNORE INTO articles VALUES (?, ?)");
        insert.bind(id).bind(format!("article {id}")).execute(&pool).await?;
    }
    Ok(pool)
}

async fn connection(pool: &SqlitePool) -> Result<PoolConnection<Sqlite>, Error> {
    let _waiting = DATABASE.waiting();
    pool.acquire().await
}

#[instrument(skip(pool), fields(otel.kind = "client", db.system.name = "sqlite", db.operation.name = "SELECT"))]
pub async fn article(pool: &SqlitePool, id: u32) -> Result<Option<String>, Error> {
    let mut database = connection(pool).await?;
    sqlx::query_scalar("SELECT name FROM articles WHERE id = ?")
        .bind(id)
        .fetch_optional(&mut *database)
        .await
}

#[instrument(skip_all, fields(otel.kind = "client", db.system.name = "sqlite", db.operation.name = "INSERT"))]
pub async fn order(pool: &SqlitePool, user: &str, article: u32) -> Result<(), Error> {
    let mut database = connection(pool).await?;
    let insert = sqlx::query("INSERT INTO orders VALUES (?, ?)").bind(user).bind(article);
    insert.execute(&mut *database).await?;
    Ok(())
}
