//! Bodies of requests and answers, as they stand on the wire.

mod accounts;
mod dev;
mod pushes;
mod tickets;
mod words;

pub use accounts::{
    LoginBody, LoginForm, Me, PasswordBody, RefreshBody, RegisterBody, Registered, TokenPair,
};
pub use dev::{PaidDto, PayQuery};
pub use pushes::{PushBody, PushHeaders};
pub use tickets::{
    IdempotencyHeader, InvoiceDto, LastEventHeader, ListQuery, OpenTicketBody, OpenedDto, OperationDto,
    ProofBody, StatusDto, TicketDetailDto, TicketDto, TicketPageDto,
};
pub use words::{InvoiceStatus, PaymentStatus};
