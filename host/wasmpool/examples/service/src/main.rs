//! Tasks over HTTP: `POST /tasks/NAME` with the arguments as a JSON array answers with the result
//! as JSON, `GET /stats` with the numbers of the pool.
//!
//! ```sh
//! cargo run --release -p wasmpool-service -- target/guests/factorizer.wasm
//! curl --json '[360]' http://127.0.0.1:8080/tasks/factorize
//! ```
//!
//! A client that goes away takes its task with it. On SIGTERM and SIGINT the service accepts no
//! more tasks, gives those that it has accepted some time, and ends.

#![forbid(unsafe_code)]

mod cancel_on_drop;
mod refusal;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use wasmpool::{Pool, PoolStats, TaskModule};

use crate::cancel_on_drop::CancelOnDrop;
use crate::refusal::Refusal;

/// How large the body of a request may be, and arguments and results as MessagePack. A queue of
/// tasks holds this much for each.
const PAYLOAD_LIMIT: usize = 1 << 20;

/// How long clients have to take their answers when all tasks have ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Tasks of a module over HTTP.
#[derive(Parser)]
struct Settings {
    /// The module whose tasks are served.
    #[arg(default_value = "target/guests/factorizer.wasm")]
    module: PathBuf,
    /// Where to listen; with the port 0, on a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// How many tasks run at once. Default: as many as there are processors.
    #[arg(long)]
    workers: Option<usize>,
    /// How many tasks may wait for a worker.
    #[arg(long, default_value_t = 64)]
    queue: usize,
    /// How long a task may run, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    task_timeout: u64,
    /// How long a task may wait for a worker, in milliseconds.
    #[arg(long, default_value_t = 5_000)]
    queue_timeout: u64,
    /// How long accepted tasks have when the service is told to end, in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    grace: u64,
}

/// What all requests share.
#[derive(Clone)]
struct Service {
    pool: Pool,
    module: TaskModule,
}

// One thread is enough to speak HTTP: guests run on the pool's own threads.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::parse();
    // Before the service can be reached: from here on a signal is an orderly end.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let pool = pool(&settings)?;
    let module = pool.load_async(&settings.module).await?;
    let service = Service {
        pool: pool.clone(),
        module,
    };
    let routes = Router::new()
        .route("/tasks/{name}", post(run))
        .route("/stats", get(stats))
        .layer(DefaultBodyLimit::max(PAYLOAD_LIMIT))
        .with_state(service);
    let listener = TcpListener::bind(settings.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, routes).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }

    // No connection is accepted from now on, and requests on those that are there are refused.
    drop(stop);
    let grace = Duration::from_millis(settings.grace);
    let shutdown = tokio::task::spawn_blocking(move || pool.shutdown_timeout(grace));
    let cut_short = shutdown.await?;
    // Each task has ended by now, so there is nothing to do but to write answers. Who does not
    // read them, or has sent only half of a request, does not hold up the end.
    let _ = tokio::time::timeout(LAST_ANSWERS, server).await;
    println!(
        "{} tasks never ran, {} were stopped",
        cut_short.never_ran, cut_short.stopped
    );
    Ok(())
}

fn pool(settings: &Settings) -> Result<Pool, wasmpool::BuildError> {
    let mut builder = Pool::builder()
        .queue_capacity(settings.queue)
        .task_timeout(Duration::from_millis(settings.task_timeout))
        .queue_timeout(Duration::from_millis(settings.queue_timeout))
        .memory_limit(64 << 20)
        .payload_limit(PAYLOAD_LIMIT);
    if let Some(workers) = settings.workers {
        builder = builder.workers(workers);
    }
    builder.build()
}

/// Runs the task `name`.
///
/// When the client closes its connection, hyper drops this future, and that cancels the task.
async fn run(
    State(Service { pool, module }): State<Service>,
    Path(name): Path<String>,
    Json(arguments): Json<Vec<Value>>,
) -> Result<Json<Value>, Refusal> {
    // Which tasks there are and what they take is known only at run time: any JSON will do.
    let task = module.task::<Vec<Value>, Value>(&name)?;
    // Not `submit_async`, which would wait for room: the requests that wait would be a queue
    // without a bound. A client that is told at once can go elsewhere.
    let future = pool.try_submit(&task, arguments)?;
    Ok(Json(CancelOnDrop::new(future).await?))
}

async fn stats(State(service): State<Service>) -> Json<PoolStats> {
    Json(service.pool.stats())
}
