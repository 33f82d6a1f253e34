//! From the domains' refusals to codes. Each domain error is matched without a `_` arm, so a new refusal must choose.

use std::time::Duration;

use actix_web::http::header::WWW_AUTHENTICATE;
use guiche_kernel::StoreError;
use guiche_lightning_setup::SetupError;
use guiche_tickets::{FieldFault, FormRefusal, GatewayError, TicketError};
use guiche_users::{FieldError, UserError};

use super::auth;
use super::codes::Code;
use super::problem::{ApiError, FieldProblem};

/// When to try again after a part of the service was out of reach.
pub(super) const SOON: Duration = Duration::from_secs(5);

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Revoked => auth::refused_token().caused_by(error),
            StoreError::Unavailable(_) => Self::new(Code::DatabaseUnavailable, "storage is unavailable")
                .retry_after(SOON)
                .caused_by(error),
            // Two writers met, which the use case could not solve by itself: the same request again will find the outcome.
            StoreError::Conflict => {
                Self::new(Code::DatabaseUnavailable, "changed by somebody else meanwhile")
                    .retry_after(Duration::from_secs(1))
                    .caused_by(error)
            }
            // A use case that expects this handles it; here it is a defect.
            StoreError::Duplicate | StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

impl From<TicketError> for ApiError {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::NotFound(_) => Self::not_found(Code::TicketNotFound),
            TicketError::OperationNotFound(_) | TicketError::OperationNameNotFound => {
                Self::not_found(Code::OperationNotFound)
            }
            TicketError::Form(FormRefusal::Missing(fields)) => Self::missing(fields),
            TicketError::Form(FormRefusal::Invalid(faults)) => {
                Self::invalid_fields(faults.into_iter().map(FieldProblem::from).collect())
            }
            TicketError::InvalidState(state) => Self::new(Code::InvalidTicketState, state.to_string())
                .with("payment_status", state.current.as_str()),
            TicketError::KeyReused => Self::new(Code::IdempotencyKeyReused, error.to_string()),
            TicketError::KeyInUse { retry_after } => {
                Self::new(Code::IdempotencyKeyInUse, error.to_string()).retry_after(retry_after)
            }
            TicketError::WrongPreimage => {
                let detail = "does not belong to any invoice of this ticket";
                Self::invalid_fields(vec![FieldProblem::new("/preimage", "wrong_preimage", detail)])
            }
            TicketError::Gateway(GatewayError::Unavailable(_)) => {
                Self::new(Code::PaymentProviderUnavailable, "the invoice provider is unavailable")
                    .retry_after(SOON)
                    .caused_by(error)
            }
            TicketError::Gateway(GatewayError::Rejected(_) | GatewayError::Nonsense(_)) => {
                Self::new(Code::InvoiceCreationFailed, "the invoice provider did not do its part")
                    .caused_by(error)
            }
            TicketError::Store(error) => error.into(),
        }
    }
}

impl From<SetupError> for ApiError {
    fn from(error: SetupError) -> Self {
        let refuse = |code| Self::new(code, sentence(&error));
        match error {
            SetupError::Address(refusal) => {
                let problem = FieldProblem::new("/lightning_address", refusal.code(), refusal.to_string());
                Self::invalid_fields(vec![problem])
            }
            SetupError::Taken => refuse(Code::AddressTaken),
            SetupError::InProgress => refuse(Code::SetupInProgress),
            SetupError::AlreadyComplete => refuse(Code::SetupAlreadyComplete),
            SetupError::NothingToRetry => refuse(Code::NothingToRetry),
            SetupError::NotFound => Self::not_found(Code::SetupNotFound),
            SetupError::NodeHasFunds => refuse(Code::NodeHasFunds),
            SetupError::Store(error) => error.into(),
        }
    }
}

/// A refusal as a sentence for people.
fn sentence(refusal: &SetupError) -> String {
    let text = refusal.to_string();
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

impl From<FieldFault> for FieldProblem {
    fn from(fault: FieldFault) -> Self {
        Self::new(format!("/form_data{}", fault.pointer), fault.code, fault.detail)
    }
}

impl From<UserError> for ApiError {
    fn from(error: UserError) -> Self {
        match error {
            UserError::InvalidFields(fields) => {
                Self::invalid_fields(fields.into_iter().map(FieldProblem::from).collect())
            }
            UserError::EmailTaken => Self::new(Code::EmailTaken, "This e-mail is registered already."),
            UserError::InvalidCredentials => Self::new(Code::InvalidCredentials, "Wrong e-mail or password.")
                .header(WWW_AUTHENTICATE, auth::REALM),
            UserError::InvalidRefreshToken(refusal) => {
                Self::new(Code::InvalidRefreshToken, "The refresh token is not valid, or not any more.")
                    .header(WWW_AUTHENTICATE, auth::REALM)
                    .caused_by(format!("{refusal:?}"))
            }
            UserError::InvalidAccessToken(_) | UserError::SessionEnded => {
                auth::refused_token().caused_by(error)
            }
            UserError::Busy => Self::new(Code::TimedOut, "too many passwords are being checked")
                .retry_after(SOON)
                .caused_by(error),
            UserError::Store(error) => error.into(),
            UserError::Hashing(_) | UserError::Signing(_) => Self::internal(error),
        }
    }
}

impl From<FieldError> for FieldProblem {
    fn from(error: FieldError) -> Self {
        Self::new(error.pointer, error.code, error.detail)
    }
}
