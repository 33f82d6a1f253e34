//! What handlers take from a request. Each extractor is strict, and refuses with a problem document that points at the
//! trouble without repeating what was sent.

mod body;
mod form;
mod idempotency;
mod json;
mod login;
mod path;
mod prefer;
mod query;
mod raw;
mod require;
mod strict;

pub use idempotency::IdempotencyKey;
pub use json::Json;
pub use login::Login;
pub use path::Path;
pub use prefer::Prefer;
pub use query::Query;
pub use raw::RawJson;
