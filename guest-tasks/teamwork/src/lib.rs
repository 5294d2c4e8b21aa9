//! Tasks that start other tasks, wait for them and share objects with them.

#[cfg(test)]
mod tests;

#[wasmpool_guest::tasks(children)]
mod tasks {
    use std::cell::RefCell;
    use std::time::Duration;

    use serde_bytes::ByteBuf;
    use wasmpool_guest::Failure;
    use wasmpool_guest::children::{self, ChildError, Options, as_completed, wait_all};
    use wasmpool_guest::shared::{
        Array, Barrier, BarrierError, Condition, Event, GetError, Lock, Map, Pipe, PutError, Queue,
        Semaphore, Value, pipe,
    };

    thread_local! {
        /// See [`keep`].
        static KEPT: RefCell<Option<Queue<u64>>> = const { RefCell::new(None) };
    }

    /// How many tasks a tree of tasks has, each of which starts `width` more, `depth` levels deep.
    pub fn tree(depth: u32, width: u32) -> Result<u64, Failure> {
        if depth == 0 {
            return Ok(1);
        }
        let children = (0..width).map(|_| tree::submit(depth - 1, width));
        let mut n_tasks = 1;
        for child in children.collect::<Result<Vec<_>, _>>()? {
            n_tasks += child.wait()?;
        }
        Ok(n_tasks)
    }

    /// `n` times itself.
    pub fn square(n: u64) -> Result<u64, Failure> {
        n.checked_mul(n)
            .ok_or_else(|| Failure::new("too-large", format!("{n} squared")))
    }

    /// The squares of the numbers, in order; the code of the error where there is none.
    pub fn squares(numbers: Vec<u64>, window: usize) -> Vec<Result<u64, String>> {
        let squares = square::map(numbers).window(window);
        squares.map(|square| square.map_err(code)).collect()
    }

    /// The sum of the squares up to `n`, added up as they come.
    pub fn sum_of_squares(n: u64) -> Result<u64, Failure> {
        let mut sum = 0;
        for square in square::map(1..=n).unordered() {
            sum += square?;
        }
        Ok(sum)
    }

    /// Adds the square of `number` so many times, each time computed by another task.
    pub fn add_squares(number: u64, times: u64) -> Result<u64, Failure> {
        let mut sum = 0;
        for _ in 0..times {
            sum += square::submit(number)?.wait()?;
        }
        Ok(sum)
    }

    /// The same, with `width` tasks at once.
    pub fn add_squares_at_once(number: u64, width: u64, times: u64) -> Result<u64, Failure> {
        let mut sum = 0;
        for _ in 0..times {
            let children = (0..width).map(|_| square::submit(number));
            for square in wait_all(children.collect::<Result<Vec<_>, _>>()?) {
                sum += square?;
            }
        }
        Ok(sum)
    }

    /// Sleeps, and returns how long.
    pub fn sleep(millis: u64) -> u64 {
        std::thread::sleep(Duration::from_millis(millis));
        millis
    }

    /// Computes without an end.
    pub fn spin() {
        loop {
            std::hint::black_box(());
        }
    }

    /// Panics.
    pub fn panic() {
        panic!("as it was told");
    }

    /// Takes this many megabytes of memory.
    pub fn allocate(megabytes: usize) -> usize {
        let bytes = vec![1_u8; megabytes << 20];
        std::hint::black_box(&bytes).len()
    }

    /// A variable of the environment.
    pub fn variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// The same, in a child.
    pub fn variable_of_child(name: &str) -> Result<Option<String>, Failure> {
        Ok(variable::submit(name)?.wait()?)
    }

    /// How a child ends that does this: the kind and the code of its error.
    pub fn end_of(what: &str) -> Result<[String; 2], Failure> {
        let short = Options::new().timeout(Duration::from_millis(20));
        let error = match what {
            "fail" => square::submit(u64::MAX)?.wait().err(),
            "panic" => panic::submit()?.wait().err(),
            "spin" => spin::submit_with(&short)?.wait().err(),
            "sleep" => sleep::submit_with(&short, 60_000)?.wait().err(),
            "allocate" => {
                let small = Options::new().memory(16 << 20);
                allocate::submit_with(&small, 64)?.wait().err()
            }
            "cancel" => {
                let child = spin::submit()?;
                assert!(child.cancel());
                child.wait().err()
            }
            _ => None,
        };
        let error = error.ok_or("it has succeeded")?;
        Ok([error.kind().to_owned(), error.code().to_owned()])
    }

    /// The places of children that sleep for so long, in the order of their ends.
    pub fn order_of_ends(millis: Vec<u64>) -> Result<Vec<usize>, Failure> {
        let children = millis.into_iter().map(sleep::submit);
        let children = children.collect::<Result<Vec<_>, _>>()?;
        let mut order = Vec::new();
        for (place, outcome) in as_completed(children) {
            outcome?;
            order.push(place);
        }
        Ok(order)
    }

    /// Whether a child that sleeps for long has ended after a short time.
    pub fn is_impatient() -> Result<bool, Failure> {
        let child = sleep::submit(60_000)?;
        Ok(child.wait_timeout(Duration::from_millis(5)).is_none())
    }

    /// Starts children that compute without an end, and returns at once.
    pub fn leave_behind(n: u32, as_independent_ones: bool) -> Result<u32, Failure> {
        for _ in 0..n {
            let options = Options::new();
            let options = match as_independent_ones {
                true => options.outlives_parent(),
                false => options,
            };
            let _ = spin::submit_with(&options)?;
        }
        Ok(n)
    }

    /// Starts children that compute without an end, and waits for them.
    pub fn wait_for_ever(n: u32) -> Result<(), Failure> {
        let children = (0..n).map(|_| spin::submit());
        wait_all(children.collect::<Result<Vec<_>, _>>()?);
        Ok(())
    }

    /// Starts children until it may not: says how many there were, and the error.
    pub fn start_many(millis: u64) -> (u64, String) {
        let mut children = Vec::new();
        loop {
            match sleep::submit(millis) {
                Ok(child) => children.push(child),
                Err(error) => return (children.len() as u64, error.to_string()),
            }
        }
    }

    /// A chain of tasks, each of which waits for the next: the error of the one that could not start
    /// another.
    pub fn dig(depth: u64) -> Result<String, Failure> {
        match dig::submit(depth + 1) {
            Ok(child) => Ok(child.wait()?),
            Err(error) => Ok(format!("{depth}: {error}")),
        }
    }

    /// The result of a task of another module, which takes a number and returns a list of them.
    pub fn of_module(module: &str, task: &str, n: u64) -> Result<Vec<u64>, Failure> {
        let options = Options::new().module(module);
        Ok(children::submit::<Vec<u64>>(task, &(n,), &options)?.wait()?)
    }

    /// The message of the error with which the task of that name, in this module, does not start.
    pub fn refusal_of(task: &str) -> String {
        let started = children::submit::<()>(task, &(), &Options::new());
        started
            .err()
            .map_or_else(String::new, |error| error.to_string())
    }

    /// A tree of tasks that depends on the seed: some of them fail, panic, sleep, compute without an
    /// end, cancel children or leave them behind. Returns how many have succeeded.
    pub fn grow(seed: u64, depth: u32) -> Result<u64, Failure> {
        let mut dice = Dice(seed);
        match dice.roll(24) {
            0 => panic!("by chance"),
            1 => return Err(Failure::new("chance", "by chance")),
            2 => spin(),
            3 => drop(sleep(1)),
            _ => {}
        }
        let width = if depth == 0 { 0 } else { dice.roll(4) };
        let mut children = Vec::new();
        for _ in 0..width {
            let options = Options::new().timeout(Duration::from_millis(1 + dice.roll(20)));
            let options = match dice.roll(8) {
                0 => options.outlives_parent(),
                _ => options,
            };
            children.extend(grow::submit_with(&options, dice.next(), depth - 1));
        }
        if !children.is_empty() && dice.roll(4) == 0 {
            children[0].cancel();
        }
        let outcomes = match dice.roll(4) {
            0 => return Ok(1),
            1 => wait_all(children),
            2 => as_completed(children).map(|(_, outcome)| outcome).collect(),
            _ => children.iter().rev().map(|child| child.wait()).collect(),
        };
        Ok(1 + outcomes.into_iter().flatten().sum::<u64>())
    }

    /// Puts the numbers into a queue, and returns how many there were.
    pub fn produce(queue: Queue<u64>, from: u64, to: u64) -> Result<u64, Failure> {
        for number in from..to {
            queue.put(&number)?;
        }
        Ok(to.saturating_sub(from))
    }

    /// Takes what is in a queue until it is closed.
    pub fn consume(queue: Queue<u64>) -> Result<Vec<u64>, Failure> {
        Ok(queue.iter().collect::<Result<Vec<_>, _>>()?)
    }

    /// Takes one item; waits for it.
    pub fn take_one(queue: Queue<u64>) -> Result<u64, Failure> {
        Ok(queue.get()?)
    }

    /// Takes one item; waits for so long. None if there was none.
    pub fn take_or_give_up(queue: Queue<u64>, millis: u64) -> Result<Option<u64>, Failure> {
        match queue.get_timeout(Duration::from_millis(millis)) {
            Ok(item) => Ok(Some(item)),
            Err(GetError::Empty) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The sum of the numbers below `n`, which a child puts into a queue.
    pub fn through_queue(n: u64, capacity: u32) -> Result<u64, Failure> {
        let queue = Queue::new(capacity)?;
        let producer = produce::submit(queue.clone(), 0, n)?;
        let mut sum = 0;
        for _ in 0..n {
            sum += queue.get()?;
        }
        producer.wait()?;
        Ok(sum)
    }

    /// Sends `n` numbers to a child, each after the answer to the one before. The last answer.
    pub fn ping_pong(n: u64) -> Result<u64, Failure> {
        let (here, there) = pipe(1)?;
        let child = pong::submit(there)?;
        let mut last = 0;
        for number in 0..n {
            here.send(&number)?;
            last = here.receive()?;
        }
        here.close();
        let n_answers = child.wait()?;
        match n_answers == n {
            true => Ok(last),
            false => Err(Failure::new("", format!("{n_answers} answers"))),
        }
    }

    /// Answers each number with the next one, until the other end is closed. How many there were.
    pub fn pong(end: Pipe<u64, u64>) -> Result<u64, Failure> {
        let mut n_answers = 0;
        loop {
            match end.receive() {
                Ok(number) => end.send(&(number + 1))?,
                Err(GetError::Closed) => return Ok(n_answers),
                Err(error) => return Err(error.into()),
            }
            n_answers += 1;
        }
    }

    /// Adds 1 so many times, in two steps under the lock.
    pub fn count_with_lock(lock: Lock, value: Value<i64>, times: u32) -> Result<(), Failure> {
        for _ in 0..times {
            let _guard = lock.acquire()?;
            value.store(value.load() + 1);
        }
        Ok(())
    }

    /// Adds 1 so many times, each in one step.
    pub fn count_without(value: Value<i64>, times: u32) {
        for _ in 0..times {
            value.fetch_add(1);
        }
    }

    /// What so many children count to together.
    pub fn count_up(tasks: u32, times: u32) -> Result<i64, Failure> {
        let (lock, value) = (Lock::new()?, Value::new(0)?);
        let children =
            (0..tasks).map(|_| count_with_lock::submit(lock.clone(), value.clone(), times));
        for outcome in wait_all(children.collect::<Result<Vec<_>, _>>()?) {
            outcome?;
        }
        Ok(value.load())
    }

    /// Panics while it holds the lock.
    pub fn hold_and_trap(lock: Lock) -> Result<(), Failure> {
        let _guard = lock.acquire()?;
        panic!("with the lock");
    }

    /// Sets the event when it has the lock, and then computes without an end.
    pub fn hold_and_spin(lock: Lock, taken: Event) -> Result<(), Failure> {
        let _guard = lock.acquire()?;
        taken.set();
        spin();
        Ok(())
    }

    /// Takes the lock, and gives it back: whether the holder before has left it behind.
    pub fn acquire_once(lock: Lock) -> Result<bool, Failure> {
        Ok(lock.acquire()?.was_left_behind())
    }

    /// Whether the lock was free.
    pub fn try_once(lock: Lock) -> Result<bool, Failure> {
        Ok(lock.try_acquire().is_some())
    }

    /// Holds a permit for a short time. `most` becomes the largest number of tasks that did so at
    /// once.
    pub fn with_permit(
        semaphore: Semaphore,
        running: Value<i64>,
        most: Value<i64>,
    ) -> Result<(), Failure> {
        let _permit = semaphore.acquire()?;
        let now = running.fetch_add(1) + 1;
        let mut before = most.load();
        while before < now {
            match most.compare_exchange(before, now) {
                Ok(_) => break,
                Err(other) => before = other,
            }
        }
        std::thread::sleep(Duration::from_millis(1));
        running.fetch_add(-1);
        Ok(())
    }

    /// Waits for the event.
    pub fn await_event(event: Event) -> Result<(), Failure> {
        Ok(event.wait()?)
    }

    /// Waits for the event for so long: whether it was set.
    pub fn await_event_for(event: Event, millis: u64) -> Result<bool, Failure> {
        Ok(event.wait_timeout(Duration::from_millis(millis))?)
    }

    /// Sets the event.
    pub fn set_event(event: Event) {
        event.set();
    }

    /// Waits at the barrier so many times. Its place in each round: 0 came last.
    pub fn meet(barrier: Barrier, rounds: u32) -> Result<Vec<u32>, Failure> {
        let places = (0..rounds).map(|_| barrier.wait());
        Ok(places.collect::<Result<Vec<_>, _>>()?)
    }

    /// Waits at the barrier for so long: whether all came, and it did not break.
    pub fn meet_for(barrier: Barrier, millis: u64) -> Result<bool, Failure> {
        match barrier.wait_timeout(Duration::from_millis(millis)) {
            Ok(_) => Ok(true),
            Err(BarrierError::Broken) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until `turn` is `mine`, and makes it the next one's.
    pub fn await_turn(
        lock: Lock,
        condition: Condition,
        turn: Value<i64>,
        mine: i64,
    ) -> Result<i64, Failure> {
        let guard = lock.acquire()?;
        let _guard = condition.wait_while(guard, || turn.load() != mine)?;
        turn.store(mine + 1);
        condition.notify_all();
        Ok(mine)
    }

    /// Writes the squares of these places into the array, all at once.
    pub fn fill_array(array: Array<f64>, from: u32, to: u32) {
        let squares = (from..to).map(|place| f64::from(place) * f64::from(place));
        array.write(from, &squares.collect::<Vec<_>>());
    }

    /// The sum of the array.
    pub fn sum_array(array: Array<f64>) -> f64 {
        array.read(..).iter().sum()
    }

    /// Counts the words into the map.
    pub fn tally(map: Map<String, u64>, words: Vec<String>) -> Result<(), Failure> {
        for word in &words {
            map.update(word, |count| Some(count.unwrap_or(0) + 1))?;
        }
        Ok(())
    }

    /// Makes a closed queue with these items.
    pub fn make_queue(items: Vec<u64>) -> Result<Queue<u64>, Failure> {
        let queue = Queue::new(u32::try_from(items.len())?)?;
        for item in &items {
            queue.put(item)?;
        }
        queue.close();
        Ok(queue)
    }

    /// The items in a queue that a child makes.
    pub fn queue_of_child(items: Vec<u64>) -> Result<Vec<u64>, Failure> {
        consume(make_queue::submit(items)?.wait()?)
    }

    /// Keeps the handle beyond the end of the call.
    pub fn keep(queue: Queue<u64>) {
        KEPT.set(Some(queue));
    }

    /// How many items the queue has that was kept; 0 if there is none.
    pub fn use_kept() -> Result<u64, Failure> {
        KEPT.with_borrow(|kept| Ok(kept.as_ref().map_or(0, |queue| u64::from(queue.len()))))
    }

    /// Makes so many queues, and puts an item of so many bytes into each. The first error, or `none`.
    pub fn hoard(n: u32, bytes: u32) -> Result<String, Failure> {
        let item = vec![0_u8; usize::try_from(bytes)?];
        let mut queues = Vec::new();
        for _ in 0..n {
            let queue = match Queue::new(1) {
                Ok(queue) => queue,
                Err(error) => return Ok(error.to_string()),
            };
            if let Err(error) = queue.try_put(&item) {
                return Ok(error.to_string());
            }
            queues.push(queue);
        }
        Ok("none".to_owned())
    }

    /// Puts items of so many bytes into the queue until one is refused: why.
    pub fn stuff(queue: Queue<Vec<u8>>, bytes: usize) -> Result<String, Failure> {
        let item = vec![0_u8; bytes];
        loop {
            if let Err(error) = queue.try_put(&item) {
                return Ok(error.to_string());
            }
        }
    }

    /// At how many of the places there is an object that this task can reach.
    pub fn guess(places: u32) -> u32 {
        #[cfg(target_arch = "wasm32")]
        {
            use wasmpool_guest::__private::bindings::wasmpool::task0_2_0::objects::received;
            let found = (0..places).filter(|&place| received(place).is_some());
            u32::try_from(found.count()).unwrap_or(u32::MAX)
        }
        #[cfg(not(target_arch = "wasm32"))]
        {
            let _ = places;
            0
        }
    }

    /// Takes the lock and gives it back, so many times.
    pub fn lock_often(lock: Lock, times: u64) -> Result<(), Failure> {
        for _ in 0..times {
            drop(lock.acquire()?);
        }
        Ok(())
    }

    /// Takes a permit of one semaphore and adds one to the other, so many times.
    pub fn hand_over(from: Semaphore, to: Semaphore, times: u64) -> Result<(), Failure> {
        for _ in 0..times {
            from.acquire()?.forget();
            to.release(1);
        }
        Ok(())
    }

    /// Adds so many times to a value, each time in one step.
    pub fn add_often(value: Value<i64>, times: u64) {
        for _ in 0..times {
            value.fetch_add(1);
        }
    }

    /// Puts items of so many bytes into the queue.
    pub fn produce_bytes(queue: Queue<ByteBuf>, n: u64, size: u64) -> Result<(), Failure> {
        let item = ByteBuf::from(vec![7; usize::try_from(size)?]);
        for _ in 0..n {
            queue.put(&item)?;
        }
        Ok(())
    }

    /// Takes items of bytes from the queue: how many bytes they have.
    pub fn consume_bytes(queue: Queue<ByteBuf>, n: u64) -> Result<u64, Failure> {
        let mut n_bytes = 0;
        for _ in 0..n {
            n_bytes += queue.get()?.len() as u64;
        }
        Ok(n_bytes)
    }

    /// The error of putting a queue into a queue.
    pub fn items_cannot_carry(queue: Queue<u64>) -> Result<String, Failure> {
        let queues = Queue::new(1)?;
        match queues.put(&queue) {
            Err(error @ PutError::BadItem(_)) => Ok(error.to_string()),
            Err(error) => Err(error.into()),
            Ok(()) => Err("it was taken".into()),
        }
    }

    /// Random numbers: SplitMix64.
    struct Dice(u64);

    impl Dice {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        }

        fn roll(&mut self, sides: u64) -> u64 {
            self.next() % sides
        }
    }

    fn code(error: ChildError) -> String {
        error.code().to_owned()
    }
}
