//! What is known about a request besides what it says: its id, who sent it, and what the log should know.

use std::net::IpAddr;
use std::rc::Rc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use guiche_kernel::UserId;
use std::future::{Ready, ready};

use super::limits::Standing;
use super::problem::ApiError;

/// The header that carries the request's id, both ways.
pub const REQUEST_ID: &str = "x-request-id";

const MAXIMUM_ID_LENGTH: usize = 64;

/// The id and the origin of a request; an extractor.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Names the request in the answer and in every log line about it.
    pub request_id: Rc<str>,
    /// The address of the client, seen through trusted proxies only.
    pub client: IpAddr,
}

/// The account on whose behalf the request acts, once that is proved.
#[derive(Debug, Clone, Copy)]
pub(super) struct SignedIn(pub(super) UserId);

/// How the request stands with each limit it was counted against.
#[derive(Debug, Clone, Default)]
pub(super) struct Standings(pub(super) Vec<Standing>);

/// Notes who is acting, for the log. Call it as soon as the token has been verified.
pub fn set_user(request: &HttpRequest, user: UserId) {
    request.extensions_mut().insert(SignedIn(user));
}

/// A client's own id, if it is harmless in a header and in a log.
pub(super) fn acceptable_id(value: &str) -> Option<&str> {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (!value.is_empty() && value.len() <= MAXIMUM_ID_LENGTH && value.bytes().all(harmless)).then_some(value)
}

impl FromRequest for RequestContext {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let context = request.extensions().get::<Self>().cloned();
        ready(context.ok_or_else(|| ApiError::internal("a request passed the boundary without a context")))
    }
}
