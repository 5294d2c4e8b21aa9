//! HTTP requests of guests over encrypted connections.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned, crypto};

use super::{Run, wasmpool};

/// One of the files that `certificates/make.sh` made.
fn certificate(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.join("tests/program/certificates").join(name)
}

/// Starts a server that has a certificate for `localhost` and says hello to each request. It ends
/// with the process.
fn serve() -> u16 {
    let chain = CertificateDer::from_pem_file(certificate("localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificate("localhost.key")).unwrap();
    let provider = Arc::new(crypto::ring::default_provider());
    let settings = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let settings = Arc::new(settings);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that does not trust the certificate hangs up.
            let _ = say_hello(Arc::clone(&settings), stream.unwrap());
        }
    });
    port
}

fn say_hello(settings: Arc<ServerConfig>, stream: TcpStream) -> std::io::Result<()> {
    let connection = ServerConnection::new(settings).unwrap();
    let mut reader = BufReader::new(StreamOwned::new(connection, stream));
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line != "\r\n" {
        line.clear();
    }
    let stream = reader.get_mut();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// Lets a guest that may connect to `host` fetch from there, with these certificate authorities.
fn fetch(guest: wasmpool_guests::Guest, host: &str, port: u16, authorities: &Path) -> Run {
    let granted = format!("{host}:{port}");
    let url = format!("https://{granted}/");
    let guest = guest.path().to_str().unwrap();
    let mut command = wasmpool(&["run", guest, "--allow-net", &granted, "--", "fetch", &url]);
    command
        .env("SSL_CERT_FILE", authorities)
        .env_remove("SSL_CERT_DIR");
    Run::of(command.output().unwrap())
}

#[test]
fn a_server_with_a_trusted_certificate_is_spoken_to_and_no_other() {
    let port = serve();
    for guest in [wasmpool_guests::FETCHING, wasmpool_guests::AWAITING] {
        let trusted = certificate("authority.pem");
        let run = fetch(guest, "localhost", port, &trusted);
        run.assert_code(0)
            .assert_stdout("200")
            .assert_stdout("hello");
        // The certificate is for another name.
        let run = fetch(guest, "127.0.0.1", port, &trusted);
        assert_told(&run, "tlscertificateerror");
        // The authority is another one.
        let run = fetch(guest, "localhost", port, &certificate("localhost.pem"));
        assert_told(&run, "tlscertificateerror");
        let run = fetch(guest, "localhost", port, Path::new("/dev/null"));
        assert_told(&run, "ssl_cert_file");
    }
}

/// The guest has told of this error. The two versions write it in different ways.
#[track_caller]
fn assert_told(run: &Run, error: &str) {
    let told = run.assert_code(1).stdout.to_lowercase().replace(' ', "");
    assert!(told.contains(error), "{told}");
}
