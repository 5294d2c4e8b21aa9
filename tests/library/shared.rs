//! Objects that tasks and the program share: queues, pipes, locks and so on.

use std::collections::BTreeMap;
use std::time::Duration;

use wasmpool::shared::{GetError, Lock, PutError, Queue, Value};
use wasmpool::{
    Capabilities, ChildLimits, Isolation, Pool, Task, TaskErrorKind as Kind, TaskFuture,
    TaskOptions, TrapCode,
};

use crate::children::Team;
use crate::futures::block_on;
use crate::support::{Random, Seed, wait_until_suspended, within_long};

const SOON: Duration = Duration::from_millis(20);

fn options() -> TaskOptions {
    TaskOptions::new()
}

/// Each future's result, all of which must succeed.
fn all<T: serde::de::DeserializeOwned + Send + 'static>(futures: Vec<TaskFuture<T>>) -> Vec<T> {
    within_long(move || {
        futures
            .iter()
            .map(|future| future.wait().unwrap())
            .collect()
    })
}

/// A reference to a task of a rights-less module: whoever was handed an object needs no right.
fn without_rights<Args: wasmpool::Arguments, Out>(team: &Team, name: &str) -> Task<Args, Out> {
    let task = team.task::<Args, Out>(name);
    task.with(options().capabilities(Capabilities::new()))
}

#[test]
fn a_queue_joins_the_program_and_its_tasks() {
    for workers in [1, 2] {
        let team = Team::of_workers(workers);
        let queue = team.pool.queue::<u64>(3);
        let produce = without_rights::<_, u64>(&team, "produce");
        let producers = [(0, 50), (50, 100)].map(|(from, to)| {
            let arguments = (queue.clone(), from, to);
            team.pool.submit(&produce, arguments).unwrap()
        });
        let mut items = (0..100).map(|_| queue.get().unwrap()).collect::<Vec<_>>();
        assert_eq!(all(producers.into()), [50, 50]);
        let of_first = items.iter().filter(|item| **item < 50);
        assert!(
            of_first.is_sorted(),
            "the items of one producer are in order"
        );
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));

        let consumers = [(); 2].map(|()| team.submit::<_, Vec<u64>>("consume", (queue.clone(),)));
        (0..100).for_each(|item| queue.put(&item).unwrap());
        queue.close();
        let mut items = all(consumers.into()).concat();
        items.sort_unstable();
        assert!(items.into_iter().eq(0..100));
        assert_eq!(queue.try_get(), Err(GetError::Closed));
        assert_eq!(queue.put(&1), Err(PutError::Closed));
    }
}

#[test]
fn a_queue_has_its_capacity_and_timeouts() {
    let team = Team::of_workers(1);
    let queue = team.pool.queue::<u64>(2);
    assert_eq!(
        (queue.len(), queue.capacity(), queue.is_empty()),
        (0, 2, true)
    );
    assert_eq!(queue.try_get(), Err(GetError::Empty));
    assert_eq!(queue.get_timeout(SOON), Err(GetError::Empty));
    queue.put(&1).unwrap();
    queue.put_timeout(&2, SOON).unwrap();
    assert_eq!(queue.try_put(&3), Err(PutError::Full));
    assert_eq!(queue.put_timeout(&3, SOON), Err(PutError::Full));
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(queue.iter().next(), Some(Ok(2)));
    let nothing: Option<u64> = team.call("take_or_give_up", (queue.clone(), 1_u64));
    assert_eq!(nothing, None);
    // Who waits alone is not served by a clone that closes only later.
    let waiting = team.submit::<_, u64>("take_one", (queue.clone(),));
    wait_until_suspended(&waiting);
    queue.close();
    let error = within_long(move || waiting.wait().unwrap_err());
    assert!(error.message().contains("closed"), "{error}");
}

#[test]
fn items_of_other_types_are_errors() {
    let team = Team::of_workers(1);
    let texts = team.pool.queue::<String>(2);
    texts.put(&"text".to_owned()).unwrap();
    let error = team
        .submit::<_, u64>("take_one", (texts.clone(),))
        .wait()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.message().contains("text"), "{error}");
    assert!(texts.is_empty());
}

#[test]
fn a_pipe_tells_when_the_other_end_is_gone() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let team = Team::new(Pool::builder().workers(1).isolation(isolation));
        let last: u64 = team.call("ping_pong", (100_u64,));
        assert_eq!(last, 100);

        let (here, there) = team.pool.pipe::<u64, u64>(4);
        let pong = without_rights::<_, u64>(&team, "pong");
        let answers = team.pool.submit(&pong, (there,)).unwrap();
        for number in 0..10 {
            here.send(&number).unwrap();
            assert_eq!(here.receive(), Ok(number + 1));
        }
        // The last handle of an end is gone when the task is.
        answers.cancel();
        let ended = within_long(move || here.receive());
        assert_eq!(ended, Err(GetError::Closed));

        let (here, there) = team.pool.pipe::<u64, u64>(4);
        let answers = team.pool.submit(&pong, (there,)).unwrap();
        here.send(&1).unwrap();
        assert_eq!(here.receive(), Ok(2));
        drop(here);
        assert_eq!(all(vec![answers]), [1]);
    }
}

#[test]
fn objects_are_freed_with_their_last_handle() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let team = Team::new(Pool::builder().workers(1).isolation(isolation));
        let is_freed = |here: wasmpool::shared::Pipe<u64, u64>| {
            let ended = within_long(move || here.receive());
            assert_eq!(ended, Err(GetError::Closed));
        };
        // With arguments that no task takes.
        let (here, there) = team.pool.pipe::<u64, u64>(1);
        let refused = team.submit::<_, u64>("produce", (there, 0_u64, 1_u64));
        assert_eq!(refused.wait().unwrap_err().kind(), Kind::BadArguments);
        is_freed(here);
        // With a task that was cancelled in the queue.
        let spinning = team.submit::<_, ()>("spin", ());
        let (here, there) = team.pool.pipe::<u64, u64>(1);
        let queued = team.submit::<_, u64>("pong", (there,));
        assert!(queued.cancel());
        is_freed(here);
        spinning.cancel();
        // A thousand objects one after the other are not over the limit of a thousand at once.
        let limits = ChildLimits::new().objects(2);
        let rights = Capabilities::new().tasks().child_limits(limits);
        let through = team.task::<_, u64>("through_queue");
        let through = through.with(options().capabilities(rights));
        for _ in 0..5 {
            let future = team.pool.submit(&through, (10_u64, 1_u32)).unwrap();
            assert_eq!(all(vec![future]), [45]);
        }
    }
}

#[test]
fn eight_tasks_count_to_eighty_thousand_under_a_lock() {
    for workers in [1, 2] {
        let team = Team::of_workers(workers);
        let count: i64 = team.call("count_up", (8_u32, 10_000_u32));
        assert_eq!(count, 80_000);
        let (lock, value) = (team.pool.lock(), team.pool.value(0_i64));
        let tasks = (0..4).map(|_| {
            let arguments = (lock.clone(), value.clone(), 500_u32);
            team.submit::<_, ()>("count_with_lock", arguments)
        });
        let tasks = tasks.collect::<Vec<_>>();
        for _ in 0..500 {
            let guard = lock.acquire();
            let count = value.load();
            value.store(count + 1);
            assert!(!guard.was_left_behind());
        }
        all(tasks);
        assert_eq!(value.load(), 2_500);
        let adding = [(); 2].map(|()| team.submit::<_, ()>("count_without", (value.clone(), 100)));
        all(adding.into());
        assert_eq!(value.fetch_add(-700), 2_700);
        assert_eq!(value.compare_exchange(2_000, 1), Ok(2_000));
        assert_eq!(value.compare_exchange(2_000, 2), Err(1));
    }
}

#[test]
fn a_lock_that_a_stopped_task_held_tells_the_next_holder() {
    let team = Team::of_workers(2);
    let lock = team.pool.lock();
    let told = |lock: &Lock| team.call::<_, bool>("acquire_once", (lock.clone(),));
    assert!(!told(&lock));
    let trapped = team.submit::<_, ()>("hold_and_trap", (lock.clone(),));
    assert!(matches!(trapped.wait().unwrap_err().kind(), Kind::Trap(_)));
    assert!(told(&lock), "the holder has trapped");
    assert!(!told(&lock), "one is told");

    let taken = team.pool.event();
    let spinning = team.submit::<_, ()>("hold_and_spin", (lock.clone(), taken.clone()));
    taken.wait();
    assert!(lock.try_acquire().is_none());
    assert!(lock.acquire_timeout(SOON).is_none());
    assert!(!team.call::<_, bool>("try_once", (lock.clone(),)));
    let waiting = team.submit::<_, bool>("acquire_once", (lock.clone(),));
    wait_until_suspended(&waiting);
    assert!(spinning.cancel());
    assert_eq!(all(vec![waiting]), [true], "the holder was cancelled");
    assert!(!lock.acquire().was_left_behind());

    // A panic of a thread of the program.
    let held = lock.clone();
    let panicked = std::thread::spawn(move || {
        let _guard = held.acquire();
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(panicked.join().is_err());
    assert!(lock.acquire().was_left_behind());
}

#[test]
fn who_is_stopped_in_the_line_leaves_it() {
    let team = Team::of_workers(2);
    let lock = team.pool.lock();
    let guard = lock.acquire();
    let wait = |lock: &Lock| {
        let waiting = team.submit::<_, bool>("acquire_once", (lock.clone(),));
        wait_until_suspended(&waiting);
        waiting
    };
    let (first, second) = (wait(&lock), wait(&lock));
    assert!(first.cancel());
    drop(guard);
    assert_eq!(all(vec![second]), [false]);
    let queue = team.pool.queue::<u64>(1);
    let take = team.task::<(Queue<u64>,), u64>("take_one");
    let short = take.with(options().task_timeout(SOON));
    let first = team.pool.submit(&short, (queue.clone(),)).unwrap();
    let second = team.pool.submit(&take, (queue.clone(),)).unwrap();
    let error = within_long(move || first.wait().unwrap_err());
    assert_eq!(error.kind(), Kind::TimedOut);
    queue.put(&7).unwrap();
    assert_eq!(all(vec![second]), [7]);
}

#[test]
fn a_semaphore_bounds_how_many_go_on() {
    let team = Team::of_workers(2);
    let semaphore = team.pool.semaphore(3);
    let (running, most) = (team.pool.value(0_i64), team.pool.value(0_i64));
    let tasks = (0..20).map(|_| {
        let arguments = (semaphore.clone(), running.clone(), most.clone());
        team.submit::<_, ()>("with_permit", arguments)
    });
    all(tasks.collect());
    assert!((1..=3).contains(&most.load()), "{most:?}");
    assert_eq!((running.load(), semaphore.available()), (0, 3));
    let permits = [(); 3].map(|()| semaphore.acquire());
    assert!(semaphore.try_acquire().is_none());
    semaphore.release(1);
    assert!(semaphore.acquire_timeout(SOON).is_some());
    drop(permits);
    assert_eq!(semaphore.available(), 4);
}

#[test]
fn permits_can_be_used_up() {
    let team = Team::of_workers(1);
    let (one, other) = (team.pool.semaphore(1), team.pool.semaphore(0));
    // More than a task may have handles of.
    let there = (one.clone(), other.clone(), 20_000_u64);
    let back = (other.clone(), one.clone(), 20_000_u64);
    let tasks = [there, back].map(|arguments| team.submit::<_, ()>("hand_over", arguments));
    all(tasks.into());
    assert_eq!((one.available(), other.available()), (1, 0));
    one.acquire().forget();
    assert_eq!(one.available(), 0);
}

#[test]
fn handles_are_given_back_as_a_task_runs() {
    let team = Team::of_workers(1);
    let (lock, value) = (team.pool.lock(), team.pool.value(0_i64));
    team.call::<_, ()>("lock_often", (lock, 20_000_u64));
    team.call::<_, ()>("add_often", (value.clone(), 20_000_u64));
    assert_eq!(value.load(), 20_000);
}

#[test]
fn large_items_pass_through_a_queue() {
    let team = Team::of_workers(2);
    let queue = team.pool.queue::<serde_bytes::ByteBuf>(2);
    let consumed = team.submit::<_, u64>("consume_bytes", (queue.clone(), 20_u64));
    let produced = team.submit::<_, ()>("produce_bytes", (queue, 20_u64, 1_u64 << 20));
    assert_eq!(all(vec![consumed]), [20 << 20]);
    all(vec![produced]);
}

#[test]
fn an_event_lets_all_go_on() {
    let team = Team::of_workers(1);
    let event = team.pool.event();
    assert!(!event.wait_timeout(SOON));
    assert!(!team.call::<_, bool>("await_event_for", (event.clone(), 1_u64)));
    let waiting = (0..5).map(|_| team.submit::<_, ()>("await_event", (event.clone(),)));
    let waiting = waiting.collect::<Vec<_>>();
    waiting.iter().for_each(wait_until_suspended);
    all(vec![team.submit::<_, ()>("set_event", (event.clone(),))]);
    all(waiting);
    event.wait();
    event.clear();
    assert!(!event.is_set());
}

#[test]
fn tasks_take_turns_with_a_condition() {
    let team = Team::of_workers(2);
    let (lock, condition) = (team.pool.lock(), team.pool.condition());
    let turn = team.pool.value(0_i64);
    let tasks = (0..8_i64).rev().map(|mine| {
        let arguments = (lock.clone(), condition.clone(), turn.clone(), mine);
        team.submit::<_, i64>("await_turn", arguments)
    });
    let tasks = tasks.collect::<Vec<_>>();
    let last = {
        let (lock, condition, turn) = (lock.clone(), condition.clone(), turn.clone());
        move || {
            let mut guard = lock.acquire();
            while turn.load() != 8 {
                guard = condition.wait(guard);
            }
            turn.load()
        }
    };
    assert_eq!(within_long(last), 8);
    all(tasks);
}

#[test]
fn a_barrier_holds_until_all_are_there() {
    let team = Team::of_workers(1);
    let barrier = team.pool.barrier(3);
    let meet = || team.submit::<_, Vec<u32>>("meet", (barrier.clone(), 4_u32));
    let tasks = vec![meet(), meet()];
    let own = (0..4).map(|_| barrier.wait().unwrap()).collect::<Vec<_>>();
    let mut places = all(tasks);
    places.push(own);
    for round in 0..4 {
        let mut places = places
            .iter()
            .map(|places| places[round])
            .collect::<Vec<_>>();
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2]);
    }
    // One that gives up breaks it for the others.
    let waiting = meet();
    wait_until_suspended(&waiting);
    assert!(!team.call::<_, bool>("meet_for", (barrier.clone(), 1_u64)));
    let error = within_long(move || waiting.wait().unwrap_err());
    assert!(error.message().contains("broken"), "{error}");
    assert!(barrier.is_broken() && barrier.wait().is_err());
    barrier.reset();
    // So does one that is stopped.
    let waiting = meet();
    wait_until_suspended(&waiting);
    waiting.cancel();
    let broken = barrier.clone();
    assert!(within_long(move || broken.wait()).is_err());
    barrier.reset();
    assert!(!barrier.is_broken());
}

#[test]
fn arrays_and_values_hold_numbers_of_all_types() {
    let team = Team::of_workers(1);
    let array = team.pool.array::<f64>(100);
    let fill = |from: u32, to: u32| {
        let arguments = (array.clone(), from, to);
        team.submit::<_, ()>("fill_array", arguments)
    };
    all(vec![fill(0, 40), fill(40, 100)]);
    assert_eq!(array.read(..3), [0.0, 1.0, 4.0]);
    array.write(98, &[1.5, -2.5]);
    assert_eq!(array.get(99), -2.5);
    let sum: f64 = team.call("sum_array", (array.clone(),));
    let squares = (0..98).map(|n| f64::from(n * n)).sum::<f64>();
    assert_eq!(sum, squares - 1.0);
    let error = team.submit::<_, ()>("fill_array", (array.clone(), 90_u32, 101_u32));
    assert!(matches!(error.wait().unwrap_err().kind(), Kind::Trap(_)));

    macro_rules! check {
        ($($number:expr),*) => {$(
            let value = team.pool.value($number);
            assert_eq!(value.load(), $number);
            let array = team.pool.array(3);
            array.write(1, &[$number]);
            assert_eq!(array.get(1), $number);
            assert_eq!(array.read(1..=1), [$number]);
            assert_eq!(value.compare_exchange($number, array.get(0)), Ok($number));
            assert_eq!(value.load(), array.get(2));
        )*};
    }
    check!(
        i8::MIN,
        i8::MAX,
        u8::MAX,
        i16::MIN,
        u16::MAX,
        i32::MIN,
        u32::MAX,
        i64::MIN,
        u64::MAX
    );
    check!(f32::MIN, f32::MIN_POSITIVE, -1.25_f32, f64::MIN, 1e-300_f64);
    let wraps = team.pool.value(250_u8);
    assert_eq!((wraps.fetch_add(10), wraps.load()), (250, 4));
    let sum = team.pool.value(0.5_f32);
    sum.fetch_add(0.25);
    assert_eq!(sum.load(), 0.75);
    let short = team.pool.array::<i32>(2);
    for beyond in [
        (|short| assert_eq!(short.get(2), 0)) as fn(&wasmpool::shared::Array<i32>),
        |short| short.set(usize::MAX, 0),
        |short| drop(short.read(1..3)),
        |short| drop(short.read(usize::MAX..)),
        |short| short.write(1, &[1, 2]),
    ] {
        let short = short.clone();
        let accessed = std::panic::catch_unwind(move || beyond(&short));
        assert!(accessed.is_err());
    }
}

#[test]
fn a_map_is_shared() {
    let team = Team::of_workers(2);
    let map = team.pool.shared_map::<String, u64>();
    let words = ["to", "be", "or", "not", "to", "be"].map(str::to_owned);
    let tally = |words: &[String]| team.submit::<_, ()>("tally", (map.clone(), words.to_vec()));
    all((0..6).map(|_| tally(&words)).collect());
    let counted = map.keys().unwrap().into_iter().map(|word| {
        let count = map.get(&word).unwrap().unwrap();
        (word, count)
    });
    let counted = counted.collect::<BTreeMap<_, _>>();
    let expected = [("be", 12), ("not", 6), ("or", 6), ("to", 12)];
    assert!(
        counted
            .iter()
            .map(|(word, n)| (word.as_str(), *n))
            .eq(expected)
    );
    assert_eq!(map.insert(&"be".to_owned(), &1), Ok(Some(12)));
    assert_eq!(map.remove(&"be".to_owned()), Ok(Some(1)));
    assert_eq!(map.contains_key(&"be".to_owned()), Ok(false));
    assert_eq!(map.update(&"or".to_owned(), |_| None), Ok(None));
    assert_eq!(map.len(), 2);
    map.clear();
    assert!(map.is_empty());
}

#[test]
fn a_result_carries_an_object() {
    let team = Team::of_workers(1);
    let items: Vec<u64> = team.call("queue_of_child", (vec![3_u64, 1, 4],));
    assert_eq!(items, [3, 1, 4]);
    let queue: Queue<u64> = team.call("make_queue", (vec![1_u64, 5],));
    assert_eq!(queue.iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 5]);
}

#[test]
fn who_was_not_handed_an_object_cannot_reach_it() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let team = Team::new(Pool::builder().workers(1).isolation(isolation));
        let queue = team.pool.queue::<u64>(2);
        assert_eq!(team.call::<_, u32>("guess", (100_000_u32,)), 0);
        // A number in the place of a handle.
        let guessed = team.task::<(u32,), u64>("take_one");
        let guessed = team.pool.submit(&guessed, (0,)).unwrap();
        let error = guessed.wait().unwrap_err();
        assert_eq!(error.kind(), Kind::BadArguments);
        assert!(error.message().contains("no shared object"), "{error}");
        // A handle of another kind.
        let lock = team.pool.lock();
        let wrong = team.task::<(Lock,), u64>("take_one");
        let error = team
            .pool
            .submit(&wrong, (lock,))
            .unwrap()
            .wait()
            .unwrap_err();
        assert!(error.message().contains("a lock"), "{error}");
        let result: Result<Value<i64>, _> = team
            .pool
            .submit(&team.task::<_, Value<i64>>("make_queue"), (vec![1_u64],))
            .unwrap()
            .wait();
        assert_eq!(result.unwrap_err().kind(), Kind::BadResult);
        // A handle that an earlier task has left in a warm instance. The guest drops the first when
        // it keeps the second.
        queue.put(&1).unwrap();
        team.call::<_, ()>("keep", (queue.clone(),));
        team.call::<_, ()>("keep", (queue.clone(),));
        let kept = team.submit::<_, u64>("use_kept", ());
        match isolation {
            Isolation::Worker => {
                let error = kept.wait().unwrap_err();
                assert!(matches!(error.kind(), Kind::Trap(_)));
                assert!(error.message().contains("earlier task"), "{error}");
            }
            _ => assert_eq!(kept.wait().unwrap(), 0),
        }
        // An item does not carry a handle, and neither does other data.
        let error: String = team.call("items_cannot_carry", (queue.clone(),));
        assert!(error.contains("argument or result"), "{error}");
        let queues = team.pool.queue::<Queue<u64>>(1);
        assert!(matches!(queues.put(&queue), Err(PutError::BadItem(_))));
        assert!(serde_json::to_string(&queue).is_err());
    }
}

#[test]
fn a_session_keeps_its_objects() {
    let team = Team::of_workers(1);
    let session = team.module.session(&team.pool).unwrap();
    let queue = team.pool.queue::<u64>(2);
    queue.put(&1).unwrap();
    let keep = team.task::<(Queue<u64>,), ()>("keep");
    let used = team.task::<(), u64>("use_kept");
    session
        .submit(&keep, (queue.clone(),))
        .unwrap()
        .wait()
        .unwrap();
    for n_items in [1, 2] {
        let kept = session.submit(&used, ()).unwrap();
        assert_eq!(kept.wait().unwrap(), n_items);
        queue.try_put(&2).unwrap_or_default();
    }
}

#[test]
fn a_retried_task_has_its_objects_again() {
    let team = Team::of_workers(1);
    let lock = team.pool.lock();
    let retry = wasmpool::Retry::times(2).on([Kind::Trap(TrapCode::Unreachable)]);
    let task = team.task::<(Lock,), ()>("hold_and_trap");
    let future = team
        .pool
        .submit(&task.with(options().retry(retry)), (lock.clone(),));
    let future = future.unwrap();
    assert!(matches!(future.wait().unwrap_err().kind(), Kind::Trap(_)));
    assert_eq!(future.report().unwrap().attempts, 3);
}

#[test]
fn objects_have_a_budget() {
    let limits = ChildLimits::new().objects(10).object_bytes(100_000);
    let rights = Capabilities::new().tasks().child_limits(limits);
    let team = Team::with_rights(Pool::builder().workers(1).object_limit(100_000), rights);
    let hoard = |n: u32, bytes: u32| team.call::<_, String>("hoard", (n, bytes));
    assert_eq!(hoard(10, 1_000), "none");
    let error = hoard(11, 1);
    assert!(error.contains("10 shared objects already"), "{error}");
    let error = hoard(10, 20_000);
    assert!(error.contains("100000"), "{error}");
    let queue = team.pool.queue::<Vec<u8>>(usize::MAX);
    let error: String = team.call("stuff", (queue.clone(), 10_000_usize));
    assert!(error.contains("100000"), "{error}");
    assert_eq!(queue.len(), 9);
    assert!(matches!(
        queue.put(&vec![0; 10_000]),
        Err(PutError::OverBudget(_))
    ));
    queue.get().unwrap();
    queue.put(&vec![0; 10_000]).unwrap();

    let error = team
        .pool
        .submit(&without_rights::<_, String>(&team, "hoard"), (1_u32, 1_u32));
    let error = error.unwrap().wait().unwrap();
    assert!(error.contains("Capabilities::tasks"), "{error}");
}

#[test]
fn a_task_without_a_place_to_wait_is_told() {
    let team = Team::new(Pool::builder().workers(1).max_suspended(0));
    let queue = team.pool.queue::<u64>(1);
    let error = team
        .submit::<_, u64>("take_one", (queue.clone(),))
        .wait()
        .unwrap_err();
    assert!(error.message().contains("max_suspended"), "{error}");
    queue.put(&1).unwrap();
    let taken: u64 = team.call("take_one", (queue,));
    assert_eq!(taken, 1);
}

#[test]
fn async_code_waits_for_objects() {
    let team = Team::of_workers(1);
    let queue = team.pool.queue::<u64>(1);
    let produced = team.submit::<_, u64>("produce", (queue.clone(), 0_u64, 10_u64));
    let taken = async {
        let mut sum = 0;
        for _ in 0..10 {
            sum += queue.get_async().await.unwrap();
        }
        let _guard = team.pool.lock().acquire_async().await;
        let _permit = team.pool.semaphore(1).acquire_async().await;
        queue.put_async(&1).await.unwrap();
        sum
    };
    assert_eq!(block_on(taken).0, 45);
    assert_eq!(all(vec![produced]), [10]);
}

/// Producers and consumers that are stopped at random moments: no item comes twice, and none is lost
/// but by a consumer that was stopped.
#[test]
fn random_stops_lose_no_items_of_others() {
    for seed in 1..=10 {
        let _seed = Seed(seed);
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        // A place to wait in for everybody.
        let team = Team::new(Pool::builder().workers(2).max_suspended(200));
        let queue = team
            .pool
            .queue::<u64>(1 + usize::try_from(random.below(4)).unwrap());
        let producers = (0..4_u64).map(|n| {
            let arguments = (queue.clone(), n << 32, (n << 32) + 200);
            team.submit::<_, u64>("produce", arguments)
        });
        let producers = producers.collect::<Vec<_>>();
        let takers = (0..100).map(|_| team.submit::<_, u64>("take_one", (queue.clone(),)));
        let takers = takers.collect::<Vec<_>>();
        for _ in 0..20 {
            takers[usize::try_from(random.below(100)).unwrap()].cancel();
            if random.below(10) == 0 {
                // One of them goes on: the takers wait for items.
                let producer = 1 + usize::try_from(random.below(3)).unwrap();
                producers[producer].cancel();
            }
        }
        let items = {
            let queue = queue.clone();
            within_long(move || {
                let taken = takers.iter().map(TaskFuture::wait).collect::<Vec<_>>();
                let n_stopped = taken.iter().filter(|taken| taken.is_err()).count();
                let mut items = taken.into_iter().flatten().collect::<Vec<_>>();
                // Takes the rest, until all that produce have ended.
                while !producers.iter().all(TaskFuture::is_done) || !queue.is_empty() {
                    items.extend(queue.get_timeout(Duration::from_millis(1)));
                }
                (items, n_stopped)
            })
        };
        let (mut items, n_stopped) = items;
        let n_items = items.len();
        items.sort_unstable();
        items.dedup();
        assert_eq!(items.len(), n_items, "an item came twice");
        // Each producer has put in a beginning of its numbers.
        let n_gone = (0..4_u64).map(|n| {
            let of_producer = items.iter().filter(|item| *item >> 32 == n);
            let last = of_producer
                .clone()
                .max()
                .map_or(0, |last| 1 + (last & 0xffff_ffff));
            usize::try_from(last).unwrap() - of_producer.count()
        });
        let n_gone = n_gone.sum::<usize>();
        assert!(
            n_gone <= n_stopped,
            "{n_gone} items are lost, {n_stopped} takers stopped"
        );
    }
}
