//! One HTTP request, from its URL to the end of its response.

use futures::future::join;
use wasip3::http::client;
use wasip3::http::types::{Fields, Method, Request, Response, Scheme};
use wasip3::{wit_future, wit_stream};

use crate::program::text;

/// The same output as that of `guest-tasks/fetching`.
pub(crate) async fn fetch(url: &str, body: Option<&str>) -> Result<Vec<u8>, String> {
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
    let (mut writer, contents) = wit_stream::new();
    // Dropped, it sends its default: that there are none.
    let (_, trailers) = wit_future::new(|| Ok(None));
    let contents = body.is_some().then_some(contents);
    let (request, sent) = Request::new(fields, contents, trailers, None);
    let method = body.map_or(Method::Get, |_| Method::Post);
    let is_set = request
        .set_method(&method)
        .and_then(|()| request.set_scheme(Some(&scheme)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(path)));
    is_set.map_err(|()| "an invalid URL")?;
    let writing = async move {
        if let Some(body) = body {
            writer.write_all(body.as_bytes().to_vec()).await;
        }
    };
    let (response, ()) = join(client::send(request), writing).await;
    let response = response.map_err(text)?;
    let mut fetched = format!("{}\n", response.get_status_code()).into_bytes();
    for (name, value) in response.get_headers().copy_all() {
        fetched.extend_from_slice(name.as_bytes());
        fetched.extend_from_slice(b": ");
        fetched.extend_from_slice(&value);
        fetched.push(b'\n');
    }
    fetched.push(b'\n');
    let (_, is_read) = wit_future::new(|| Ok(()));
    let (contents, ended) = Response::consume_body(response, is_read);
    fetched.extend(contents.collect().await);
    ended.await.map_err(text)?;
    // It is settled when the connection has ended.
    sent.await.map_err(text)?;
    Ok(fetched)
}

/// Keeps `count` header fields, each with a value of `size` bytes.
pub(crate) fn hoard(count: &str, size: &str) -> Result<Vec<u8>, String> {
    let value = vec![b'x'; size.parse().map_err(text)?];
    let mut hoarded = Vec::new();
    for _ in 0..count.parse::<usize>().map_err(text)? {
        let fields = Fields::new();
        fields.set("x", &[value.clone()]).map_err(text)?;
        hoarded.push(fields);
    }
    Ok(format!("{}\n", hoarded.len()).into_bytes())
}
