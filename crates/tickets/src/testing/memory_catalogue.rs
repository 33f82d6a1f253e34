//! The catalogue in memory, for those who read it and for those who change it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use guiche_kernel::StoreError;

use crate::{
    CatalogueEditor, CatalogueEntry, NewOperation, Operation, OperationCatalogue, OperationId, OperationName,
};

/// A catalogue in memory: each operation, and whether it is offered.
#[derive(Debug, Default)]
pub struct MemoryCatalogue(Mutex<Vec<(Operation, bool)>>);

impl MemoryCatalogue {
    /// A catalogue that offers the given operations.
    #[must_use]
    pub fn of(operations: Vec<Operation>) -> Self {
        Self(Mutex::new(operations.into_iter().map(|operation| (operation, true)).collect()))
    }

    fn rows(&self) -> MutexGuard<'_, Vec<(Operation, bool)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offered(&self) -> Vec<Operation> {
        self.rows().iter().filter(|(_, active)| *active).map(|(operation, _)| operation.clone()).collect()
    }
}

#[async_trait]
impl OperationCatalogue for MemoryCatalogue {
    async fn list(&self) -> Result<Vec<Operation>, StoreError> {
        Ok(self.offered())
    }
    async fn find(&self, id: OperationId) -> Result<Option<Operation>, StoreError> {
        Ok(self.offered().into_iter().find(|operation| operation.id == id))
    }
    async fn find_by_name(&self, name: &str) -> Result<Option<Operation>, StoreError> {
        Ok(self.offered().into_iter().find(|operation| operation.name == name))
    }
}

#[async_trait]
impl CatalogueEditor for MemoryCatalogue {
    async fn entries(&self) -> Result<Vec<CatalogueEntry>, StoreError> {
        let entry = |(operation, active): &(Operation, bool)| CatalogueEntry {
            id: operation.id,
            name: operation.name.clone(),
            description: operation.description.clone(),
            price: operation.price,
            active: *active,
        };
        Ok(self.rows().iter().map(entry).collect())
    }

    async fn add(&self, new: &NewOperation) -> Result<OperationId, StoreError> {
        let mut rows = self.rows();
        if rows.iter().any(|(operation, _)| operation.name == new.name.as_str()) {
            return Err(StoreError::Duplicate);
        }
        let last = rows.iter().map(|(operation, _)| operation.id.get()).max().unwrap_or(0);
        let id = OperationId::new(last + 1);
        let operation = Operation {
            id,
            name: new.name.to_string(),
            description: new.description.clone(),
            price: new.price,
            form: Arc::new(new.form.clone()),
        };
        rows.push((operation, true));
        Ok(id)
    }

    async fn set_active(&self, name: &OperationName, active: bool) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let found = rows.iter_mut().find(|(operation, _)| operation.name == name.as_str());
        Ok(found.map(|(_, offered)| *offered = active).is_some())
    }
}
