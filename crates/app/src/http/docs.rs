//! The API's description for programs (`/openapi.json`) and for people (`/docs`, served from the binary: it works
//! without the internet).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Bytes};
use utoipa_swagger_ui::Config;

use super::codes::Code;
use super::openapi;
use super::problem::ApiError;

static DOCUMENT: LazyLock<String> = LazyLock::new(openapi::json);
static UI: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").validator_url("none")));

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
    let file = load(&file)?.ok_or_else(|| ApiError::not_found(Code::NotFound))?;
    let cache = (header::CACHE_CONTROL, "public, max-age=3600");
    Ok(HttpResponse::Ok().insert_header(cache).content_type(file.content_type).body(file.bytes))
}

#[derive(Clone)]
struct File {
    content_type: String,
    bytes: Bytes,
}

/// One copy of each file for all requests: the largest has 1.5 MB, and a slow reader keeps what it was given. There are as
/// many entries as there are files.
static FILES: LazyLock<Mutex<HashMap<String, File>>> = LazyLock::new(Mutex::default);

fn load(name: &str) -> Result<Option<File>, ApiError> {
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = files.get(name) {
        return Ok(Some(file.clone()));
    }
    let found = utoipa_swagger_ui::serve(name, Arc::clone(&UI));
    let Some(found) = found.map_err(|error| ApiError::internal(error.to_string()))? else { return Ok(None) };
    let file = File { content_type: found.content_type, bytes: found.bytes.into_owned().into() };
    files.insert(name.to_owned(), file.clone());
    Ok(Some(file))
}
