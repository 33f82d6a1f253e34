//! What the office's administrator does by hand, as the owner of the tables.

use std::sync::Arc;

use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Jsonb, Nullable, Text};
use guiche_kernel::{Sats, StoreError};
use guiche_tickets::{CatalogueEditor, CatalogueEntry, NewOperation, OperationId, OperationName};
use guiche_users::Email;
use secrecy::SecretString;
use serde_json::Value;

use crate::forgetting::PgForgetting;
use crate::pool::PgPool;
use crate::query::{one, sql_call};
use crate::schema::operations;
use crate::{ConnectError, PgOptions, migrate};

/// The database under the administrator's hand. It is never part of a server: what it may do, no server may.
#[derive(Clone)]
pub struct PgAdministration {
    pool: PgPool,
}

sql_call! {
    struct AddOperation<'a> = "add_operation" {
        name: &'a str => Text,
        description: &'a str => Text,
        price: i64 => BigInt,
        form: &'a Value => Jsonb,
    } -> (Nullable<Integer>,)
}

impl PgAdministration {
    /// Connects as the owner of the tables.
    ///
    /// # Errors
    /// [`ConnectError`], one clear line.
    pub async fn connect(owner_url: SecretString) -> Result<Self, ConnectError> {
        let mut options = PgOptions::new(owner_url.clone(), owner_url);
        options.application_name = "guiche administration".to_owned();
        let pool = PgPool::try_new(&options.app_url, 4, &options)?;
        pool.lease().await.map_err(ConnectError::Store)?;
        Ok(Self { pool })
    }

    /// The names of the migrations that this program needs and the database does not have.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be asked.
    pub async fn migrations_pending(&self) -> Result<Vec<String>, StoreError> {
        migrate::pending(&mut self.pool.lease().await?).await
    }

    /// The catalogue, to be changed.
    #[must_use]
    pub fn catalogue(&self) -> Arc<dyn CatalogueEditor> {
        Arc::new(self.clone())
    }

    /// Begins to forget whoever has this address: locks the account and its tickets. `None`: nobody has it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else holds one of the rows for too long.
    pub async fn begin_forgetting(&self, email: &Email) -> Result<Option<PgForgetting>, StoreError> {
        PgForgetting::begin(&self.pool, email).await
    }

    /// Closes the connections.
    pub fn close(&self) {
        self.pool.close();
    }
}

#[async_trait]
impl CatalogueEditor for PgAdministration {
    async fn entries(&self) -> Result<Vec<CatalogueEntry>, StoreError> {
        type Row = (i32, String, String, i64, bool);
        let query = operations::table
            .select((
                operations::id,
                operations::name,
                operations::description,
                operations::price_sats,
                operations::active,
            ))
            .order(operations::id);
        let rows = self.pool.rows::<_, Row>(query).await?;
        let entry = |(id, name, description, price, active): Row| {
            let price =
                Sats::try_from(price).map_err(|_| StoreError::corrupt("a price that cannot exist"))?;
            Ok(CatalogueEntry { id: OperationId::new(id), name, description, price, active })
        };
        rows.into_iter().map(entry).collect()
    }

    async fn add(&self, new: &NewOperation) -> Result<OperationId, StoreError> {
        let call = AddOperation {
            name: new.name.as_str(),
            description: &new.description,
            price: new.price.into(),
            form: new.form.schema(),
        };
        let (added,): (Option<i32>,) = one(self.pool.rows(call).await?)?;
        added.map(OperationId::new).ok_or(StoreError::Duplicate)
    }

    async fn set_active(&self, name: &OperationName, active: bool) -> Result<bool, StoreError> {
        let named = operations::table.filter(operations::name.eq(name.as_str().to_owned()));
        let changed = self.pool.run(diesel::update(named).set(operations::active.eq(active))).await?;
        Ok(changed > 0)
    }
}
