//! One request, from its URL to the end of its response.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme};
use wasip2::io::streams::StreamError;

/// What one write may carry.
const MAX_WRITE: usize = 4096;

pub(crate) fn fetch(url: &str, body: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or("a URL with `http://` or `https://`")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    let fields = Fields::new();
    if let Some(body) = body {
        let length = body.len().to_string().into_bytes();
        fields.set("content-length", &[length]).map_err(text)?;
    }
    let request = OutgoingRequest::new(fields);
    let is_set = request
        .set_scheme(Some(&scheme))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    is_set.map_err(|()| "an invalid URL")?;
    let answer = match body {
        None => outgoing_handler::handle(request, None).map_err(text)?,
        Some(body) => {
            request.set_method(&Method::Post).map_err(|()| "no POST")?;
            let sent = request.body().map_err(|()| "no body")?;
            let answer = outgoing_handler::handle(request, None).map_err(text)?;
            let stream = sent.write().map_err(|()| "no stream")?;
            for part in body.chunks(MAX_WRITE) {
                stream.blocking_write_and_flush(part).map_err(text)?;
            }
            drop(stream);
            OutgoingBody::finish(sent, None).map_err(text)?;
            answer
        }
    };
    answer.subscribe().block();
    let response = answer.get().ok_or("no answer")?.map_err(|()| "taken")?;
    let response = response.map_err(text)?;
    let mut fetched = format!("{}\n", response.status()).into_bytes();
    for (name, value) in response.headers().entries() {
        fetched.extend_from_slice(name.as_bytes());
        fetched.extend_from_slice(b": ");
        fetched.extend_from_slice(&value);
        fetched.push(b'\n');
    }
    fetched.push(b'\n');
    let body = response.consume().map_err(|()| "consumed")?;
    let stream = body.stream().map_err(|()| "no stream")?;
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(read) => fetched.extend_from_slice(&read),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    drop(stream);
    IncomingBody::finish(body);
    Ok(fetched)
}

/// Keeps `count` header fields, each with a value of `size` bytes.
pub(crate) fn hoard(count: usize, size: usize) -> Result<Vec<u8>, String> {
    let value = vec![b'x'; size];
    let mut hoarded = Vec::new();
    for _ in 0..count {
        let fields = Fields::new();
        fields.set("x", &[value.clone()]).map_err(text)?;
        hoarded.push(fields);
    }
    Ok(format!("{}\n", hoarded.len()).into_bytes())
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
