//! Tasks that start tasks and share objects with them: a component without the SDK.

use std::fmt::Debug;

use wasmpool::task0_2_0::children::{self, Child, Options};
use wasmpool::task0_2_0::objects::{self, GetError, Object, ObjectRef, Queue};

wit_bindgen::generate!({ path: "../wit", generate_all });

struct Component;

export!(Component);

impl Guest for Component {
    fn square(n: u64) -> Result<u64, String> {
        n.checked_mul(n)
            .ok_or_else(|| format!("the square of {n} is too large"))
    }

    fn sum_of_squares(n: u64) -> Result<u64, String> {
        // All at once: the host allows 1,000 children at a time by default.
        let children = (1..=n).map(|number| start("square", &encode(&(number,)), &[]));
        let mut children = children.collect::<Result<Vec<_>, _>>()?;
        let mut sum = 0;
        while !children.is_empty() {
            // Blocks until one has ended, and returns the places of all that have, in order. The
            // last is taken first: it leaves the places before it as they are.
            let ended = children::wait(&children.iter().collect::<Vec<_>>(), None);
            for place in ended.map_err(text)?.into_iter().rev() {
                let child = children.swap_remove(place as usize);
                sum += decode(&result(&child)?)?;
            }
        }
        Ok(sum)
    }

    fn produce(queue: u32, n: u64) -> Result<(), String> {
        let Some(Object::Queue(queue)) = objects::received(queue) else {
            return Err(format!("there is no queue at the place {queue}"));
        };
        // Items are any bytes. The embedding program and the SDK use MessagePack.
        let produced = (0..n).try_for_each(|number| queue.put(&encode(&number), None));
        // Whether that failed or not: whoever takes the items would wait for ever.
        queue.close();
        produced.map_err(text)
    }

    fn through_queue(n: u64) -> Result<u64, String> {
        let queue = Queue::create(16).map_err(text)?;
        // The queue is the first of the objects that go along, so it is 0 in the arguments.
        let child = start("produce", &encode(&(0, n)), &[ObjectRef::Queue(&queue)])?;
        let mut sum = 0;
        loop {
            match queue.get(None) {
                Ok(item) => sum += decode(&item)?,
                Err(GetError::Closed) => break,
                Err(error) => return Err(text(error)),
            }
        }
        // The queue is closed, but the child may still be running.
        children::wait(&[&child], None).map_err(text)?;
        result(&child)?;
        Ok(sum)
    }
}

/// Starts a task of this component. `arguments` is a MessagePack array.
fn start(task: &str, arguments: &[u8], objects: &[ObjectRef<'_>]) -> Result<Child, String> {
    let options = Options {
        module: None, // this one
        timeout: None,
        memory: None,
        tag: None,
        outlives_parent: false,
    };
    children::start(task, arguments, objects, &options).map_err(text)
}

/// The result of a child that has ended, as MessagePack. An `Err` of its task is a failure.
fn result(child: &Child) -> Result<Vec<u8>, String> {
    let outcome = child.outcome().expect("it has ended");
    outcome.map_err(|failure| format!("a child failed ({}): {}", failure.kind, failure.message))
}

fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("numbers can be encoded")
}

fn decode(bytes: &[u8]) -> Result<u64, String> {
    rmp_serde::from_slice(bytes).map_err(text)
}

/// An error of the host, for people: its name, and its message if it has one.
fn text(error: impl Debug) -> String {
    format!("{error:?}")
}
