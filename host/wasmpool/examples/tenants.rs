//! Modules of tenants that come and go while the program runs. Each has rights, limits and a budget
//! of its own, and when it goes, its code goes with it.
//!
//! ```sh
//! cargo run --release -p wasmpool --example tenants [FIRST_MODULE SECOND_MODULE]
//! ```

use std::error::Error;
use std::time::Duration;

use serde::de::DeserializeOwned;
use wasmpool::{Arguments, Capabilities, Pool, TaskModule, TaskOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut module = |default: &str| arguments.next().unwrap_or_else(|| default.to_owned());
    let first = std::fs::read(module("target/guests/factorizer.wasm"))?;
    let second = std::fs::read(module("target/guests/misbehaving.wasm"))?;

    let pool = Pool::builder()
        // Has fuel counted, about one unit for each instruction. It costs some speed; unlike time
        // it does not depend on what the neighbours do.
        .fuel_limit(100_000_000)
        // Waiting takes no fuel, but time.
        .task_timeout(Duration::from_secs(10))
        .payload_limit(1 << 20)
        // Compiling is work for strangers, too.
        .load_timeout(Duration::from_secs(60))
        .build()?;

    let small = TaskOptions::new().memory_limit(16 << 20);
    let mut ada = Tenant::load(&pool, "ada", &first, TaskOptions::new(), 1_000_000_000)?;
    let mut bob = Tenant::load(&pool, "bob", &second, small, 150_000_000)?;

    ada.call::<_, Vec<u64>>(&pool, "factorize", (360,));
    // Rights: a tenant sees its own variable, and no file.
    bob.call::<_, String>(&pool, "escape", ("environment",));
    bob.call::<_, String>(&pool, "escape", ("file",));
    // Limits: 64 MiB are more than bob may have.
    bob.call::<_, u64>(&pool, "allocate", (64,));
    // The budget: an endless loop costs what one task may have, then the rest, then nothing.
    for _ in 0..3 {
        bob.call::<_, u64>(&pool, "spin", (1,));
    }
    // What bob has done is nothing to ada.
    ada.call::<_, Vec<u64>>(&pool, "factorize", (999_999_999_989_u64,));

    // A module is loaded once for as long as somebody holds it: this takes bob's.
    let loads = pool.stats().loads;
    let same = pool.load_bytes(&second)?;
    println!("loads while bob is there: {}", pool.stats().loads - loads);
    drop(same);

    // With the last `TaskModule`, `Task` and queued task its code is unmapped. Only the cache on
    // disk still has it, so coming back is quick.
    drop(bob);
    let bob = pool.load_bytes(&second)?;
    println!("loads after bob has gone: {}", pool.stats().loads - loads);
    drop(bob);
    Ok(())
}

/// Somebody whose code we run.
struct Tenant {
    name: String,
    module: TaskModule,
    options: TaskOptions,
    /// How much fuel its tasks may still use, all together.
    fuel_left: u64,
}

impl Tenant {
    fn load(
        pool: &Pool,
        name: &str,
        wasm: &[u8],
        options: TaskOptions,
        fuel_left: u64,
    ) -> Result<Self, Box<dyn Error>> {
        // No file and no network, since none is granted.
        let rights = Capabilities::new().env("TENANT", name);
        Ok(Self {
            name: name.to_owned(),
            module: pool.load_bytes(wasm)?,
            options: options.capabilities(rights).tag(name),
            fuel_left,
        })
    }

    /// Runs a task on the tenant's account, and prints what came of it.
    fn call<Args: Arguments, Out: DeserializeOwned + std::fmt::Debug>(
        &mut self,
        pool: &Pool,
        task: &str,
        arguments: Args,
    ) {
        let outcome = self.run::<Args, Out>(pool, task, arguments);
        let Self {
            name, fuel_left, ..
        } = self;
        match outcome {
            // Debug escapes control characters, which may be a guest's.
            Ok(result) => println!("{name}: {task}: {result:?}; {fuel_left} fuel left"),
            Err(error) => println!(
                "{name}: {task}: {:?}; {fuel_left} fuel left",
                error.to_string()
            ),
        }
    }

    fn run<Args: Arguments, Out: DeserializeOwned>(
        &mut self,
        pool: &Pool,
        task: &str,
        arguments: Args,
    ) -> Result<Out, Box<dyn Error>> {
        if self.fuel_left == 0 {
            return Err("the budget is used up".into());
        }
        // No more than one task may have, nor than what is left. A tenant whose tasks run at the
        // same time would set aside the fuel of each before it is submitted.
        let fuel = self.fuel_left.min(100_000_000);
        let options = self.options.clone().fuel_limit(fuel);
        let task = self.module.task::<Args, Out>(task)?.with(options);
        let future = pool
            .submit(&task, arguments)
            .map_err(|error| error.kind().clone())?;
        let outcome = future.wait();
        // Failures are paid for as well.
        let used = future.report().and_then(|report| report.fuel);
        self.fuel_left -= used.unwrap_or(0).min(fuel);
        Ok(outcome?)
    }
}
