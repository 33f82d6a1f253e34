//! Single requests by hand, to prepare and to look: no client whose own work would count.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use guiche_kernel::BoxError;
use serde::{Deserialize, Serialize};

use crate::wrk::Request;

/// What a server says by itself about a message, whatever the message is.
const OF_THE_CONNECTION: [&str; 4] = ["connection", "content-length", "date", "transfer-encoding"];

/// An answer of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Without those that belong to the connection.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// Asks, on a connection of its own; an answer that is a refusal is an error.
pub(crate) fn ask(server: SocketAddr, request: &Request) -> Result<Answer, BoxError> {
    let Request { method, path, token, content_type, body } = request;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n");
    for (name, value) in [("authorization: Bearer", token.as_str()), ("content-type:", content_type)] {
        if !value.is_empty() {
            text.push_str(&format!("{name} {value}\r\n"));
        }
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    let mut stream = TcpStream::connect(server)?;
    stream.write_all(text.as_bytes())?;
    let mut received = String::new();
    stream.read_to_string(&mut received)?;
    let answer = parse(&received).ok_or_else(|| format!("{method} {path}: no HTTP was answered"))?;
    if answer.status >= 400 {
        return Err(format!("{method} {path}: {}", answer.body).into());
    }
    Ok(answer)
}

fn parse(received: &str) -> Option<Answer> {
    let (head, body) = received.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Some(Answer { status, headers, body: body.to_owned() })
}
