//! Tasks that start other tasks and wait for them.

#[wasmpool_guest::tasks(children)]
mod tasks {
    use std::time::Duration;

    use wasmpool_guest::Failure;
    use wasmpool_guest::children::{self, ChildError, Options, as_completed, wait_all};

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
