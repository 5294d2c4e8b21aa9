//! `fetch URL [BODY]`: sends one HTTP request by the functions of WASI 0.2, with `POST` if there is a
//! body, and prints the status, a line each of the response's headers, and the response's body. The
//! program of `guest-tasks/awaiting` has the same subcommand for WASI 0.3.
//!
//! `hoard-headers COUNT SIZE`: makes so many header fields with a value of so many bytes, and keeps
//! them.
//!
//! Errors go to standard error, with exit code 1.

#[cfg(target_arch = "wasm32")]
mod fetch;

#[cfg(target_arch = "wasm32")]
fn main() -> Result<(), String> {
    use std::io::Write as _;

    let arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let words = arguments.iter().map(String::as_str).collect::<Vec<_>>();
    let fetched = match *words {
        ["fetch", url] => fetch::fetch(url, None)?,
        ["fetch", url, body] => fetch::fetch(url, Some(body.as_bytes()))?,
        ["hoard-headers", count, size] => {
            let parsed = |text: &str| text.parse::<usize>().map_err(|error| error.to_string());
            fetch::hoard(parsed(count)?, parsed(size)?)?
        }
        _ => return Err("usage: fetch URL [BODY] | hoard-headers COUNT SIZE".to_owned()),
    };
    let written = std::io::stdout().write_all(&fetched);
    written.map_err(|error| error.to_string())
}

#[cfg(not(target_arch = "wasm32"))]
fn main() {}
