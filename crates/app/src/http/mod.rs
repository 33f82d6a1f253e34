//! HTTP: the one place that knows status codes.
//!
//! A route stands in one table ([`RouteTable`]), from which the resources, `405` with `Allow`, `HEAD` and `OPTIONS`
//! follow; its documentation is `#[utoipa::path]` on the handler, and a test holds the two together. Every request
//! passes the boundary (`boundary.rs`), where errors become problem documents and the one log line is written.
//!
//! To add a route: a handler with `#[utoipa::path]` (status codes with descriptions), a line in `table.rs`, the
//! handler's name in the list of paths in `openapi.rs`, a test over HTTP. The handler takes what it needs as
//! `Data<…>` (given once by [`RouteTable::state`]), its input by the strict extractors of [`extract`], and returns
//! `Result<HttpResponse, ApiError>`; a domain's refusals become codes in `errors.rs`.

#![expect(clippy::future_not_send, reason = "actix handles a request on one thread")]

pub mod api;
pub mod auth;
mod boundary;
mod client_addr;
mod codes;
mod context;
mod docs;
mod errors;
pub mod extract;
mod gcra;
mod head;
mod limits;
pub mod lnurl;
pub mod openapi;
mod openapi_events;
mod probes;
mod problem;
mod routes;
mod server;
mod table;

pub use boundary::{Surface, Timeouts};
pub use codes::Code;
pub use context::{REQUEST_ID, RequestContext, set_user};
pub use gcra::Now;
pub use limits::{Limits, LoginAttempt};
pub use problem::{ApiError, FieldProblem, MEDIA_TYPE};
pub use routes::RouteTable;
pub use server::{RunningServer, ServerSettings, start, start_metrics};
pub use table::routes;
