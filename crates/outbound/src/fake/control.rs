//! How a test in another process says what shall happen.

use std::io;

use serde_json::{Value, json};

use super::script::{self, Script};
use super::{Asked, Play, Reply, Rule, Stage};

/// Answers a call below `/_fake`.
pub(super) async fn handle<P: Play>(stage: &Stage<P>, asked: &Asked) -> Reply {
    let body = if asked.body.is_empty() { Some(Value::Null) } else { asked.json() };
    let done = match (body, asked.method.as_str(), asked.path.as_str()) {
        (None, _, _) => Err(io::Error::new(io::ErrorKind::InvalidInput, "the body is not JSON")),
        (Some(body), "POST", "/_fake/faults") => add(stage, body),
        (Some(_), "DELETE", "/_fake/faults") => {
            stage.state().script = Script::default();
            Ok(json!({}))
        }
        (Some(_), "GET", "/_fake/state") => {
            let ledger = stage.play.ledger();
            Ok(json!({ "calls": stage.state().calls, "ledger": ledger }))
        }
        (Some(body), method, path) => {
            let unknown = || Err(io::Error::new(io::ErrorKind::NotFound, "no such control"));
            let path = path.trim_start_matches("/_fake/");
            stage.play.control(method, path, &body).await.unwrap_or_else(unknown)
        }
    };
    match done {
        Ok(document) => Reply::ok(&document),
        Err(error) => {
            let status = if error.kind() == io::ErrorKind::NotFound { 404 } else { 400 };
            Reply::document(status, &json!({ "error": error.to_string() }))
        }
    }
}

fn add<P: Play>(stage: &Stage<P>, body: Value) -> io::Result<Value> {
    let rule: Rule = serde_json::from_value(body)?;
    script::check::<P>(&rule)?;
    stage.state().script.add(rule);
    Ok(json!({}))
}
