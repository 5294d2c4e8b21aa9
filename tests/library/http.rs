//! HTTP requests of guests, by the functions of WASI 0.2 and of WASI 0.3.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use wasmpool::{Capabilities, Child, Output, Pool, TaskErrorKind as Kind, TaskModule, TaskOptions};

use crate::support::wait_until_suspended;

/// A server for one connection after the other, which ends with the process. What it answers depends
/// on the path.
struct Server {
    port: u16,
    n_requests: Arc<AtomicUsize>,
}

const BIG: usize = 3 << 20;

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let n_requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&n_requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let counted = Arc::clone(&counted);
                // The guest may be stopped at any time.
                std::thread::spawn(move || answer(&stream.unwrap(), &counted).ok());
            }
        });
        Self { port, n_requests }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn rights(&self) -> Capabilities {
        let granted = format!("127.0.0.1:{}", self.port);
        Capabilities::new().net(&granted).unwrap()
    }

    fn n_requests(&self) -> usize {
        self.n_requests.load(Ordering::SeqCst)
    }
}

fn answer(mut stream: &TcpStream, counted: &AtomicUsize) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        // Also if what comes is no text.
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            break;
        }
        head.push(line.trim().to_lowercase());
    }
    counted.fetch_add(1, Ordering::SeqCst);
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body)?;
    let path = head[0].split(' ').nth(1).unwrap();
    let ok = |body: &[u8]| {
        let mut whole = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        whole.push_str(std::str::from_utf8(body).unwrap());
        whole
    };
    let answer = match path {
        "/" => ok(b"hello"),
        "/head" => ok(head.join("|").as_bytes()),
        "/echo" => ok(&body),
        "/missing" => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "/big" => {
            let mut chunks = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
            for _ in 0..BIG >> 10 {
                chunks.push_str("400\r\n");
                chunks.push_str(&"x".repeat(1 << 10));
                chunks.push_str("\r\n");
            }
            chunks + "0\r\n\r\n"
        }
        "/cut-off" => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal".to_owned(),
        "/nonsense" => "nonsense\r\n\r\n".to_owned(),
        "/header" => format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(1 << 20)),
        // Until the guest has gone.
        "/never" => {
            reader.read_to_end(&mut body)?;
            return Ok(());
        }
        _ => unreachable!("{path}"),
    };
    stream.write_all(answer.as_bytes())
}

fn pool() -> Pool {
    Pool::builder().workers(1).build().unwrap()
}

fn for_each_version(pool: &Pool, check: impl Fn(&TaskModule)) {
    for guest in [wasmpool_guests::FETCHING, wasmpool_guests::AWAITING] {
        check(&pool.load(guest.path()).unwrap());
    }
}

fn start(pool: &Pool, module: &TaskModule, rights: &Capabilities, arguments: &[&str]) -> Child {
    let mut command = module.command().unwrap();
    command
        .args(arguments.iter().copied())
        .capabilities(rights.clone());
    command.spawn(pool).unwrap()
}

fn fetch(pool: &Pool, module: &TaskModule, rights: &Capabilities, arguments: &[&str]) -> Output {
    start(pool, module, rights, arguments).wait().unwrap()
}

/// The status and the body.
fn fetched(output: &Output) -> (&str, &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), 0, "{stderr}");
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let (head, body) = text.split_once("\n\n").unwrap();
    (head.lines().next().unwrap(), body)
}

#[track_caller]
fn failed(output: &Output, error: &str) {
    assert_eq!(output.status.code(), 1);
    let told = String::from_utf8_lossy(&output.stderr).to_lowercase();
    assert!(told.replace(' ', "").contains(error), "{told}");
}

#[test]
fn a_request_goes_to_a_granted_address_and_no_other() {
    let (pool, server, other) = (pool(), Server::start(), Server::start());
    for_each_version(&pool, |module| {
        let rights = server.rights();
        let output = fetch(&pool, module, &rights, &["fetch", &server.url("/")]);
        assert_eq!(fetched(&output), ("200", "hello"));
        let output = fetch(&pool, module, &rights, &["fetch", &server.url("/missing")]);
        assert_eq!(fetched(&output), ("404", ""));

        let refused = |rights: &Capabilities, url: &str, told: &str| {
            let child = start(&pool, module, rights, &["fetch", url]);
            failed(&child.wait().unwrap(), "httprequestdenied");
            let told = format!("send a request to `{told}`");
            assert_eq!(child.task().report().unwrap().refused, [told]);
        };
        let address = format!("127.0.0.1:{}", other.port);
        refused(&rights, &other.url("/"), &address);
        refused(&Capabilities::new(), &other.url("/"), &address);
        // The port that is meant.
        refused(&rights, "http://127.0.0.1/", "127.0.0.1:80");
        refused(&rights, "https://127.0.0.1/", "127.0.0.1:443");
        refused(&rights, "http://[::1]/", "::1:80");
        // A name is not the address that it stands for.
        let named = format!("localhost:{}", server.port);
        refused(&rights, &format!("http://{named}/"), &named);
    });
    assert_eq!(other.n_requests(), 0);
}

#[test]
fn a_request_goes_to_a_granted_name() {
    let (pool, server) = (pool(), Server::start());
    for_each_version(&pool, |module| {
        let granted = format!("LocalHost:{}", server.port);
        let rights = Capabilities::new().net(&granted).unwrap();
        let url = format!("http://user:password@localhost:{}/head", server.port);
        let output = fetch(&pool, module, &rights, &["fetch", &url]);
        let (status, head) = fetched(&output);
        assert_eq!(status, "200");
        assert!(head.starts_with("get /head http/1.1|"), "{head}");
        assert!(
            head.contains(&format!("host: localhost:{}", server.port)),
            "{head}"
        );
        // The address itself was not granted, and the name only with its port.
        let output = fetch(&pool, module, &rights, &["fetch", &server.url("/")]);
        failed(&output, "httprequestdenied");
        let output = fetch(&pool, module, &rights, &["fetch", "http://localhost/"]);
        failed(&output, "httprequestdenied");
    });
}

#[test]
fn bodies_arrive_whole() {
    let (pool, server) = (pool(), Server::start());
    for_each_version(&pool, |module| {
        let sent = "0123456789".repeat(10_000);
        let output = fetch(
            &pool,
            module,
            &server.rights(),
            &["fetch", &server.url("/echo"), &sent],
        );
        assert!(fetched(&output) == ("200", &sent));
        let output = fetch(
            &pool,
            module,
            &server.rights(),
            &["fetch", &server.url("/big")],
        );
        assert!(fetched(&output) == ("200", &"x".repeat(BIG)));
    });
}

#[test]
fn a_bad_answer_is_an_error_of_the_guest() {
    let (pool, server) = (pool(), Server::start());
    for_each_version(&pool, |module| {
        let rights = server.rights();
        for (path, error) in [
            ("/cut-off", "error"),
            ("/nonsense", "httpprotocolerror"),
            ("/header", "error"),
        ] {
            let output = fetch(&pool, module, &rights, &["fetch", &server.url(path)]);
            failed(&output, error);
        }
        let output = fetch(&pool, module, &rights, &["fetch", &server.url("/"), ""]);
        assert_eq!(fetched(&output), ("200", "hello"));
    });
}

#[test]
fn nobody_listening_is_an_error_of_the_guest() {
    let pool = pool();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let rights = Capabilities::new().net(&address).unwrap();
    for_each_version(&pool, |module| {
        let url = format!("http://{address}/");
        let output = fetch(&pool, module, &rights, &["fetch", &url]);
        failed(&output, "connectionrefused");
    });
}

#[test]
fn a_request_without_an_answer_is_stopped_and_keeps_no_worker() {
    let (pool, server) = (pool(), Server::start());
    for_each_version(&pool, |module| {
        let url = server.url("/never");
        let waiting = start(&pool, module, &server.rights(), &["fetch", &url]);
        wait_until_suspended(waiting.task());
        let output = fetch(
            &pool,
            module,
            &server.rights(),
            &["fetch", &server.url("/")],
        );
        assert_eq!(fetched(&output), ("200", "hello"));
        assert!(waiting.task().cancel());
        let error = waiting.wait().unwrap_err();
        assert_eq!(error.kind(), Kind::Cancelled);

        let mut command = module.command().unwrap();
        let timeout = TaskOptions::new().task_timeout(Duration::from_millis(50));
        command
            .args(["fetch", &url])
            .options(timeout)
            .capabilities(server.rights());
        let error = command.spawn(&pool).unwrap().wait().unwrap_err();
        assert_eq!(error.kind(), Kind::TimedOut);
    });
}

#[test]
fn headers_of_a_guest_take_bounded_memory() {
    let pool = pool();
    for_each_version(&pool, |module| {
        let rights = Capabilities::new();
        let output = fetch(&pool, module, &rights, &["hoard-headers", "500", "10000"]);
        assert_eq!(output.status.code(), 0);
        match start(&pool, module, &rights, &["hoard-headers", "1", "100000"]).wait() {
            Ok(output) => failed(&output, "sizeexceeded"),
            // The functions of WASI 0.2 have no error for it.
            Err(trap) => assert!(trap.to_string().contains("total size of fields"), "{trap}"),
        }
        let child = start(&pool, module, &rights, &["hoard-headers", "2000", "1"]);
        let error = child.wait().unwrap_err();
        assert_eq!(error.kind(), Kind::HandleLimit);
    });
}
