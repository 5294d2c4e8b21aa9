//! Objects that several tasks share: queues, locks, values and so on.
//!
//! They lie in the host. A task creates them and hands them to the [children](crate::children) that
//! it starts, as arguments; a child can return one as its result. Who was not handed an object
//! cannot reach it.
//!
//! ```
//! #[wasmpool_guest::tasks(children)]
//! mod tasks {
//!     use wasmpool_guest::Failure;
//!     use wasmpool_guest::children::wait_all;
//!     use wasmpool_guest::shared::{Lock, Queue, Value};
//!
//!     /// Takes numbers until the queue is closed. Raises `largest` to the largest of them.
//!     pub fn search(numbers: Queue<u64>, lock: Lock, largest: Value<u64>) -> Result<(), Failure> {
//!         for number in &numbers {
//!             let number = number?;
//!             let _guard = lock.acquire()?;
//!             if number > largest.load() {
//!                 largest.store(number);
//!             }
//!         }
//!         Ok(())
//!     }
//!
//!     /// The largest of the remainders of squares up to `n`, divided by `divisor`.
//!     pub fn largest_remainder(n: u64, divisor: u64) -> Result<u64, Failure> {
//!         let (numbers, lock, largest) = (Queue::new(16)?, Lock::new()?, Value::new(0)?);
//!         let searches = (0..4)
//!             .map(|_| search::submit(numbers.clone(), lock.clone(), largest.clone()))
//!             .collect::<Result<Vec<_>, _>>()?;
//!         for number in 1..=n {
//!             numbers.put(&(number * number % divisor))?;
//!         }
//!         numbers.close();
//!         for outcome in wait_all(searches) {
//!             outcome?;
//!         }
//!         Ok(largest.load())
//!     }
//! }
//!
//! assert_eq!(tasks::largest_remainder(100, 11).unwrap(), 9);
//! ```
//!
//! A handle is good for the call that created or got it. At its end the host takes the handles of a
//! task back, except those of a session; a copy in a static is of no use in the next call. An object
//! is freed when nothing can reach it any more. Copies made by `clone` are handles of the same
//! object.
//!
//! Objects travel only with arguments and results. Items of queues and pipes, and keys and values of
//! maps, cannot carry them.
//!
//! A task that waits holds no worker. Calls that wait for the same thing are served in the order in
//! which they came. The host must grant the right to start tasks (`Capabilities::tasks`, or
//! `wasmpool run --allow-tasks`) to create objects; who was handed one needs no right.
//!
//! Compiled for other targets than WebAssembly, objects lie in the memory of the process, so
//! `cargo test` tests tasks that share them. There is no limit on them there, and those who wait are
//! served in no particular order.

mod array;
mod barrier;
mod condition;
mod error;
mod event;
mod item;
mod lock;
mod map;
mod number;
mod object;
mod pipe;
mod queue;
mod semaphore;
#[cfg(test)]
mod tests;
pub(crate) mod travel;
mod value;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native;
#[cfg(not(target_arch = "wasm32"))]
use native as host;
#[cfg(target_arch = "wasm32")]
pub(crate) mod wasm;
#[cfg(target_arch = "wasm32")]
use wasm as host;

pub use array::Array;
pub use barrier::Barrier;
pub use condition::Condition;
pub use error::{BarrierError, CreateError, GetError, InsertError, PutError, WaitError};
pub use event::Event;
pub use lock::{Lock, LockGuard};
pub use map::Map;
pub use number::Number;
pub(crate) use object::Object;
pub use pipe::{Pipe, pipe};
pub use queue::{Iter, Queue};
pub use semaphore::{Permit, Semaphore};
pub use value::Value;
