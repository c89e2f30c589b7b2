//! The store, as its users see it: the same stories on SQLite and on PostgreSQL.

/// Each story by its name, once on each database.
macro_rules! on_both {
    ($($story:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                super::$story(crate::world::Db::sqlite()).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs PostgreSQL's programs"]
            async fn $story() {
                super::$story(crate::world::Db::postgres().await).await;
            })*
        }
    };
}

mod command;
mod deliveries;
mod faults;
mod leases;
#[path = "../postgres/mod.rs"]
mod postgres;
mod pulls;
mod reading;
mod retention;
mod schema;
mod statuses;
mod waivers;
mod world;
