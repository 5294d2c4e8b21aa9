//! A pool in async code, here with tokio: nothing blocks the runtime's thread, and what is not
//! waited for any longer is cancelled.
//!
//! ```sh
//! cargo run --release -p wasmpool --example async_tokio [MODULE]
//! ```

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::time::{sleep, timeout};
use wasmpool::{Pool, TaskError, TaskFuture};

/// A prime that takes seconds to find out about.
const SLOW: u64 = (1 << 61) - 1;

// One thread is enough: guests run on the pool's own threads.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let module = std::env::args().nth(1);
    let module = module.unwrap_or_else(|| "target/guests/factorizer.wasm".to_owned());

    let pool = Pool::builder().workers(1).build()?;
    // Compiles on a thread of the pool; other tasks of the runtime go on.
    let module = pool.load_async(module).await?;
    let factorize = module.task::<(u64,), Vec<u64>>("factorize")?;

    // The first `await` waits for room in the queue, the second one for the result.
    let factors = pool.submit_async(&factorize, (360,)).await?.await?;
    println!("360 = {factors:?}");

    // A map is a stream. It pulls inputs only a few ahead, so that they may be endless.
    let mut outcomes = pool.map_async(&factorize, 1_000_000..).take(3).enumerate();
    while let Some((index, factors)) = outcomes.next().await {
        println!("{} = {:?}", 1_000_000 + index, factors?);
    }
    // Dropping the stream cancels what it has submitted and not given out.
    drop(outcomes);

    // Out of patience: the timeout drops the future, which cancels the task.
    let slow = CancelOnDrop(pool.submit_async(&factorize, (SLOW,)).await?);
    if timeout(Duration::from_millis(50), slow).await.is_err() {
        println!("{SLOW} takes too long");
    }

    // Whichever is first; what `select!` does not choose it drops.
    let slow = CancelOnDrop(pool.submit_async(&factorize, (SLOW,)).await?);
    tokio::select! {
        factors = slow => println!("{SLOW} = {:?}", factors?),
        () = sleep(Duration::from_millis(50)) => println!("{SLOW} takes too long again"),
    }

    // The only worker is free: nobody computes for those who have gone.
    let factors = pool.submit_async(&factorize, (77,)).await?.await?;
    println!("77 = {factors:?}");
    println!("failures: {:?}", pool.stats().failures);

    // Dropping the pool blocks for some milliseconds, which this thread can afford at its end.
    Ok(())
}

/// A task that is cancelled when nobody waits for it any longer: a `TaskFuture` that is dropped
/// lets its task run. After the task's end the drop changes nothing.
struct CancelOnDrop<Out>(TaskFuture<Out>);

impl<Out> Drop for CancelOnDrop<Out> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<Out: DeserializeOwned> Future for CancelOnDrop<Out> {
    type Output = Result<Out, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}
