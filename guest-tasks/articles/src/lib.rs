//! The functions that articles on `concurrent.futures` and `multiprocessing` run in parallel, as
//! tasks. The programs around them are in `host/wasmpool/examples/articles.rs`.

#[cfg(test)]
mod tests;

#[wasmpool_guest::tasks(children)]
mod tasks {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use wasmpool_guest::Failure;
    use wasmpool_guest::children::wait_all;
    use wasmpool_guest::shared::{Lock, Queue, Value};

    /// Numbers, each with its prime factors.
    type Factors = BTreeMap<u64, Vec<u64>>;

    /// The prime factors of `n`, ascending; none for 0 and 1.
    pub fn factorize(n: u64) -> Vec<u64> {
        let mut factors = Vec::new();
        let (mut rest, mut divisor) = (n, 2);
        while rest / divisor >= divisor {
            if rest.is_multiple_of(divisor) {
                factors.push(divisor);
                rest /= divisor;
            } else {
                divisor += 1;
            }
        }
        if rest > 1 {
            factors.push(rest);
        }
        factors
    }

    /// The factors of a chunk of numbers.
    pub fn factorize_chunk(numbers: Vec<u64>) -> Factors {
        numbers.into_iter().map(|n| (n, factorize(n))).collect()
    }

    /// The same; the factors go into the queue instead of being the result.
    pub fn factorize_into(results: Queue<Factors>, numbers: Vec<u64>) -> Result<(), Failure> {
        Ok(results.put(&factorize_chunk(numbers))?)
    }

    /// Stands for a download: waits for so long, and returns the name.
    pub fn download(page: String, millis: u64) -> String {
        std::thread::sleep(Duration::from_millis(millis));
        page
    }

    /// How many primes there are below `limit`.
    pub fn count_primes(limit: u64) -> usize {
        (0..limit).filter(|&n| factorize(n) == [n]).count()
    }

    /// Starts two tasks that do the same one level less deep, and waits for them. How many tasks
    /// there were, with this one.
    pub fn tree(depth: u32) -> Result<u32, Failure> {
        if depth == 0 {
            return Ok(1);
        }
        let children = [tree::submit(depth - 1)?, tree::submit(depth - 1)?];
        let mut n_tasks = 1;
        for below in wait_all(children) {
            n_tasks += below?;
        }
        Ok(n_tasks)
    }

    /// Adds 1 to the counter so many times. Each time in two steps, which the lock keeps together.
    pub fn count_up(lock: Lock, counter: Value<i64>, times: u32) -> Result<(), Failure> {
        for _ in 0..times {
            let _guard = lock.acquire()?;
            counter.store(counter.load() + 1);
        }
        Ok(())
    }
}
