//! Factorizes numbers in a pool, in the ways of Eli Bendersky's article "Parallelizing CPU-bound
//! tasks with concurrent.futures", and prints how long each takes.
//!
//! ```sh
//! cargo run --release -p wasmpool --example factorize [COUNT [MODULE]]
//! ```

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Instant;

use wasmpool::{Pool, Task, TaskFuture, TaskModule, TaskOptions, as_completed};

type Factors = BTreeMap<u64, Vec<u64>>;
type Outcome = Result<Factors, Box<dyn Error>>;
type Way = fn(&Pool, &TaskModule, &[u64]) -> Outcome;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().map_or(Ok(2_000), |count| count.parse())?;
    let module = arguments.next();
    let module = module.unwrap_or_else(|| "target/guests/factorizer.wasm".to_owned());

    // Odd numbers of this size take from microseconds to a millisecond.
    let numbers = (0..count).map(|index| 999_999_999_989 + 2 * index);
    let numbers = numbers.collect::<Vec<u64>>();

    let pool = Pool::new()?;
    let module = pool.load(module)?;
    let ways: [(&str, Way); 4] = [
        ("submitted one by one", submitted),
        ("a list of numbers for each worker", listed),
        ("mapped", mapped),
        ("mapped in chunks", mapped_in_chunks),
    ];
    println!("{count} numbers, {} workers", pool.workers());
    let mut first = None;
    for (name, way) in ways {
        let started = Instant::now();
        let factors = way(&pool, &module, &numbers)?;
        println!("{name}: {:.1?}", started.elapsed());
        assert_eq!(first.get_or_insert_with(|| factors.clone()), &factors);
    }
    let primes = first
        .iter()
        .flatten()
        .filter(|(_, factors)| factors.len() == 1);
    println!("{} of them are prime", primes.count());
    Ok(())
}

/// A future beside its number: `as_completed` gives back what it was given.
struct Numbered(u64, TaskFuture<Vec<u64>>);

impl Borrow<TaskFuture<Vec<u64>>> for Numbered {
    fn borrow(&self) -> &TaskFuture<Vec<u64>> {
        &self.1
    }
}

/// `executor.submit` and `as_completed`. Each outcome is at hand as soon as it is there.
fn submitted(pool: &Pool, module: &TaskModule, numbers: &[u64]) -> Outcome {
    let factorize = factorize(module)?;
    let submit = |&n| Ok(Numbered(n, pool.submit(&factorize, (n,))?));
    let futures = numbers.iter().map(submit);
    let futures = futures.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    let mut all = Factors::new();
    for Numbered(n, future) in as_completed(futures) {
        all.insert(n, future.wait()?); // does not block any more
    }
    Ok(all)
}

/// The article's chunks: one task for many numbers. There is least to hand over, but a failure or a
/// timeout costs the whole list, and a worker whose list is quick is idle at the end.
fn listed(pool: &Pool, module: &TaskModule, numbers: &[u64]) -> Outcome {
    let factorize_many = module.task::<(Vec<u64>,), Vec<(u64, Vec<u64>)>>("factorize_many")?;
    let length = numbers.len().div_ceil(pool.workers()).max(1);
    let lists = numbers.chunks(length);
    let submit = |list: &[u64]| pool.submit(&factorize_many, (list.to_vec(),));
    let futures = lists.map(submit).collect::<Result<Vec<_>, _>>()?;
    let mut all = Factors::new();
    for future in as_completed(futures) {
        all.extend(future.wait()?);
    }
    Ok(all)
}

/// `executor.map`. The pool finds out how many inputs a worker had better take in one go.
fn mapped(pool: &Pool, module: &TaskModule, numbers: &[u64]) -> Outcome {
    map(pool, &factorize(module)?, numbers)
}

/// `executor.map` with a `chunksize`. Unlike the lists above each input is a task of its own, with
/// its own outcome and timeout.
fn mapped_in_chunks(pool: &Pool, module: &TaskModule, numbers: &[u64]) -> Outcome {
    const CHUNK: NonZeroUsize = NonZeroUsize::new(32).unwrap();
    let in_chunks = TaskOptions::new().chunk_size(CHUNK);
    map(pool, &factorize(module)?.with(in_chunks), numbers)
}

fn map(pool: &Pool, factorize: &Task<(u64,), Vec<u64>>, numbers: &[u64]) -> Outcome {
    let outcomes = pool.map(factorize, numbers.iter().copied());
    let pairs = numbers.iter().zip(outcomes);
    pairs.map(|(&n, factors)| Ok((n, factors?))).collect()
}

fn factorize(module: &TaskModule) -> Result<Task<(u64,), Vec<u64>>, Box<dyn Error>> {
    Ok(module.task("factorize")?)
}
