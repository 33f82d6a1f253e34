//! Bodies of requests and answers, as they stand on the wire.

mod accounts;
mod dev;
mod lightning;
mod lnurl;
mod pushes;
mod tickets;
mod words;

pub use accounts::{
    AccountDto, LoginBody, LoginForm, Me, PasswordBody, RefreshBody, RegisterBody, Registered, TokenPair,
};
pub use dev::{PaidDto, PayQuery};
pub use lightning::{
    LogEntry, LogPage, LogQuery, PreferHeader, SetupBody, SetupDto, SetupErrorDto, StepDto, WelcomeDto,
};
pub use lnurl::{
    CallbackQuery, LnurlErrorDto, PayAnswerDto, PayInvoiceDto, PayParamsDto, PayProofDto, PayRequestDto,
    PayVerifiedDto, StoreMessageBody, StoreMessageHeaders,
};
pub use pushes::{PushBody, PushHeaders};
pub use tickets::{
    IdempotencyHeader, InvoiceDto, LastEventHeader, ListQuery, OpenTicketBody, OpenedDto, OperationDto,
    ProofBody, StatusDto, TicketDetailDto, TicketDto, TicketPageDto,
};
pub use words::{InvoiceStatus, PaymentStatus, SetupState, StepName, StepProgress};
