//! The example of a service, as its clients see it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than anything here takes on a busy machine. Only ever an upper bound.
const LONG: Duration = Duration::from_secs(60);

/// A service with one worker that serves the misbehaving guest.
struct Service {
    process: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Service {
    fn start(settings: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_service"))
            .arg(wasmpool_guests::MISBEHAVING.path())
            .args(["--listen", "127.0.0.1:0", "--workers", "1"])
            .args(settings)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://");
        let address = address.unwrap_or_else(|| panic!("`{line}`")).to_owned();
        Self {
            process,
            stdout,
            address,
        }
    }

    /// Sends a request and does not wait for the answer.
    fn begin(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        connection.set_read_timeout(Some(LONG)).unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).unwrap();
        connection.write_all(body.as_bytes()).unwrap();
        connection
    }

    fn call(&self, task: &str, arguments: &str) -> Answer {
        Answer::read(self.begin("POST", &format!("/tasks/{task}"), arguments))
    }

    /// The task answers with this status, and with this kind of error.
    #[track_caller]
    fn check(&self, task: &str, arguments: &str, status: u16, kind: &str) {
        let answer = self.call(task, arguments);
        assert_eq!(answer.status, status, "{task}: {answer:?}");
        assert_eq!(answer.json()["kind"], kind, "{task}: {answer:?}");
    }

    #[track_caller]
    fn assert_serves(&self) {
        let answer = self.call("echo", r#"["hello"]"#);
        assert_eq!((answer.status, &*answer.body), (200, r#""hello""#));
    }

    /// Asks for the numbers of the pool until they are these.
    fn wait_until(&self, running: u64, queued: u64) -> Value {
        let deadline = Instant::now() + LONG;
        loop {
            let stats = Answer::read(self.begin("GET", "/stats", "")).json();
            // One that sleeps is suspended most of the time.
            let count = |name: &str| stats[name].as_u64().unwrap();
            let started = count("running") + count("suspended");
            if (started, count("queued")) == (running, queued) {
                return stats;
            }
            assert!(Instant::now() < deadline, "{stats}");
        }
    }

    /// Tells it to end; what it says at last.
    fn terminate(mut self) -> String {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().unwrap();
        assert!(told.success());
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0), "{text}");
        text
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended, and has been waited for then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn read(mut connection: TcpStream) -> Self {
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse();
        Self {
            status: status.unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn says_when_to_retry(&self) -> bool {
        self.head.contains("\r\nretry-after: ")
    }
}

#[test]
fn each_way_to_fail_has_its_status() {
    let service = Service::start(&["--task-timeout", "300"]);
    service.assert_serves();

    service.check("no_such_task", "[1]", 404, "no-such-task");
    service.check("echo", "[1]", 400, "bad-arguments");
    service.check("fail", r#"["no"]"#, 422, "failed");
    assert_eq!(service.call("fail", r#"["no"]"#).json()["code"], "as-told");
    service.check("allocate", "[128]", 422, "memory-limit");
    service.check("huge_result", "[2]", 422, "output-limit");
    service.check("panic", r#"["oh"]"#, 502, "trap");
    service.check("exit", "[3]", 502, "exited");
    service.check("spin", "[1]", 504, "timed-out");
    service.check("sleep", "[3600000]", 504, "timed-out");

    // What is no call at all is answered by axum.
    assert_eq!(service.call("echo", "[").status, 400);
    assert_eq!(service.call("echo", "{}").status, 422);
    let large = format!("[\"{}\"]", "x".repeat(1 << 20));
    assert_eq!(service.call("echo", &large).status, 413);

    service.assert_serves();
}

#[test]
fn clients_that_leave_give_worker_and_queue_back() {
    let service = Service::start(&[
        "--queue",
        "1",
        "--task-timeout",
        "3600000",
        "--queue-timeout",
        "3600000",
    ]);
    let running = service.begin("POST", "/tasks/spin", "[1]");
    service.wait_until(1, 0);
    let queued = service.begin("POST", "/tasks/spin", "[2]");
    service.wait_until(1, 1);

    let refused = service.call("echo", r#"["hello"]"#);
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.says_when_to_retry(), "{refused:?}");

    // Neither task would ever end by itself.
    drop((running, queued));
    let stats = service.wait_until(0, 0);
    assert_eq!(stats["failures"][0][0], "cancelled", "{stats}");
    assert_eq!(stats["failures"][0][1], 2, "{stats}");
    service.assert_serves();
}

#[test]
fn what_waits_too_long_for_a_worker_may_come_again() {
    let service = Service::start(&["--task-timeout", "3600000", "--queue-timeout", "100"]);
    let _running = service.begin("POST", "/tasks/spin", "[1]");
    service.wait_until(1, 0);
    let answer = service.call("echo", r#"["hello"]"#);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json()["kind"], "queue-timed-out");
    assert!(answer.says_when_to_retry(), "{answer:?}");
}

#[test]
fn accepted_tasks_are_done_before_the_end() {
    let service = Service::start(&["--grace", "60000"]);
    let sleeping = service.begin("POST", "/tasks/sleep", "[300]");
    service.wait_until(1, 0);
    assert_eq!(service.terminate(), "0 tasks never ran, 0 were stopped\n");
    let answer = Answer::read(sleeping);
    assert_eq!((answer.status, &*answer.body), (200, "300"));
}

#[test]
fn the_end_comes_in_time() {
    let service = Service::start(&["--task-timeout", "3600000", "--grace", "200"]);
    let spinning = service.begin("POST", "/tasks/spin", "[1]");
    service.wait_until(1, 0);
    // A connection that never sends its request does not hold it up either.
    let _silent = TcpStream::connect(&service.address).unwrap();
    assert_eq!(service.terminate(), "0 tasks never ran, 1 were stopped\n");
    let answer = Answer::read(spinning);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.json()["kind"], "shut-down");
}
