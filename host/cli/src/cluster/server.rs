//! From command line flags to the server of a cluster.

use wasmpool_cluster::{ConnectError, Server};

use crate::args::ServerArgs;
use crate::ending::Problem;

/// The server, and how to log in to it.
pub(super) fn server(args: &ServerArgs) -> Server {
    let mut server = Server::new(args.nats.as_str());
    if let Some(path) = &args.creds {
        server = server.credentials(path);
    }
    if let Some(path) = &args.tls_ca {
        server = server.root_certificates(path);
    }
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        server = server.client_certificate(certificate, key);
    }
    if let Some(tasks) = args.queue_capacity {
        server = server.queue_capacity(tasks);
    }
    server
}

pub(super) fn problem(error: ConnectError) -> Problem {
    Problem::Unusable(error.into())
}
