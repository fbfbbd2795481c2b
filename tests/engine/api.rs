//! As much of an HTTP client as the API of a container engine takes.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Sends a request over a Unix socket and returns the body of the answer.
///
/// It is HTTP 1.0, so that the answer ends where the stream does and is not in chunks.
pub(super) fn request(
    socket: &Path,
    method: &str,
    path: &str,
    body: &[u8],
    deadline: Duration,
) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(deadline))?;
    stream.set_write_timeout(Some(deadline))?;
    let kind = match body.first() {
        Some(b'{') => "application/json",
        _ => "application/x-tar",
    };
    // A push wants credentials, which may be empty: "{}" in base64.
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nX-Registry-Auth: e30=\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status.starts_with('2') {
        Ok(body.to_owned())
    } else {
        Err(io::Error::other(format!(
            "{method} {path}: {status}: {body}"
        )))
    }
}
