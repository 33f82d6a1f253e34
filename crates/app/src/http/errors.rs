//! From the domains' refusals to codes. Each domain error is matched without a `_` arm, so a new refusal must choose.

use guiche_kernel::StoreError;

use super::auth;
use super::codes::Code;
use super::problem::ApiError;

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Revoked => auth::refused_token().caused_by(error),
            StoreError::Unavailable(_) => Self::new(Code::DatabaseUnavailable, "storage is unavailable")
                .retry_after(std::time::Duration::from_secs(5))
                .caused_by(error),
            // Somebody else was first, and the use case had no better answer: the same request may well succeed now.
            StoreError::Conflict => {
                Self::new(Code::DatabaseUnavailable, "storage refused a concurrent change")
                    .retry_after(std::time::Duration::from_secs(1))
                    .caused_by(error)
            }
            // A use case that expects a duplicate handles it; here it is a defect.
            StoreError::Duplicate | StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}
