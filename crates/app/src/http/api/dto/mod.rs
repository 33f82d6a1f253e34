//! Bodies of requests and answers, as they stand on the wire.

mod accounts;
mod dev;
mod tickets;

pub use accounts::{
    LoginBody, LoginForm, Me, PasswordBody, RefreshBody, RegisterBody, Registered, TokenPair,
};
pub use dev::{PaidDto, PayQuery};
pub use tickets::{
    InvoiceDto, ListQuery, OpenTicketBody, OpenedDto, OperationDto, ProofBody, StatusDto, TicketDetailDto,
    TicketDto, TicketPageDto,
};
