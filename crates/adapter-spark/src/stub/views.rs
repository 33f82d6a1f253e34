//! The two faces of the stub towards the money path.

use std::sync::Arc;

use async_trait::async_trait;
use guiche_tickets::{GatewayError, InvoiceGateway, InvoiceId, IssuedInvoice, NewInvoice, ProviderStatus};

use super::SparkStub;

/// Counts looks.
pub(super) struct PayerView(pub(super) Arc<SparkStub>);

/// Does not.
pub(super) struct ProviderView(pub(super) Arc<SparkStub>);

#[async_trait]
impl InvoiceGateway for PayerView {
    async fn issue(&self, request: NewInvoice) -> Result<IssuedInvoice, GatewayError> {
        self.0.issue(&request)
    }

    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        self.0.look(id).await
    }
}

#[async_trait]
impl InvoiceGateway for ProviderView {
    async fn issue(&self, request: NewInvoice) -> Result<IssuedInvoice, GatewayError> {
        self.0.issue(&request)
    }

    async fn status(&self, id: &InvoiceId) -> Result<Option<ProviderStatus>, GatewayError> {
        self.0.status(id).await
    }
}
