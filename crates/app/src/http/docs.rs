//! The API's description for programs (`/openapi.json`) and for people (`/docs`, served from the binary: it works
//! without the internet).

use std::sync::{Arc, LazyLock};

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use utoipa_swagger_ui::Config;

use super::codes::Code;
use super::openapi;
use super::problem::ApiError;

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi::json);
static UI: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::from("/openapi.json")));

/// The OpenAPI document.
pub(super) async fn openapi_json() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(DOCUMENT.as_str())
}

/// The page's files are relative to its folder.
pub(super) async fn docs_folder() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((header::LOCATION, "/docs/")).finish()
}

/// The page and its files.
pub(super) async fn docs(file: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let found = utoipa_swagger_ui::serve(&file, Arc::clone(&UI));
    match found.map_err(|error| ApiError::internal(error.to_string()))? {
        Some(file) => Ok(HttpResponse::Ok().content_type(file.content_type).body(file.bytes.into_owned())),
        None => Err(ApiError::not_found(Code::NotFound)),
    }
}
