//! The bounded queue: waiting for room, refusing, returning arguments.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use wasmpool::{Pool, Retry, SubmitErrorKind, Task, TaskOptions, TaskState, Until, wait};

use crate::support::{Bench, LONG, within_long};

#[test]
fn a_full_queue_returns_the_arguments() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(2));
    let running = bench.spinning();
    let task = bench.task::<u64, u64>("recall");
    let queued = [1, 2].map(|n| bench.pool.try_submit(&task, (n,)).unwrap());
    assert_eq!(bench.pool.queued(), 2, "what runs does not count");

    let refused = bench.pool.try_submit(&task, (3,)).unwrap_err();
    assert!(refused.is_full());
    assert_eq!(refused.into_arguments(), (3,));
    let patience = Duration::from_millis(20);
    let refused = bench
        .pool
        .submit_timeout(&task, (4,), patience)
        .unwrap_err();
    assert_eq!(refused.kind(), &SubmitErrorKind::Full);

    running.cancel();
    assert_eq!(queued.map(|future| future.wait().unwrap()), [1, 2]);
}

#[test]
fn a_cancelled_task_gives_its_place_back_at_once() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
    let running = bench.spinning();
    let task = bench.task::<u64, u64>("recall");
    for n in 0..1_000 {
        bench.pool.try_submit(&task, (n,)).unwrap().cancel();
    }
    let last = bench.pool.try_submit(&task, (5,)).unwrap();
    running.cancel();
    assert_eq!(last.wait().unwrap(), 5);
}

#[test]
fn submit_waits_until_there_is_room() {
    let bench = Arc::new(Bench::new(Pool::builder().workers(1).queue_capacity(1)));
    let running = bench.spinning();
    let queued = bench.submit::<_, u64>("recall", 1);
    let waiting = Arc::clone(&bench);
    let submitter = std::thread::spawn(move || waiting.submit::<_, u64>("recall", 2).wait());
    running.cancel();
    assert_eq!(queued.wait().unwrap(), 1);
    assert_eq!(within_long(move || submitter.join().unwrap()).unwrap(), 2);
}

#[test]
fn tasks_start_in_the_order_of_their_submission() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let (sender, receiver) = mpsc::channel();
    for n in 0..50_u64 {
        let sender = sender.clone();
        let future = bench.submit::<_, u64>("recall", n);
        future.on_done(move |_| sender.send(n).unwrap());
    }
    drop(sender);
    running.cancel();
    assert!(receiver.iter().eq(0..50));
}

#[test]
fn a_hundred_thousand_tiny_submits_from_several_threads_all_complete() {
    let bench = Bench::new(Pool::builder().workers(2));
    let factorize = bench.factorize();
    let done = std::thread::scope(|scope| {
        let threads = [0, 1, 2, 3].map(|thread| {
            let (pool, factorize) = (&bench.pool, &factorize);
            scope.spawn(move || {
                let inputs = (thread * 25_000..).take(25_000);
                let outcomes = pool.map(factorize, inputs.clone());
                inputs
                    .zip(outcomes)
                    .filter(|(n, factors)| {
                        let product = factors.as_ref().unwrap().iter().product::<u64>();
                        product == (*n).max(1)
                    })
                    .count()
            })
        });
        threads
            .map(|thread| thread.join().unwrap())
            .iter()
            .sum::<usize>()
    });
    assert_eq!(done, 100_000);
}

#[test]
fn no_task_waits_for_a_busy_worker_while_another_is_free() {
    // Between the outcome and the next task a worker runs callbacks and drops the instance. The
    // duration of the drop cannot be controlled, but a callback can block, on the same thread and
    // at the same stage.
    let bench = Bench::with_workers(2);
    let [one, other] = [bench.spinning(), bench.spinning()];
    let large = bench.submit::<_, u64>("allocate", 64);
    let (told, is_told) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    large.on_done(move |_| {
        told.send(()).unwrap();
        let _ = is_released.recv();
    });
    one.cancel();
    is_told.recv_timeout(LONG).unwrap();
    other.cancel();

    let busy = large.report().unwrap().worker.unwrap();
    let free = 1 - busy;
    for n in 0..500 {
        let future = bench.submit::<u64, u64>("recall", n);
        let outcome = future.wait_timeout(LONG);
        assert_eq!(outcome.expect("the other worker is free").unwrap(), n);
        assert_eq!(future.report().unwrap().worker, Some(free));
    }
    // Also with many at once: none is reserved for the busy worker.
    let many = (0..100).map(|n| bench.submit::<u64, u64>("recall", n));
    let waited = wait(many.collect::<Vec<_>>(), Until::AllCompleted, Some(LONG));
    assert_eq!(waited.pending.len(), 0);

    drop(release);
    let both = [bench.spinning(), bench.spinning()];
    both.iter().for_each(|future| assert!(future.cancel()));
    bench.assert_healthy();
}

#[test]
fn a_task_of_another_pool_is_refused() {
    let (one, other) = (Bench::with_workers(1), Bench::with_workers(1));
    let refused = other.pool.submit(&one.factorize(), (6,)).unwrap_err();
    assert_eq!(refused.kind(), &SubmitErrorKind::ForeignTask);
}

#[test]
fn async_submitters_wait_for_room_without_blocking_their_thread() {
    let bench = Bench::new(Pool::builder().workers(2).queue_capacity(1));
    let recall = bench.task::<u64, u64>("recall");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // All on one thread: if one blocked, the others would hang for ever.
    let submitted = (0..500).map(|n| {
        let (pool, recall) = (&bench.pool, &recall);
        async move {
            pool.submit_async(recall, (n,))
                .await
                .unwrap()
                .await
                .unwrap()
        }
    });
    let sum = runtime
        .block_on(join_all(submitted))
        .into_iter()
        .sum::<u64>();
    assert_eq!(sum, (0..500).sum::<u64>());
}

#[test]
fn a_dropped_async_submitter_takes_no_place_and_no_turn() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
    let running = bench.spinning();
    let recall = bench.task::<u64, u64>("recall");
    let queued = bench.pool.submit(&recall, (0,)).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut impatient = Box::pin(bench.pool.submit_async(&recall, (1,)));
    let mut patient = Box::pin(bench.pool.submit_async(&recall, (2,)));
    assert!(impatient.as_mut().poll(&mut context).is_pending());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    assert!(patient.as_mut().poll(&mut context).is_pending());
    // The freed place wakes the first in line, which was dropped.
    queued.cancel();
    assert!(!woken.0.load(Ordering::SeqCst));
    drop(impatient);
    assert!(woken.0.load(Ordering::SeqCst), "the wake-up was passed on");
    let Poll::Ready(Ok(future)) = patient.as_mut().poll(&mut context) else {
        panic!("there is room");
    };
    running.cancel();
    assert_eq!(future.wait().unwrap(), 2);
}

#[test]
fn a_shutdown_returns_the_arguments_of_an_async_submitter() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
    let running = bench.spinning();
    let recall = bench.task::<u64, u64>("recall");
    let queued = bench.pool.submit(&recall, (0,)).unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    let mut submitted = Box::pin(bench.pool.submit_async(&recall, (7,)));
    assert!(submitted.as_mut().poll(&mut context).is_pending());
    bench.pool.close();
    assert!(woken.0.load(Ordering::SeqCst));
    let Poll::Ready(Err(refused)) = submitted.as_mut().poll(&mut context) else {
        panic!("the pool is closed");
    };
    assert!(refused.is_shut_down());
    assert_eq!(refused.into_arguments(), (7,));
    running.cancel();
    assert_eq!(queued.wait().unwrap(), 0);
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Polls all futures whenever one is woken.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures = futures.map(Box::pin).collect::<Vec<_>>();
    let mut outputs = Vec::new();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| match future.as_mut().poll(context) {
            Poll::Ready(output) => {
                outputs.push(output);
                false
            }
            Poll::Pending => true,
        });
        match futures.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    outputs
}

#[test]
fn tasks_submitted_together_each_have_a_future_or_an_error() {
    // More tasks than the queue has room for.
    let bench = Bench::new(
        Pool::builder()
            .workers(2)
            .queue_capacity(10)
            .payload_limit(100),
    );
    let tour = bench.pool.load(wasmpool_guests::TOUR.path()).unwrap();
    let parse = tour.task::<(String,), Vec<i64>>("parse_numbers").unwrap();
    let text = |n: usize| {
        if n % 50 == 7 {
            "1".repeat(200)
        } else {
            n.to_string()
        }
    };
    let submitted = bench.pool.submit_all(&parse, (0..200).map(|n| (text(n),)));
    assert_eq!(submitted.len(), 200);
    for (n, submitted) in submitted.into_iter().enumerate() {
        match submitted {
            Ok(future) => assert_eq!(future.wait().unwrap(), [n as i64]),
            Err(refused) => assert_eq!((refused.into_arguments(), n % 50), ((text(n),), 7)),
        }
    }
    bench.pool.close();
    let submitted = bench.pool.submit_all(&parse, [(text(1),), (text(2),)]);
    assert!(
        submitted
            .iter()
            .all(|submitted| submitted.as_ref().unwrap_err().is_shut_down())
    );
}

/// Counts how often it is woken.
#[derive(Default)]
struct CountedWakes(AtomicUsize);

impl Wake for CountedWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn async_submitters_cause_no_needless_wakes() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
    let running = bench.spinning();
    let recall = bench.task::<u64, u64>("recall");
    let mut queued = bench.pool.submit(&recall, (0,)).unwrap();
    let counts = [(); 3].map(|()| Arc::new(CountedWakes::default()));
    let mut waiting = [1, 2, 3].map(|n| Box::pin(bench.pool.submit_async(&recall, (n,))));
    let mut poll = |place: usize| {
        let waker = Waker::from(Arc::clone(&counts[place]));
        let mut context = Context::from_waker(&waker);
        waiting[place].as_mut().poll(&mut context)
    };
    for place in [0, 1, 2, 2, 1, 0] {
        // Spurious polls change nothing, not even the order.
        assert!(poll(place).is_pending());
    }
    let wakes = || {
        counts
            .each_ref()
            .map(|count| count.0.load(Ordering::SeqCst))
    };
    for (place, expected) in [[1, 0, 0], [1, 1, 0], [1, 1, 1]].into_iter().enumerate() {
        queued.cancel();
        assert_eq!(wakes(), expected, "the first in line, once");
        let Poll::Ready(Ok(next)) = poll(place) else {
            panic!("there is room");
        };
        assert_eq!(wakes(), expected, "there is no room for another");
        queued = next;
    }
    running.cancel();
    assert_eq!(queued.wait().unwrap(), 3);
}

#[test]
fn a_panicking_waker_affects_no_other_task() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("as it was told");
        }
    }
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
    let recall = bench.task::<u64, u64>("recall");
    let waker = Waker::from(Arc::new(Panics));
    let mut context = Context::from_waker(&waker);
    // Woken by a worker that takes a task, by a cancel, and by the end of the pool.
    let running = bench.spinning();
    let queued = bench.pool.submit(&recall, (1,)).unwrap();
    let mut waiting = Box::pin(bench.pool.submit_async(&recall, (2,)));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    running.cancel();
    assert_eq!(queued.wait().unwrap(), 1);
    drop(waiting);
    bench.assert_healthy();
    let running = bench.spinning();
    let queued = bench.pool.submit(&recall, (1,)).unwrap();
    let mut waiting = Box::pin(bench.pool.submit_async(&recall, (2,)));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    assert!(queued.cancel());
    assert!(waiting.as_mut().poll(&mut context).is_ready());
    let mut waiting = Box::pin(bench.pool.submit_async(&recall, (3,)));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    bench.pool.close();
    assert!(waiting.as_mut().poll(&mut context).is_ready());
    running.cancel();
}

/// A pool of one worker whose queue is full with so many bytes, and a task that takes any text.
fn bounded_in_bytes(bytes: usize) -> (Bench, Task<(String,), Vec<i64>>) {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity_bytes(bytes));
    let tour = bench.pool.load(wasmpool_guests::TOUR.path()).unwrap();
    let parse = tour.task("parse_numbers").unwrap();
    (bench, parse)
}

/// A text of so many bytes that is read as one number.
fn padded(number: usize, bytes: usize) -> String {
    format!("{number:0bytes$}")
}

/// More than there is around a text when it is encoded.
const AROUND: usize = 16;

fn queued_bytes(pool: &Pool) -> usize {
    pool.stats().queued_bytes.expect("there is a bound")
}

#[test]
fn a_queue_full_of_bytes_returns_the_arguments() {
    let (bench, parse) = bounded_in_bytes(10_000);
    let running = bench.spinning();
    assert_eq!(queued_bytes(&bench.pool), 0, "what runs does not count");
    let submit = |number, bytes| bench.pool.try_submit(&parse, (padded(number, bytes),));
    let queued = [submit(1, 6_000).unwrap(), submit(2, 6_000).unwrap()];
    let held = queued_bytes(&bench.pool);
    assert!((12_000..12_000 + 2 * AROUND).contains(&held), "{held}");

    let refused = submit(3, 1).unwrap_err();
    assert!(refused.is_full());
    assert_eq!(refused.into_arguments(), (padded(3, 1),));
    let patience = Duration::from_millis(20);
    let refused = bench
        .pool
        .submit_timeout(&parse, (padded(4, 1),), patience)
        .unwrap_err();
    assert!(refused.is_full());
    assert_eq!(queued_bytes(&bench.pool), held, "the refused hold nothing");

    // A cancelled task gives its bytes back at once.
    let [first, second] = queued;
    assert!(first.cancel());
    let third = submit(3, 1).unwrap();
    running.cancel();
    assert_eq!(second.wait().unwrap(), [2]);
    assert_eq!(third.wait().unwrap(), [3]);
    assert_eq!(queued_bytes(&bench.pool), 0);
}

#[test]
fn arguments_larger_than_the_bound_in_bytes_are_accepted() {
    let (bench, parse) = bounded_in_bytes(1);
    let running = bench.spinning();
    let large = bench.pool.try_submit(&parse, (padded(1, 5_000),)).unwrap();
    assert!(queued_bytes(&bench.pool) > 5_000);
    let refused = bench.pool.try_submit(&parse, (padded(2, 1),)).unwrap_err();
    assert!(refused.is_full());
    running.cancel();
    assert_eq!(large.wait().unwrap(), [1]);
}

#[test]
fn arguments_that_are_refused_hold_no_bytes() {
    let builder = Pool::builder().workers(1).payload_limit(1_000);
    let bench = Bench::new(builder.queue_capacity_bytes(100));
    let running = bench.spinning();
    let tour = bench.pool.load(wasmpool_guests::TOUR.path()).unwrap();
    let parse = tour.task::<(String,), Vec<i64>>("parse_numbers").unwrap();
    let refused = bench.pool.submit(&parse, (padded(1, 2_000),)).unwrap_err();
    assert!(matches!(refused.kind(), SubmitErrorKind::BadArguments(_)));
    assert_eq!(queued_bytes(&bench.pool), 0);
    let queued = bench.pool.try_submit(&parse, (padded(2, 10),)).unwrap();
    running.cancel();
    assert_eq!(queued.wait().unwrap(), [2]);
}

#[test]
fn submit_waits_until_the_queue_has_room_for_bytes() {
    let (bench, parse) = bounded_in_bytes(1_000);
    let running = bench.spinning();
    let large = bench.pool.submit(&parse, (padded(1, 5_000),)).unwrap();
    let (pool, task) = (bench.pool.clone(), parse.clone());
    let submitter = std::thread::spawn(move || pool.submit(&task, (padded(2, 5_000),)));
    running.cancel();
    assert_eq!(large.wait().unwrap(), [1]);
    let submitted = within_long(move || submitter.join().unwrap()).unwrap();
    assert_eq!(submitted.wait().unwrap(), [2]);
}

#[test]
fn bytes_that_come_back_at_once_are_room_for_all_who_wait_in_their_order() {
    let (bench, parse) = bounded_in_bytes(1_000);
    let running = bench.spinning();
    let large = bench.pool.submit(&parse, (padded(0, 5_000),)).unwrap();
    let counts = [(); 4].map(|()| Arc::new(CountedWakes::default()));
    // The third one fills the queue again: its size gives it no other turn.
    let sizes = [10, 10, 5_000, 10];
    let mut waiting = [0, 1, 2, 3].map(|place| {
        let arguments = (padded(place, sizes[place]),);
        Box::pin(bench.pool.submit_async(&parse, arguments))
    });
    let mut poll = |place: usize| {
        let waker = Waker::from(Arc::clone(&counts[place]));
        let mut context = Context::from_waker(&waker);
        waiting[place].as_mut().poll(&mut context)
    };
    for place in 0..4 {
        assert!(poll(place).is_pending());
    }
    let wakes = || {
        let wakes = counts
            .each_ref()
            .map(|count| count.0.load(Ordering::SeqCst));
        wakes.to_vec()
    };
    assert!(large.cancel());
    assert_eq!(wakes(), [1, 0, 0, 0], "the first in line");
    let mut submitted = Vec::new();
    // Each tells the next one, as soon as it has its place, and if there is room.
    for (place, expected) in [[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
        .into_iter()
        .enumerate()
    {
        let Poll::Ready(Ok(future)) = poll(place) else {
            panic!("there is room");
        };
        submitted.push(future);
        assert_eq!(wakes(), expected);
    }
    assert!(poll(3).is_pending());
    assert!(submitted[2].cancel());
    assert_eq!(wakes(), [1, 1, 1, 1]);
    let Poll::Ready(Ok(last)) = poll(3) else {
        panic!("there is room");
    };
    running.cancel();
    assert_eq!(last.wait().unwrap(), [3]);
}

#[test]
fn maps_and_chunks_stay_below_the_bound_in_bytes_but_for_one_task() {
    const BOUND: usize = 10_000;
    const SIZE: usize = 3_000;
    let (bench, parse) = bounded_in_bytes(BOUND);
    let pool = &bench.pool;
    let check = || assert!(queued_bytes(pool) < BOUND + SIZE + AROUND);
    let inputs = || {
        (0..200)
            .map(|number| padded(number, SIZE))
            .inspect(|_| check())
    };
    for chunk in [1, 50] {
        let options = TaskOptions::new().chunk_size(chunk.try_into().unwrap());
        let parse = parse.clone().with(options);
        for (number, outcome) in pool.map(&parse, inputs()).enumerate() {
            check();
            assert_eq!(outcome.unwrap(), [number as i64]);
        }
        let mut numbers = pool
            .map_unordered(&parse, inputs())
            .map(|(_, outcome)| outcome.unwrap()[0])
            .collect::<Vec<_>>();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..200));
    }
    let submitted = pool.submit_all(&parse, inputs().map(|text| (text,)));
    check();
    assert_eq!(submitted.len(), 200);
    for (number, submitted) in submitted.into_iter().enumerate() {
        assert_eq!(submitted.unwrap().wait().unwrap(), [number as i64]);
    }
    assert_eq!(queued_bytes(pool), 0);
}

#[test]
fn tasks_that_wait_for_another_attempt_fill_the_queue_with_their_bytes() {
    let retry = Retry::times(1).backoff(LONG);
    let builder = Pool::builder().workers(1).queue_capacity_bytes(1_000);
    let bench = Bench::new(builder.retry(retry));
    let panic = bench.task::<String, ()>("panic");
    let failing = bench.pool.submit(&panic, (padded(0, 5_000),)).unwrap();
    // Until it waits for its second attempt.
    let deadline = Instant::now() + LONG;
    while bench.pool.stats().run_time.count == 0 || failing.state() != TaskState::Queued {
        assert!(Instant::now() < deadline, "it is not put back");
        std::thread::yield_now();
    }
    assert!(queued_bytes(&bench.pool) > 5_000);
    let recall = bench.task::<u64, u64>("recall");
    assert!(bench.pool.try_submit(&recall, (1,)).unwrap_err().is_full());
    assert!(failing.cancel());
    let accepted = bench.pool.try_submit(&recall, (1,)).unwrap();
    assert_eq!(accepted.wait().unwrap(), 1);
}

#[test]
fn a_callback_submits_into_a_queue_full_of_bytes_and_does_not_wait() {
    let (bench, parse) = bounded_in_bytes(1);
    let running = bench.spinning();
    let first = bench.submit::<u64, u64>("recall", 1);
    let (told, is_told) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let (sender, submitted) = mpsc::channel();
    let (pool, task) = (bench.pool.clone(), parse.clone());
    // Called on the thread of the only worker.
    first.on_done(move |_| {
        told.send(()).unwrap();
        is_released.recv().unwrap();
        sender.send(pool.submit(&task, (padded(3, 100),))).unwrap();
    });
    running.cancel();
    is_told.recv_timeout(LONG).unwrap();
    let second = bench.pool.try_submit(&parse, (padded(2, 100),)).unwrap();
    assert!(queued_bytes(&bench.pool) > 100);
    release.send(()).unwrap();
    let third = submitted.recv_timeout(LONG).unwrap().unwrap();
    assert_eq!(second.wait().unwrap(), [2]);
    assert_eq!(third.wait().unwrap(), [3]);
}

#[test]
fn bytes_are_not_counted_without_a_bound() {
    let bench = Bench::with_workers(1);
    assert_eq!(bench.pool.stats().queued_bytes, None);
}
