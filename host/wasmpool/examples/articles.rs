//! The programs of articles on `concurrent.futures` and `multiprocessing`, each below its Python
//! original. Prints a line for each, with the result and the time.
//!
//! ```sh
//! cargo run --release -p wasmpool --example articles [MODULE [PROGRAM]]
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use wasmpool::shared::{Lock, Queue, Value};
use wasmpool::{Capabilities, Pool, TaskModule};

type Factors = BTreeMap<u64, Vec<u64>>;
type Outcome = Result<String, Box<dyn Error>>;

struct Program {
    name: &'static str,
    /// Otherwise one for each processor.
    workers: Option<usize>,
    run: fn(&Pool, &TaskModule) -> Outcome,
}

const PROGRAMS: &[Program] = &[
    Program::new("chunks", factorize_in_chunks),
    Program::new("map", factorize_mapped),
    Program {
        workers: Some(1),
        ..Program::new("io-bound", download)
    },
    Program::new("cpu-bound", count_primes),
    Program::new("queue", collect_from_queue),
    Program::new("tree", grow_tree),
    Program::new("lock", count_under_lock),
];

impl Program {
    const fn new(name: &'static str, run: fn(&Pool, &TaskModule) -> Outcome) -> Self {
        Self {
            name,
            workers: None,
            run,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let module = arguments.next();
    let path = module.unwrap_or_else(|| "target/guests/articles.wasm".to_owned());
    let only = arguments.next();
    let chosen = |program: &&Program| only.as_deref().is_none_or(|name| name == program.name);
    let chosen = PROGRAMS.iter().filter(chosen).collect::<Vec<_>>();
    if chosen.is_empty() {
        let names = PROGRAMS.iter().map(|program| program.name);
        let names = names.collect::<Vec<_>>().join(", ");
        return Err(format!("there is no such program; there are {names}").into());
    }
    for Program { name, workers, run } in chosen {
        // Like the executor of a `with` statement: the program's own, and gone after it.
        let mut builder = Pool::builder();
        if let Some(workers) = workers {
            builder = builder.workers(*workers);
        }
        let pool = builder.build()?;
        // `tree` starts tasks. The others need no right.
        let module = pool.load(&path)?;
        let module = module.with_capabilities(Capabilities::new().tasks());
        let started = Instant::now();
        let result = run(&pool, &module)?;
        println!("{name}: {result}; {:.3} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// The numbers to factorize: odd ones, which take from microseconds to a millisecond.
fn numbers() -> Vec<u64> {
    (0..200).map(|index| 999_999_999_989 + 2 * index).collect()
}

fn summary(factors: &Factors) -> String {
    let n_primes = factors.values().filter(|of_n| of_n.len() == 1).count();
    let n_factors = factors.values().map(Vec::len).sum::<usize>();
    let n_numbers = factors.len();
    format!("{n_numbers} numbers, {n_primes} of them prime, have {n_factors} factors")
}

/// One chunk of the numbers for each worker.
fn chunks(pool: &Pool) -> Vec<Vec<u64>> {
    let numbers = numbers();
    let length = numbers.len().div_ceil(pool.workers());
    numbers.chunks(length).map(<[u64]>::to_vec).collect()
}

/// A chunk of numbers for each task.
///
/// ```python
/// with ProcessPoolExecutor(n) as executor:
///     futures = [executor.submit(factorize_chunk, chunk) for chunk in chunks]
///     factors = {}
///     for future in futures:
///         factors.update(future.result())
/// ```
fn factorize_in_chunks(pool: &Pool, module: &TaskModule) -> Outcome {
    let factorize_chunk = module.task::<(Vec<u64>,), Factors>("factorize_chunk")?;
    let chunks = chunks(pool).into_iter().map(|chunk| (chunk,));
    let mut factors = Factors::new();
    for future in pool.submit_all(&factorize_chunk, chunks) {
        factors.extend(future?.wait()?);
    }
    Ok(summary(&factors))
}

/// A number for each task, in order.
///
/// ```python
/// with ProcessPoolExecutor() as executor:
///     factors = dict(zip(numbers, executor.map(factorize, numbers)))
/// ```
fn factorize_mapped(pool: &Pool, module: &TaskModule) -> Outcome {
    let factorize = module.task::<(u64,), Vec<u64>>("factorize")?;
    let numbers = numbers();
    let mapped = pool.map(&factorize, numbers.iter().copied());
    let pairs = numbers.iter().zip(mapped);
    let pairs = pairs.map(|(&n, of_n)| Ok((n, of_n?)));
    Ok(summary(&pairs.collect::<Result<_, Box<dyn Error>>>()?))
}

/// Tasks that wait. Threads are for these in Python; here one worker is enough for all three, since
/// a task that waits holds no worker.
///
/// ```python
/// def download(page, seconds):
///     time.sleep(seconds)
///     return page
///
/// with ThreadPoolExecutor(max_workers=3) as executor:
///     futures = [executor.submit(download, page, 2) for page in pages]
///     for future in as_completed(futures):
///         print(future.result())
/// ```
fn download(pool: &Pool, module: &TaskModule) -> Outcome {
    let download = module.task::<(&str, u64), String>("download")?;
    let submit = |page| pool.submit(&download, (page, 2_000));
    let futures = ["index", "news", "weather"].map(submit);
    let mut pages = Vec::new();
    for future in wasmpool::as_completed(futures.into_iter().collect::<Result<Vec<_>, _>>()?) {
        pages.push(future.wait()?);
    }
    // They end at about the same time, in any order.
    pages.sort();
    Ok(pages.join(", "))
}

/// Tasks that compute: processes are for these in Python.
///
/// ```python
/// with Pool() as pool:
///     counts = pool.map(count_primes, [100_000, 200_000, 300_000])
/// ```
fn count_primes(pool: &Pool, module: &TaskModule) -> Outcome {
    let count_primes = module.task::<(u64,), usize>("count_primes")?;
    let counts = pool.map(&count_primes, [100_000, 200_000, 300_000]);
    let counts = counts.collect::<Result<Vec<_>, _>>()?;
    Ok(format!("{counts:?} primes"))
}

/// Workers that put their results into a queue instead of returning them.
///
/// ```python
/// def worker(results, numbers):
///     results.put({n: factorize(n) for n in numbers})
///
/// results = Queue()
/// workers = [Process(target=worker, args=(results, chunk)) for chunk in chunks]
/// for process in workers:
///     process.start()
/// factors = {}
/// for _ in workers:
///     factors.update(results.get())
/// for process in workers:
///     process.join()
/// ```
fn collect_from_queue(pool: &Pool, module: &TaskModule) -> Outcome {
    let worker = module.task::<(Queue<Factors>, Vec<u64>), ()>("factorize_into")?;
    let chunks = chunks(pool);
    let results = pool.queue(chunks.len());
    let submit = |chunk| pool.submit(&worker, (results.clone(), chunk));
    let workers = chunks.into_iter().map(submit);
    let workers = workers.collect::<Result<Vec<_>, _>>()?;
    // The queue has room for all results, so they can be joined first: a worker that fails ends the
    // program, which would otherwise wait for its result. Python's workers must not be joined before
    // their results are taken.
    for worker in &workers {
        worker.wait()?;
    }
    let mut factors = Factors::new();
    for _ in &workers {
        factors.extend(results.get()?);
    }
    Ok(summary(&factors))
}

/// Processes that start processes, five levels deep.
///
/// ```python
/// def tree(depth, total):
///     with total.get_lock():
///         total.value += 1
///     if depth > 0:
///         children = [Process(target=tree, args=(depth - 1, total)) for _ in range(2)]
///         for child in children:
///             child.start()
///         for child in children:
///             child.join()
///
/// total = Value("i", 0)
/// tree(5, total)
/// ```
fn grow_tree(pool: &Pool, module: &TaskModule) -> Outcome {
    // A task returns how many there are below it, so nothing need be shared.
    let tree = module.task::<(u32,), u32>("tree")?;
    let n_tasks = pool.submit(&tree, (5,))?.wait()?;
    Ok(format!("{n_tasks} tasks"))
}

/// Tasks that change one value in two steps, under a lock.
///
/// ```python
/// def count_up(lock, counter, times):
///     for _ in range(times):
///         with lock:
///             counter.value += 1
///
/// lock, counter = Lock(), Value("q", 0, lock=False)
/// workers = [Process(target=count_up, args=(lock, counter, 10_000)) for _ in range(8)]
/// for process in workers:
///     process.start()
/// for process in workers:
///     process.join()
/// print(counter.value)
/// ```
fn count_under_lock(pool: &Pool, module: &TaskModule) -> Outcome {
    let count_up = module.task::<(Lock, Value<i64>, u32), ()>("count_up")?;
    let (lock, counter) = (pool.lock(), pool.value(0));
    let arguments = std::iter::repeat_with(|| (lock.clone(), counter.clone(), 10_000)).take(8);
    for worker in pool.submit_all(&count_up, arguments) {
        worker?.wait()?;
    }
    Ok(format!("counted to {}", counter.load()))
}
