//! Shared objects without a host, among threads and children.

mod items;
mod numbers;
mod travel;
mod waits;

/// What the tests start.
#[wasmpool_guest::tasks(children)]
mod tasks {
    use wasmpool_guest::Failure;
    use wasmpool_guest::shared::{Array, Condition, Lock, Map, Pipe, Queue, Value};

    /// Puts the numbers into the queue, and closes it.
    pub fn produce(queue: Queue<u64>, n: u64) -> Result<(), Failure> {
        for number in 0..n {
            queue.put(&number)?;
        }
        queue.close();
        Ok(())
    }

    /// Answers until the other end is closed: how many times.
    pub fn answer(end: Pipe<String, u64>) -> Result<u64, Failure> {
        let mut n_answers = 0;
        while let Ok(number) = end.receive() {
            end.send(&number.to_string())?;
            n_answers += 1;
        }
        Ok(n_answers)
    }

    pub fn count_with_lock(lock: Lock, value: Value<i64>, times: u32) -> Result<(), Failure> {
        for _ in 0..times {
            let _guard = lock.acquire()?;
            value.store(value.load() + 1);
        }
        Ok(())
    }

    pub fn count(value: Value<i64>, times: u32) {
        for _ in 0..times {
            value.fetch_add(1);
        }
    }

    pub fn panic_with(lock: Lock) -> Result<(), Failure> {
        let _guard = lock.acquire()?;
        panic!("as it was told");
    }

    pub fn await_turn(
        lock: Lock,
        condition: Condition,
        turn: Value<u8>,
        mine: u8,
    ) -> Result<(), Failure> {
        let guard = lock.acquire()?;
        let _guard = condition.wait_while(guard, || turn.load() != mine)?;
        turn.store(mine + 1);
        condition.notify_all();
        Ok(())
    }

    pub fn tally(map: Map<String, u64>, words: Vec<String>) -> Result<(), Failure> {
        for word in &words {
            map.update(word, |count| Some(count.unwrap_or(0) + 1))?;
        }
        Ok(())
    }

    /// A queue with the items, and an array of them.
    pub fn make(items: Vec<u64>) -> Result<(Queue<u64>, Option<Array<u64>>), Failure> {
        let len = u32::try_from(items.len())?;
        let (queue, array) = (Queue::new(len)?, Array::new(len)?);
        for item in &items {
            queue.put(item)?;
        }
        array.write(0, &items);
        Ok((queue, Some(array)))
    }

    /// Says that its result is a queue, and returns a lock.
    pub fn promise_queue() -> Result<Lock, Failure> {
        Ok(Lock::new()?)
    }
}
