//! The NATS server and the nodes, as processes. They end with their values.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use super::LONG;

/// A NATS server with JetStream, whose files are in a folder of its own.
pub(crate) struct NatsServer {
    process: Process,
    folder: TempDir,
    port: u16,
    monitoring: u16,
}

impl NatsServer {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port, monitoring] = free_ports();
        Self {
            process: Self::process(&folder, port, monitoring),
            folder,
            port,
            monitoring,
        }
    }

    /// Ends it as a service manager does, and starts it again on the same files.
    pub(crate) fn restart(&mut self) {
        self.process.terminate();
        let _ = self.process.child.wait();
        self.process = Self::process(&self.folder, self.port, self.monitoring);
    }

    /// Kills it, and starts it again on the same files.
    pub(crate) fn kill_and_restart(&mut self) {
        self.process.kill();
        self.process = Self::process(&self.folder, self.port, self.monitoring);
    }

    /// Deletes a message, as a killed server can lose it.
    pub(crate) fn lose_message(&self, stream: &str, sequence: u64) {
        let request = format!("{{\"seq\":{sequence}}}");
        let subject = format!("$JS.API.STREAM.MSG.DELETE.{stream}");
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection.set_read_timeout(Some(LONG)).unwrap();
        let lines = format!(
            "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {}\r\n{request}\r\n",
            request.len()
        );
        connection.write_all(lines.as_bytes()).unwrap();
        let mut answer = BufReader::new(connection).lines().map(Result::unwrap);
        let answer = answer.find(|line| line.starts_with('{')).unwrap();
        assert!(answer.contains("\"success\":true"), "{answer}");
    }

    fn process(folder: &TempDir, port: u16, monitoring: u16) -> Process {
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
        command.args(["-m", &monitoring.to_string(), "-js", "-sd"]);
        command.arg(folder.path());
        let process = Process::start(command);
        process.wait_for_line("Server is ready");
        process
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// How many messages are in a stream, as the server itself says.
    pub(crate) fn n_messages(&self, stream: &str) -> u64 {
        let mut connection = TcpStream::connect(("127.0.0.1", self.monitoring)).unwrap();
        connection.set_read_timeout(Some(LONG)).unwrap();
        let request = "GET /jsz?accounts=true&streams=true HTTP/1.0\r\nhost: test\r\n\r\n";
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let status: Value = serde_json::from_str(body).unwrap();
        let streams = &status["account_details"][0]["stream_detail"];
        let found = streams.as_array().unwrap().iter();
        let mut found = found.filter(|found| found["name"] == stream);
        let found = found.next().unwrap_or_else(|| panic!("{stream}: {status}"));
        found["state"]["messages"].as_u64().unwrap()
    }
}

/// `wasmpool node`, joined.
pub(crate) struct NodeProcess {
    process: Process,
}

impl NodeProcess {
    pub(crate) fn start(server: &NatsServer, name: &str, settings: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wasmpool"));
        command.args(["node", "--nats", &server.url(), "--name", name]);
        command.args([
            "--cache-folder",
            concat!(env!("CARGO_TARGET_TMPDIR"), "/cluster"),
        ]);
        command.args(settings);
        let process = Process::start(command);
        process.wait_for_line("joined as");
        Self { process }
    }

    pub(crate) fn kill(mut self) {
        self.process.kill();
    }

    /// Tells it to leave, as a service manager does.
    pub(crate) fn tell_to_leave(&self) {
        self.process.terminate();
    }

    /// Waits until it has left, and returns the last thing that it said.
    pub(crate) fn left(mut self) -> String {
        let status = self.process.child.wait().unwrap();
        assert!(status.success(), "{status}");
        self.process.lines.iter().last().unwrap()
    }
}

/// A process whose standard error is read.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{command:?}: {error}; the tests need `nats-server` (apt-get install nats-server)"
            )
        });
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                // It is read to the end, so that the process never waits.
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    #[track_caller]
    fn wait_for_line(&self, part: &str) {
        let mut said = Vec::new();
        while !said.last().is_some_and(|line: &String| line.contains(part)) {
            let line = self.lines.recv_timeout(LONG);
            said.push(line.unwrap_or_else(|_| panic!("no `{part}` in {said:#?}")));
        }
    }

    fn terminate(&self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.unwrap().success());
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports that nobody listens on.
fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until all are known, so that they differ.
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
