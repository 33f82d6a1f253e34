//! The sockets.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Asked, Fault, HangUp, Play, Reply, Seen, Stage, control};

const MAX_BODY_BYTES: usize = 256 * 1024;
/// More than any answer may have.
const OVERSIZED: usize = 64 * 1024 * 1024;

pub(super) async fn serve<P: Play>(listener: TcpListener, stage: Arc<Stage<P>>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.spawn(converse(stream, Arc::clone(&stage)));
        while connections.try_join_next().is_some() {}
    }
}

async fn converse<P: Play>(stream: TcpStream, stage: Arc<Stage<P>>) {
    let service = service_fn(move |request| {
        let stage = Arc::clone(&stage);
        async move { answer(&stage, request).await.map(response) }
    });
    // How a connection ends is the client's business.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer<P: Play>(stage: &Stage<P>, request: Request<Incoming>) -> Result<Reply, HangUp> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|_| HangUp)?.to_bytes();
    let path = head.uri.path().to_owned();
    let Some(asked) = Asked::new(head.method.to_string(), path, head.headers, body) else {
        return Ok(Reply::text(400, "the path is not UTF-8"));
    };
    if asked.path.starts_with("/_fake/") {
        return Ok(control::handle(stage, &asked).await);
    }
    let Some(operation) = stage.play.operation(&asked) else {
        return Ok(Reply::text(404, "<html>no such page</html>"));
    };
    let admitted = stage.play.admit(operation, &asked);
    let fault = {
        let mut state = stage.state();
        let (path, body) = (asked.path.clone(), String::from_utf8_lossy(&asked.body).into_owned());
        state.note(Seen { operation, admitted: admitted.is_ok(), path, body });
        match admitted {
            Ok(()) => state.script.next(operation),
            Err(refusal) => return Ok(refusal),
        }
    };
    meet(stage, operation, &asked, fault).await
}

async fn meet<P: Play>(
    stage: &Stage<P>,
    operation: &'static str,
    asked: &Asked,
    fault: Option<Fault>,
) -> Result<Reply, HangUp> {
    match &fault {
        Some(Fault::Delay { millis }) => tokio::time::sleep(Duration::from_millis(*millis)).await,
        Some(Fault::HangUp) => return Err(HangUp),
        Some(Fault::Answer { status, code, retry_after, done: false }) => {
            return Ok(trouble(stage, operation, asked, (*status, code.as_deref(), *retry_after)));
        }
        _ => {}
    }
    let reply = stage.play.perform(operation, asked).await?;
    Ok(match fault {
        Some(Fault::LoseAnswer) => return Err(HangUp),
        Some(Fault::Silence) => never().await,
        Some(Fault::Garbage) => Reply::text(200, "<html>It works!</html>"),
        Some(Fault::Oversized) => Reply::text(200, " ".repeat(OVERSIZED)),
        Some(Fault::Instead { document }) => Reply::ok(&document),
        Some(Fault::Answer { status, code, retry_after, .. }) => {
            trouble(stage, operation, asked, (status, code.as_deref(), retry_after))
        }
        Some(Fault::Delay { .. } | Fault::HangUp) | None => reply,
    })
}

async fn never() -> Reply {
    match std::future::pending::<Infallible>().await {}
}

fn trouble<P: Play>(
    stage: &Stage<P>,
    operation: &'static str,
    asked: &Asked,
    (status, code, retry_after): (u16, Option<&str>, Option<u64>),
) -> Reply {
    let reply = stage.play.trouble(operation, asked, status, code);
    Reply { retry_after, ..reply }
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if reply.is_json {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(seconds) = reply.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response
}
