//! What an operator asks of a database before a server runs on it. Nothing is changed.

use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text, Timestamptz};
use guiche_kernel::{StoreError, Timestamp};

use crate::roles::{self, Purpose};
use crate::{PgStores, RoleError};

/// One of the two logins of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// Serves requests.
    App,
    /// Does the office's background work.
    Worker,
}

/// What a database server says of itself.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct ServerFacts {
    /// The version as a number: 170004 is 17.4.
    #[diesel(sql_type = Integer)]
    pub version_num: i32,
    /// Its clock, read when the answer was made.
    #[diesel(sql_type = Timestamptz)]
    pub now: Timestamp,
    /// Whether what was committed survives a crash of the machine.
    #[diesel(sql_type = Bool)]
    pub fsync: bool,
    /// Whether torn pages are mended after a crash.
    #[diesel(sql_type = Bool)]
    pub full_page_writes: bool,
    /// `off`: a crash may lose what was acknowledged.
    #[diesel(sql_type = Text)]
    pub synchronous_commit: String,
}

const FACTS: &str = "
    SELECT current_setting('server_version_num')::integer AS version_num, clock_timestamp() AS now,
        current_setting('fsync')::boolean AS fsync, current_setting('full_page_writes')::boolean AS full_page_writes,
        current_setting('synchronous_commit') AS synchronous_commit";

impl PgStores {
    /// What the server says of itself to that login, which must be able to sign in.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be asked.
    pub async fn facts(&self, login: Login) -> Result<ServerFacts, StoreError> {
        let (app, worker) = self.pools();
        let pool = match login {
            Login::App => app,
            Login::Worker => worker,
        };
        let mut rows = pool.rows::<_, ServerFacts>(diesel::sql_query(FACTS)).await?;
        rows.pop().ok_or_else(|| StoreError::corrupt("the server says nothing of itself"))
    }

    /// As [`check_role`](Self::check_role), for one login.
    ///
    /// # Errors
    /// [`RoleError`], one clear line.
    pub async fn check_login(&self, login: Login) -> Result<(), RoleError> {
        let (app, worker) = self.pools();
        match login {
            Login::App => roles::check(app, Purpose::App).await,
            Login::Worker => roles::check(worker, Purpose::Worker).await,
        }
    }
}
