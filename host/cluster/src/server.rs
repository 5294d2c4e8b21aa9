//! Where the NATS server is, and how to log in.
//!
//! Does not know what the server is used for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions};

use crate::error::ConnectError;

/// How many tasks the queue of a cluster holds, unless [`Server::queue_capacity`] says otherwise.
const QUEUE_CAPACITY: u32 = 100_000;

/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The NATS server of a cluster, and how to log in to it.
///
/// ```
/// let server = wasmpool_cluster::Server::new("tls://nats.example.org")
///     .credentials("/etc/wasmpool/node.creds");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a server does nothing until something connects to it"]
pub struct Server {
    url: String,
    credentials: Option<PathBuf>,
    root_certificates: Option<PathBuf>,
    client_certificate: Option<(PathBuf, PathBuf)>,
    queue_capacity: u32,
}

impl Server {
    /// The server at this address: `nats://HOST:PORT`, `tls://HOST:PORT`, or several with commas
    /// between them. The address may have a user and a password, or a token: `nats://TOKEN@HOST`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            credentials: None,
            root_certificates: None,
            client_certificate: None,
            queue_capacity: QUEUE_CAPACITY,
        }
    }

    /// Logs in with this file of credentials (`.creds`). Default: none.
    pub fn credentials(mut self, path: impl Into<PathBuf>) -> Self {
        self.credentials = Some(path.into());
        self
    }

    /// Trusts the certificates in this PEM file, and no others. Default: those of the system.
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.root_certificates = Some(path.into());
        self
    }

    /// Shows the server this certificate, with its key; both are PEM files. Default: none.
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.client_certificate = Some((certificate.into(), key.into()));
        self
    }

    /// How many tasks the queue of the cluster holds, queued and running ones together. Default:
    /// 100,000.
    ///
    /// The first program that connects makes the queue, so its value counts. Change that of an
    /// existing queue with `nats stream edit WASMPOOL_TASKS --max-msgs`.
    pub fn queue_capacity(mut self, tasks: u32) -> Self {
        self.queue_capacity = tasks;
        self
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.queue_capacity
    }

    /// Connects. The client then connects again by itself, for as long as it lives.
    pub(crate) async fn connect(&self, name: &str) -> Result<Client, ConnectError> {
        let mut options = ConnectOptions::new()
            .name(name)
            .connection_timeout(CONNECT_TIMEOUT)
            .reconnect_delay_callback(reconnect_delay);
        if let Some(path) = &self.credentials {
            let read = options.credentials_file(path).await;
            options = read.map_err(|source| ConnectError::Credentials {
                path: path.clone(),
                source: Arc::new(source),
            })?;
        }
        if let Some(path) = &self.root_certificates {
            options = options.add_root_certificates(path.clone());
        }
        if let Some((certificate, key)) = &self.client_certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        let addresses = self.url.split(',').map(str::trim).collect::<Vec<_>>();
        let connected = options.connect(&addresses[..]).await;
        connected.map_err(|error| ConnectError::Unreachable {
            url: without_secrets(&self.url),
            problem: error.to_string(),
        })
    }
}

/// Soon at first, for a server that restarts; then every second.
fn reconnect_delay(attempts: usize) -> Duration {
    match attempts {
        0 | 1 => Duration::ZERO,
        2..10 => Duration::from_millis(100),
        _ => Duration::from_secs(1),
    }
}

/// The addresses without users, passwords and tokens.
fn without_secrets(urls: &str) -> String {
    let plain = urls.split(',').map(|url| {
        let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        format!("{}://{host}", scheme.trim())
    });
    plain.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_named_without_its_password() {
        assert_eq!(without_secrets("nats://user:p@ss@host:1"), "nats://host:1");
        assert_eq!(without_secrets("a, tls://b"), "nats://a,tls://b");
    }
}
