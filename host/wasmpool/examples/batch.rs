//! A batch of many inputs, of which some crash and some hang: each costs its own outcome and
//! nothing else. Prints how many ended in which way, and exits with 1 if any has failed.
//!
//! ```sh
//! cargo run --release -p wasmpool --example batch [COUNT [MODULE]]
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wasmpool::Pool;

/// Thousands of times what a task takes, so that none is stopped because the machine is busy. What
/// hangs costs its worker this much.
const TASK_TIMEOUT: Duration = Duration::from_millis(200);

/// For the whole batch. What has not ended by then is cancelled, and says so.
const BATCH_TIMEOUT: Duration = Duration::from_secs(600);

/// How many inputs of each kind of failure are named.
const SHOWN: usize = 3;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments
        .next()
        .map_or(Ok(100_000), |count| count.parse())?;
    let module = arguments.next();
    let module = module.unwrap_or_else(|| "target/guests/misbehaving.wasm".to_owned());

    let pool = Pool::builder()
        .task_timeout(TASK_TIMEOUT)
        .memory_limit(16 << 20)
        .build()?;
    // In each thousand of inputs it panics at one, and computes for ever at another.
    let task = pool.load(module)?.task::<(u64,), u64>("now_and_then")?;

    let started = Instant::now();
    let mut sum = 0_u64;
    let mut failed = BTreeMap::<_, Vec<_>>::new();
    // Lazy: inputs are taken, and outcomes kept, only a few ahead. Unordered: outcomes need not
    // wait for an earlier input that hangs.
    let outcomes = pool.map_unordered(&task, 0..count).timeout(BATCH_TIMEOUT);
    for (input, outcome) in outcomes {
        match outcome {
            Ok(result) => sum += result,
            Err(error) => failed.entry(error.kind().name()).or_default().push(input),
        }
    }

    let n_failed = failed.values().map(Vec::len).sum::<usize>();
    let elapsed = started.elapsed();
    println!("{count} inputs in {elapsed:.1?}, {n_failed} failed; the sum is {sum}");
    for (kind, mut inputs) in failed {
        let n_inputs = inputs.len();
        inputs.sort_unstable();
        inputs.truncate(SHOWN);
        println!("{kind}: {n_inputs}, first at {inputs:?}");
    }
    Ok(ExitCode::from(u8::from(n_failed > 0)))
}
