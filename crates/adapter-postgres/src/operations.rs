//! The catalogue of operations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use diesel::prelude::*;
use guiche_kernel::{Sats, StoreError};
use guiche_tickets::{Form, Operation, OperationCatalogue, OperationId};
use serde_json::Value;

use crate::pool::PgPool;
use crate::schema::operations;

/// The catalogue on PostgreSQL. The rows are read at every call (how long they are good for is the application's decision);
/// forms, which are slow to compile, are compiled once for each text of a schema.
#[derive(Clone)]
pub(crate) struct PgCatalogue {
    pool: PgPool,
    forms: Arc<Mutex<Forms>>,
}

/// Compiled forms by operation, each with the schema it was compiled from.
type Forms = HashMap<i32, (Value, Arc<Form>)>;

type Row = (i32, String, String, i64, Value);

impl PgCatalogue {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, forms: Arc::default() }
    }

    fn operation(&self, (id, name, description, price, schema): Row) -> Result<Operation, StoreError> {
        let price = Sats::try_from(price).map_err(|_| StoreError::corrupt("a price that cannot exist"))?;
        let form = self.form(id, schema)?;
        Ok(Operation { id: OperationId::new(id), name, description, price, form })
    }

    fn form(&self, id: i32, schema: Value) -> Result<Arc<Form>, StoreError> {
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((compiled, form)) = forms.get(&id)
            && *compiled == schema
        {
            return Ok(Arc::clone(form));
        }
        let form =
            Arc::new(Form::parse(schema.clone()).map_err(|refusal| StoreError::Corrupt(refusal.into()))?);
        forms.insert(id, (schema, Arc::clone(&form)));
        Ok(form)
    }
}

/// The columns of [`Row`].
const COLUMNS: (
    operations::id,
    operations::name,
    operations::description,
    operations::price_sats,
    operations::form_schema,
) = (
    operations::id,
    operations::name,
    operations::description,
    operations::price_sats,
    operations::form_schema,
);

#[async_trait]
impl OperationCatalogue for PgCatalogue {
    async fn list(&self) -> Result<Vec<Operation>, StoreError> {
        let query = operations::table.select(COLUMNS).filter(operations::active).order(operations::id);
        self.pool.rows::<_, Row>(query).await?.into_iter().map(|row| self.operation(row)).collect()
    }

    async fn find(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        let query =
            operations::table.select(COLUMNS).filter(operations::active.and(operations::id.eq(id.get())));
        self.pool.rows::<_, Row>(query).await?.pop().map(|row| self.operation(row)).transpose()
    }

    async fn find_by_name(&self, name: &str) -> Result<Option<Operation>, StoreError> {
        if name.contains('\0') {
            return Ok(None);
        }
        let query = operations::table
            .select(COLUMNS)
            .filter(operations::active.and(operations::name.eq(name.to_owned())));
        self.pool.rows::<_, Row>(query).await?.pop().map(|row| self.operation(row)).transpose()
    }
}
