//! An ordinary command line program, which does not know wasmpool. It has a subcommand for each
//! feature of WASI programs, and is built for preview 1, for preview 2 and natively.
//!
//! Errors go to standard error, with exit code 1.

use std::collections::hash_map::RandomState;
use std::env;
use std::error::Error;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::hint::black_box;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = env::args().skip(1).collect::<Vec<_>>();
    let mut words = arguments.iter().map(String::as_str);
    let command = words.next().unwrap_or_default();
    let rest = words.collect::<Vec<_>>();
    let mut stdout = io::stdout().lock();
    match (command, &*rest) {
        // Its own name and all arguments, one a line.
        ("args", _) => {
            for argument in env::args() {
                writeln!(stdout, "{argument}")?;
            }
        }
        // Its environment, sorted.
        ("env", []) => {
            let mut variables = env::vars().collect::<Vec<_>>();
            variables.sort();
            for (name, value) in variables {
                writeln!(stdout, "{name}={value}")?;
            }
        }
        // Standard input to standard output.
        ("cat", []) => {
            io::copy(&mut io::stdin(), &mut stdout)?;
        }
        // Lines, words and bytes of its arguments, or of standard input.
        ("count", []) => count(&mut stdout, &io::read_to_string(io::stdin())?)?,
        ("count", texts) => count(&mut stdout, &texts.join(" "))?,
        ("exit", [code]) => {
            writeln!(stdout, "leaving")?;
            eprintln!("with {code}");
            std::process::exit(code.parse()?);
        }
        ("panic", []) => panic!("told to"),
        ("spin", []) => loop {
            black_box(());
        },
        ("sleep", [milliseconds]) => {
            std::thread::sleep(Duration::from_millis(milliseconds.parse()?));
        }
        ("allocate", [mebibytes]) => {
            let bytes = vec![0xAA_u8; mebibytes.parse::<usize>()? << 20];
            writeln!(stdout, "{}", black_box(bytes).len())?;
        }
        // Writes this many bytes to standard output, and as many to standard error.
        ("flood", [bytes]) => {
            let line = [b'x'; 1000];
            let mut left = bytes.parse::<usize>()?;
            while left > 0 {
                let now = left.min(line.len());
                stdout.write_all(&line[..now])?;
                io::stderr().write_all(&line[..now])?;
                left -= now;
            }
        }
        // Bytes that are not valid text.
        ("bytes", []) => stdout.write_all(&[0xFF, 0x00, 0xFE])?,
        // The wall clock, and how far the monotonic clock moves in a million steps.
        ("clock", []) => {
            let (wall, started) = (SystemTime::now(), Instant::now());
            for step in 0..1_000_000 {
                black_box(step);
            }
            let since_1970 = wall.duration_since(UNIX_EPOCH)?;
            let elapsed = started.elapsed().as_nanos();
            writeln!(stdout, "{} {elapsed}", since_1970.as_nanos())?;
        }
        // Uses this many KiB of its stack at once.
        ("descend", [kib]) => writeln!(stdout, "{}", descend(kib.parse()?))?,
        // How far both clocks move while it sleeps, in nanoseconds.
        ("nap", [milliseconds]) => {
            let (wall, started) = (SystemTime::now(), Instant::now());
            std::thread::sleep(Duration::from_millis(milliseconds.parse()?));
            let (wall, elapsed) = (wall.elapsed()?.as_nanos(), started.elapsed().as_nanos());
            writeln!(stdout, "{wall} {elapsed}")?;
        }
        ("random", []) => writeln!(
            stdout,
            "{:016x}",
            RandomState::new().build_hasher().finish()
        )?,
        ("read", [path]) => stdout.write_all(&fs::read(path)?)?,
        // Opens a file as often as stated, reads the stated number of bytes each time, and closes
        // it. Prints how often that succeeded.
        ("reread", [path, bytes, times]) => {
            let mut buffer = vec![0; bytes.parse()?];
            let mut read = || fs::File::open(path)?.read_exact(&mut buffer);
            let times = 0..times.parse::<u32>()?;
            writeln!(stdout, "{}", times.filter(|_| read().is_ok()).count())?;
        }
        ("write", [path, text]) => fs::write(path, text)?,
        ("append", [path, text]) => {
            let mut file = fs::OpenOptions::new().append(true).open(path)?;
            file.write_all(text.as_bytes())?;
        }
        // The entries of a folder, sorted.
        ("list", [path]) => {
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            for name in names {
                writeln!(stdout, "{name}")?;
            }
        }
        ("mkdir", [path]) => fs::create_dir(path)?,
        ("remove", [path]) => fs::remove_file(path)?,
        ("rename", [from, to]) => fs::rename(from, to)?,
        ("link", [original, link]) => fs::hard_link(original, link)?,
        #[allow(deprecated)] // The replacement is not available on all systems.
        ("symlink", [original, link]) => fs::soft_link(original, link)?,
        ("truncate", [path]) => drop(fs::File::create(path)?),
        // Sends its own name, and prints the answer.
        ("connect", [address]) => {
            let mut stream = TcpStream::connect(address)?;
            stream.write_all(b"programs\n")?;
            stream.shutdown(std::net::Shutdown::Write)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            stdout.write_all(answer.as_bytes())?;
        }
        ("lookup", [name]) => {
            for address in (*name, 0).to_socket_addrs()? {
                writeln!(stdout, "{}", address.ip())?;
            }
        }
        ("listen", [address]) => drop(TcpListener::bind(address)?),
        ("udp", [address]) => drop(UdpSocket::bind(address)?),
        _ => return Err(format!("no such command: {arguments:?}").into()),
    }
    stdout.flush()?;
    Ok(())
}

fn count(stdout: &mut impl io::Write, text: &str) -> io::Result<()> {
    let words = text.split_whitespace().count();
    writeln!(stdout, "{} {words} {}", text.lines().count(), text.len())
}

/// Uses `kib` KiB of the stack, and returns `kib`.
fn descend(kib: usize) -> usize {
    if kib == 0 {
        return 0;
    }
    let frame = black_box([1_u8; 1024]);
    let below = descend(kib - 1);
    usize::from(black_box(&frame)[kib % frame.len()]) + below
}
