//! HTTP requests of guests, for WASI 0.2 and 0.3.
//!
//! A guest may send requests to where it may connect: to the addresses that were granted, and to the
//! granted names, which are looked up here. Nothing is kept of a connection once its response was
//! read, so that no guest notices another.
//!
//! Without the feature `http`, `no_http.rs` replaces this file.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::runtime::spawn;
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use super::network::{Network, Unreachable};
use crate::sandbox::store::State;
use crate::sync::{Arc, OnceLock};

/// The interfaces that a component may import.
pub(crate) const INTERFACES: &[(&str, &[&str])] = &[
    ("wasi:http/client@", &["0.3."]),
    ("wasi:http/outgoing-handler@", &["0.2."]),
    ("wasi:http/types@", &["0.2.", "0.3."]),
];

/// How many handles a guest with HTTP may hold: headers and bodies take more memory of the host than
/// other handles.
const MAX_HANDLES: usize = 1_000;

/// How much memory all fields of one header may take, about twice of what they have on the wire.
const MAX_FIELDS: usize = 32 << 10;

/// How much of a request's body waits in the host to be sent.
const MAX_CHUNK: usize = 64 << 10;

/// How much of a response waits in the host to be read: the header must fit in, too.
const MAX_READ_AHEAD: usize = 64 << 10;

/// What an instance with HTTP has.
pub(crate) struct Http {
    context: WasiHttpCtx,
    hooks: Hooks,
}

struct Hooks {
    network: Arc<Network>,
}

type Sent = (Response<WasiBody>, Outcome);
type Outcome = Box<dyn Future<Output = Result<(), Error>> + Send>;

/// For components of WASI 0.2.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)
}

/// For components of WASI 0.3.
pub(crate) fn add_to_linker_3(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p3::add_to_linker(linker)
}

impl Http {
    pub(crate) fn new(network: Arc<Network>, table: &mut ResourceTable) -> Self {
        table.set_max_capacity(MAX_HANDLES);
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(MAX_FIELDS);
        Self {
            context,
            hooks: Hooks { network },
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (http, table) = self.http_and_table();
        WasiHttpCtxView {
            hooks: &mut http.hooks,
            table,
            ctx: &mut http.context,
        }
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Outcome,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let network = Arc::clone(&self.network);
        Box::new(send(network, request, options.unwrap_or_default()))
    }

    fn set_host_header(&mut self) -> bool {
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        MAX_CHUNK
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        MAX_CHUNK
    }
}

/// Sends a request on a connection of its own. The second part of the output drives the connection
/// while the response is read; dropped, it closes the connection.
async fn send(
    network: Arc<Network>,
    mut request: Request<WasiBody>,
    options: RequestOptions,
) -> Result<Sent, Error> {
    let uri = request.uri();
    let is_encrypted = uri.scheme() == Some(&Scheme::HTTPS);
    let authority = uri.authority().ok_or(Error::HttpRequestUriInvalid)?;
    let (host, port) = destination(authority, is_encrypted)?;
    // Without a user and a password.
    let named = authority.as_str().rsplit('@').next();
    let named = HeaderValue::from_str(named.unwrap_or_default());
    let named = named.map_err(|_| Error::HttpRequestUriInvalid)?;
    let path = uri.path_and_query().cloned();
    request.headers_mut().insert(HOST, named);
    // What goes over the connection is only the path.
    *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    let connecting = async {
        let tcp = connect(&network, &host, port).await?;
        // A request is mostly written at once, and its answer is waited for.
        let _ = tcp.set_nodelay(true);
        if is_encrypted {
            open(encrypt(&host, tcp).await?).await
        } else {
            open(tcp).await
        }
    };
    let timeout = options.connect_timeout;
    let opened = within(timeout, Error::ConnectionTimeout, connecting).await;
    let (mut sender, connection) = opened?;
    let timeout = options.first_byte_timeout;
    let sending = async { sender.send_request(request).await.map_err(Error::Hyper) };
    let response = within(timeout, Error::HttpResponseTimeout, sending).await?;
    let response = response.map(|incoming| {
        let body = ResponseBody::new(incoming, options.between_bytes_timeout);
        body.boxed_unsync()
    });
    Ok((response, connection))
}

/// The host and the port that a request is for.
fn destination(authority: &Authority, is_encrypted: bool) -> Result<(String, u16), Error> {
    let port = match authority.port_u16() {
        Some(port) => port,
        // `example.org:` and `example.org:99999`.
        None if authority.as_str().len() > authority.host().len() => {
            return Err(Error::HttpRequestUriInvalid);
        }
        None if is_encrypted => 443,
        None => 80,
    };
    // Without the brackets of IPv6.
    let host = authority.host().trim_matches(['[', ']']);
    Ok((host.to_owned(), port))
}

/// Connects to one of the host's addresses.
async fn connect(network: &Arc<Network>, host: &str, port: u16) -> Result<TcpStream, Error> {
    let reachable = network.reachable(host, port).await;
    let addresses = reachable.map_err(|unreachable| match unreachable {
        Unreachable::NotGranted => Error::HttpRequestDenied,
        Unreachable::Busy => Error::ConnectionLimitReached,
        Unreachable::Unknown => Error::DnsError {
            rcode: None,
            info_code: None,
        },
    })?;
    let mut failure = Error::DestinationUnavailable;
    for address in addresses {
        match TcpStream::connect(SocketAddr::new(address, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                failure = Error::ConnectionRefused;
            }
            Err(_) => failure = Error::DestinationUnavailable,
        }
    }
    Err(failure)
}

async fn encrypt(
    host: &str,
    tcp: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Error> {
    let name = match host.parse::<IpAddr>() {
        Ok(address) => ServerName::from(address),
        Err(_) => {
            ServerName::try_from(host.to_owned()).map_err(|_| Error::HttpRequestUriInvalid)?
        }
    };
    let connector = TlsConnector::from(tls().await?);
    let encrypted = connector.connect(name, tcp).await;
    encrypted.map_err(|error| {
        let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
        match cause {
            Some(rustls::Error::InvalidCertificate(_)) => Error::TlsCertificateError,
            _ => Error::TlsProtocolError,
        }
    })
}

/// The settings of encrypted connections: the certificate authorities of the system, or those that
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name. Read once for the process.
async fn tls() -> Result<Arc<ClientConfig>, Error> {
    static SETTINGS: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();

    let settings = match SETTINGS.get() {
        Some(settings) => settings.clone(),
        // Reads files, so not on the thread that all guests wait for.
        None => tokio::task::spawn_blocking(|| SETTINGS.get_or_init(read_settings).clone())
            .await
            .unwrap_or_else(|error| Err(error.to_string())),
    };
    settings.map_err(|problem| Error::InternalError(Some(problem)))
}

fn read_settings() -> Result<Arc<ClientConfig>, String> {
    let mut authorities = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (n_read, _) = authorities.add_parsable_certificates(found.certs);
    if n_read == 0 {
        return Err(
            "no certificate authorities were found: install those of the system \
             (`ca-certificates`), or name a file with them in SSL_CERT_FILE"
                .to_owned(),
        );
    }
    let provider = rustls::crypto::ring::default_provider();
    let settings = ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    Ok(settings.into())
}

/// Begins to speak HTTP on a connection.
async fn open(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<(http1::SendRequest<WasiBody>, Outcome), Error> {
    let mut settings = http1::Builder::new();
    settings.max_buf_size(MAX_READ_AHEAD);
    let (sender, connection) = settings.handshake(TokioIo::new(stream)).await?;
    // Sends the request, too, so it must run before the response is there.
    let connection = spawn(connection);
    let outcome = async { connection.await.map_err(Error::Hyper) };
    Ok((sender, Box::new(outcome)))
}

async fn within<T>(
    timeout: Option<Duration>,
    is_over: Error,
    done: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout {
        None => done.await,
        Some(timeout) => match tokio::time::timeout(timeout, done).await {
            Ok(done) => done,
            Err(_) => Err(is_over),
        },
    }
}

/// The body of a response, which ends with an error if it comes to a halt for too long.
struct ResponseBody {
    incoming: Incoming,
    /// The most that may pass between two parts, if the guest has said so, and the end of that.
    halt: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl ResponseBody {
    fn new(incoming: Incoming, timeout: Option<Duration>) -> Self {
        let halt = timeout.map(|timeout| (timeout, Box::pin(tokio::time::sleep(timeout))));
        Self { incoming, halt }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Self { incoming, halt } = self.get_mut();
        match (Pin::new(incoming).poll_frame(context), halt) {
            (Poll::Ready(frame), halt) => {
                if let Some((timeout, over)) = halt {
                    over.as_mut().reset(tokio::time::Instant::now() + *timeout);
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Error::Hyper)))
            }
            (Poll::Pending, Some((_, over))) => {
                let is_over = over.as_mut().poll(context);
                is_over.map(|()| Some(Err(Error::ConnectionReadTimeout)))
            }
            (Poll::Pending, None) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
