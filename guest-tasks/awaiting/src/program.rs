//! The program: that of `guest-tasks/programs`, by the functions of WASI 0.3 alone.
//!
//! Errors go to standard error, with exit code 1.

use std::fmt::{Debug, Write as _};
use std::hint::black_box;
use std::net::IpAddr;

use wasip3::cli::{environment, exit, stderr, stdin, stdout};
use wasip3::cli::{terminal_stderr, terminal_stdin, terminal_stdout};
use wasip3::clocks::{monotonic_clock, system_clock};
use wasip3::exports::cli::run::Guest;
use wasip3::random::{insecure, insecure_seed, random};
use wasip3::sockets::ip_name_lookup::resolve_addresses;
use wasip3::sockets::types::{
    IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
    UdpSocket,
};
use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

use crate::{files, http};

wasip3::cli::command::export!(Program);

struct Program;

impl Guest for Program {
    async fn run() -> Result<(), ()> {
        let arguments = environment::get_arguments();
        let words = arguments.iter().skip(1).map(String::as_str);
        match run(&words.collect::<Vec<_>>()).await {
            Ok(printed) => print(printed).await.map_err(|_| ()),
            Err(error) => {
                let told = format!("Error: {error:?}\n").into_bytes();
                write(stderr::write_via_stream, told)
                    .await
                    .map_err(|_| ())?;
                Err(())
            }
        }
    }
}

/// An error in words: `not permitted`.
pub(crate) fn text(error: impl Debug) -> String {
    let name = format!("{error:?}");
    let name = name.rsplit("::").next().unwrap_or_default();
    let mut words = String::new();
    for (place, letter) in name.char_indices() {
        if letter.is_uppercase() && place > 0 {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

async fn print(bytes: impl Into<Vec<u8>>) -> Result<(), String> {
    write(stdout::write_via_stream, bytes.into()).await
}

/// Writes to the stream that `begin` has written.
pub(crate) async fn write<E: Debug, W: IntoFuture<Output = Result<(), E>>>(
    begin: impl FnOnce(StreamReader<u8>) -> W,
    bytes: Vec<u8>,
) -> Result<(), String> {
    let (mut written, read) = wasip3::wit_stream::new();
    let ended = begin(read);
    // What is not taken is told by the end.
    written.write_all(bytes).await;
    drop(written);
    ended.await.map_err(text)
}

pub(crate) async fn read_all(mut stream: StreamReader<u8>) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (result, bytes) = stream.read(Vec::with_capacity(1 << 16)).await;
        all.extend(bytes);
        if result == StreamResult::Dropped {
            return all;
        }
    }
}

fn number<N: std::str::FromStr>(word: &str) -> Result<N, String> {
    word.parse().map_err(|_| format!("not a number: {word}"))
}

/// Runs a subcommand, and returns what it prints at its end.
async fn run(words: &[&str]) -> Result<Vec<u8>, String> {
    let mut printed = String::new();
    match words {
        ["args", ..] => {
            for argument in environment::get_arguments() {
                let _ = writeln!(printed, "{argument}");
            }
        }
        ["env"] => {
            let mut variables = environment::get_environment();
            variables.sort();
            for (name, value) in variables {
                let _ = writeln!(printed, "{name}={value}");
            }
        }
        // Where it begins, and whether its streams are terminals.
        ["surroundings"] => {
            let are_terminals = (
                terminal_stdin::get_terminal_stdin().is_some(),
                terminal_stdout::get_terminal_stdout().is_some(),
                terminal_stderr::get_terminal_stderr().is_some(),
            );
            let folder = environment::get_initial_cwd();
            printed = format!("{folder:?} {are_terminals:?}\n");
        }
        ["cat"] => {
            let (stream, ended) = stdin::read_via_stream();
            let input = read_all(stream).await;
            ended.await.map_err(text)?;
            return Ok(input);
        }
        // Standard input to standard output, without looking at it.
        ["pipe"] => {
            let (stream, _) = stdin::read_via_stream();
            stdout::write_via_stream(stream).await.map_err(text)?;
        }
        ["count"] => {
            let (stream, _) = stdin::read_via_stream();
            let input = String::from_utf8(read_all(stream).await);
            printed = count(&input.map_err(|error| error.to_string())?);
        }
        ["count", texts @ ..] => printed = count(&texts.join(" ")),
        ["exit", code] => {
            print("leaving\n").await?;
            let told = format!("with {code}\n").into_bytes();
            write(stderr::write_via_stream, told).await?;
            exit::exit_with_code(number(code)?);
        }
        ["fail"] => exit::exit(Err(())),
        ["panic"] => panic!("told to"),
        ["spin"] => loop {
            black_box(());
        },
        ["sleep", milliseconds] => {
            let nanoseconds = number::<u64>(milliseconds)? * 1_000_000;
            monotonic_clock::wait_for(nanoseconds).await;
        }
        ["allocate", mebibytes] => {
            let bytes = vec![0xAA_u8; number::<usize>(mebibytes)? << 20];
            printed = format!("{}\n", black_box(bytes).len());
        }
        ["flood", bytes] => flood(number(bytes)?).await?,
        ["bytes"] => return Ok(vec![0xFF, 0x00, 0xFE]),
        ["clock"] => {
            let (wall, started) = (system_clock::now(), monotonic_clock::now());
            for step in 0..1_000_000 {
                black_box(step);
            }
            let elapsed = monotonic_clock::now() - started;
            assert!(system_clock::get_resolution() > 0 && monotonic_clock::get_resolution() > 0);
            printed = format!("{} {elapsed}\n", since_1970(wall));
        }
        ["descend", kib] => printed = format!("{}\n", descend(number(kib)?)),
        ["nap", milliseconds] => {
            let (wall, started) = (system_clock::now(), monotonic_clock::now());
            let nanoseconds = number::<u64>(milliseconds)? * 1_000_000;
            monotonic_clock::wait_until(started + nanoseconds).await;
            let elapsed = monotonic_clock::now() - started;
            let of_wall = since_1970(system_clock::now()) - since_1970(wall);
            printed = format!("{of_wall} {elapsed}\n");
        }
        // From all of its sources.
        ["random"] => {
            let numbers = (
                random::get_random_u64(),
                random::get_random_bytes(4),
                insecure::get_insecure_random_u64(),
                insecure::get_insecure_random_bytes(4),
                insecure_seed::get_insecure_seed(),
            );
            printed = format!("{numbers:?}\n");
        }
        ["lookup", name] => {
            let addresses = resolve_addresses((*name).to_owned()).await;
            for address in addresses.map_err(text)? {
                let _ = writeln!(printed, "{}", native(address));
            }
        }
        ["connect", address] => return connect(addresses(address).await?[0]).await,
        ["fetch", url] => return http::fetch(url, None).await,
        ["fetch", url, body] => return http::fetch(url, Some(body)).await,
        ["hoard-headers", count, size] => return http::hoard(count, size),
        ["listen", address] => {
            let address = addresses(address).await?[0];
            let socket = TcpSocket::create(family(&address)).map_err(text)?;
            socket.bind(address).map_err(text)?;
            drop(socket.listen().map_err(text)?);
        }
        ["udp", address] => {
            let address = addresses(address).await?[0];
            let socket = UdpSocket::create(family(&address)).map_err(text)?;
            socket.bind(address).map_err(text)?;
        }
        [command, arguments @ ..] => match files::run(command, arguments).await? {
            Some(printed) => return Ok(printed),
            None => return Err(format!("no such command: {words:?}")),
        },
        [] => return Err("no such command: none".to_owned()),
    }
    Ok(printed.into_bytes())
}

fn count(text: &str) -> String {
    let (lines, words) = (text.lines().count(), text.split_whitespace().count());
    format!("{lines} {words} {}\n", text.len())
}

/// Writes this many bytes to standard output, and as many to standard error.
async fn flood(bytes: usize) -> Result<(), String> {
    async fn write_to(mut stream: StreamWriter<u8>, bytes: usize) {
        let mut left = bytes;
        while left > 0 {
            let now = left.min(1000);
            stream.write_all(vec![b'x'; now]).await;
            left -= now;
        }
    }
    let (to_stdout, out) = wasip3::wit_stream::new();
    let (to_stderr, err) = wasip3::wit_stream::new();
    let ends = (stdout::write_via_stream(out), stderr::write_via_stream(err));
    futures::join!(write_to(to_stdout, bytes), write_to(to_stderr, bytes));
    let (out, err) = futures::join!(ends.0.into_future(), ends.1.into_future());
    out.and(err).map_err(text)
}

fn descend(kib: usize) -> usize {
    let mut here = [0_u8; 1024];
    black_box(&mut here);
    if kib == 0 { 0 } else { 1 + descend(kib - 1) }
}

fn since_1970(time: system_clock::Instant) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds)
}

fn native(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => IpAddr::from([a, b, c, d]),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => IpAddr::from([a, b, c, d, e, f, g, h]),
    }
}

fn family(address: &IpSocketAddress) -> IpAddressFamily {
    match address {
        IpSocketAddress::Ipv4(_) => IpAddressFamily::Ipv4,
        IpSocketAddress::Ipv6(_) => IpAddressFamily::Ipv6,
    }
}

/// The addresses of a host, by its name or number, with a port. There is at least one.
async fn addresses(host: &str) -> Result<Vec<IpSocketAddress>, String> {
    let (name, port) = host.rsplit_once(':').ok_or("no port")?;
    let port = number(port)?;
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let addresses = match name.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => {
            let found = resolve_addresses(name.to_owned()).await.map_err(text)?;
            found.into_iter().map(native).collect()
        }
    };
    let mut addresses = addresses
        .into_iter()
        .map(|address| match address {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                let address = (a, b, c, d);
                IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address })
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h] = address.segments();
                IpSocketAddress::Ipv6(Ipv6SocketAddress {
                    port,
                    address: (a, b, c, d, e, f, g, h),
                    flow_info: 0,
                    scope_id: 0,
                })
            }
        })
        .collect::<Vec<_>>();
    addresses.sort_by_key(|address| matches!(address, IpSocketAddress::Ipv6(_)));
    Ok(addresses)
}

/// Sends its own name, and returns the answer.
async fn connect(address: IpSocketAddress) -> Result<Vec<u8>, String> {
    let socket = TcpSocket::create(family(&address)).map_err(text)?;
    socket.connect(address).await.map_err(text)?;
    write(|data| socket.send(data), b"programs\n".to_vec()).await?;
    let (answer, ended) = socket.receive();
    let answer = read_all(answer).await;
    ended.await.map_err(text)?;
    Ok(answer)
}
