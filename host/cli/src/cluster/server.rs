//! From command line flags to the server of a cluster.

use wasmpool_cluster::{ConnectError, Server};

use crate::args::{LoginArgs, ServerArgs};
use crate::ending::Problem;

/// The server, and how to log in to it.
pub(super) fn server(args: &ServerArgs) -> Server {
    let server = at(&args.nats, &args.login);
    match args.queue_capacity {
        Some(tasks) => server.queue_capacity(tasks),
        None => server,
    }
}

/// The server at an address, and how to log in to it.
pub(crate) fn at(url: &str, login: &LoginArgs) -> Server {
    let mut server = Server::new(url);
    if let Some(path) = &login.creds {
        server = server.credentials(path);
    }
    if let Some(path) = &login.tls_ca {
        server = server.root_certificates(path);
    }
    if let (Some(certificate), Some(key)) = (&login.tls_cert, &login.tls_key) {
        server = server.client_certificate(certificate, key);
    }
    server
}

pub(crate) fn problem(error: ConnectError) -> Problem {
    Problem::Unusable(error.into())
}
