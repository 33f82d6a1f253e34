//! A server between the program and the office, which answers a few requests by itself.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// One that lives as long as the tests do.
pub(crate) struct Proxy {
    listener: TcpListener,
    to: String,
}

impl Proxy {
    pub(crate) fn to(address: &str) -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap(), to: address.to_owned() }
    }

    /// Answers requests for paths with that beginning, and passes all others on. One request per connection: the program
    /// keeps none open.
    pub(crate) fn answering(self, prefix: &str, status: u16, body: &str) -> Running {
        let address = self.listener.local_addr().unwrap();
        let prefix = format!(" {prefix}");
        let answer = format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        std::thread::spawn(move || {
            for client in self.listener.incoming() {
                let (mut client, to) = (client.unwrap(), self.to.clone());
                let (prefix, answer) = (prefix.clone(), answer.clone());
                std::thread::spawn(move || {
                    let mut begun = vec![0; 64 * 1024];
                    let length = client.read(&mut begun).unwrap_or(0);
                    let line = String::from_utf8_lossy(&begun[..length])
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .to_owned();
                    if line.contains(&prefix) {
                        let _ = client.write_all(answer.as_bytes());
                    } else if length > 0 {
                        pass_on(client, &begun[..length], &to);
                    }
                });
            }
        });
        Running(address)
    }
}

pub(crate) struct Running(SocketAddr);

impl Running {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0)
    }
}

fn pass_on(mut client: TcpStream, begun: &[u8], to: &str) {
    let mut office = TcpStream::connect(to).unwrap();
    office.write_all(begun).unwrap();
    let (mut from_client, mut to_office) = (client.try_clone().unwrap(), office.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_office);
        let _ = to_office.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut office, &mut client);
}
