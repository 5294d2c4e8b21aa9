//! `map`: outcomes in order, failures in their place, endless inputs.

use std::cell::Cell;
use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use wasmpool::{Pool, Shutdown, TaskError, TaskErrorKind as Kind, TaskOptions};

use crate::support::{Bench, within_long};

#[test]
fn outcomes_come_in_the_order_of_the_inputs() {
    let bench = Bench::with_workers(2);
    let factorize = bench.factorize();
    // Alternates small and large numbers, so that later ones end first.
    let inputs = (0..500_u64).map(|n| if n % 2 == 0 { n } else { (1 << 40) + n });
    let outcomes = bench.pool.map(&factorize, inputs.clone());
    let expected = inputs.map(factorizer::factorize);
    assert!(outcomes.map(Result::unwrap).eq(expected));
    assert_eq!(bench.pool.map(&factorize, Vec::<u64>::new()).count(), 0);
}

#[test]
fn inputs_may_be_whole_argument_lists() {
    let bench = Bench::with_workers(2);
    let tour = bench.pool.load(wasmpool_guests::TOUR.path()).unwrap();
    let divide = tour.task::<(i64, i64), i64>("divide").unwrap();
    let outcomes = bench.pool.map(&divide, [(6, 3), (1, 0), (9, 3)]);
    let outcomes = outcomes.map(Result::ok).collect::<Vec<_>>();
    assert_eq!(outcomes, [Some(2), None, Some(3)]);
}

#[test]
fn a_failed_item_is_an_error_in_its_place() {
    let bench = Bench::with_workers(2);
    let parse = bench.pool.load(wasmpool_guests::TOUR.path()).unwrap();
    let parse = parse.task::<(String,), Vec<i64>>("parse_numbers").unwrap();
    let inputs = (0..100).map(|n| {
        if n % 10 == 7 {
            "x".to_owned()
        } else {
            n.to_string()
        }
    });
    let mut outcomes = bench.pool.map(&parse, inputs);
    for (n, outcome) in (0..100).zip(&mut outcomes) {
        match outcome {
            Ok(numbers) => assert_eq!(numbers, [n]),
            Err(error) => assert_eq!((error.kind(), n % 10), (Kind::Failed, 7)),
        }
    }
    assert!(outcomes.next().is_none() && outcomes.next().is_none());
}

#[test]
fn endless_inputs_are_pulled_a_window_ahead() {
    let bench = Bench::with_workers(2);
    let factorize = bench.factorize();
    // Four of the largest chunks per worker if the map chooses the size.
    for (task, window) in [
        (factorize.clone(), 512),
        (factorize.with(chunks_of(1)), 64),
        (factorize.with(chunks_of(100)), 800),
    ] {
        let pulled = Cell::new(0_u64);
        let inputs = (0..).inspect(|_| pulled.set(pulled.get() + 1));
        let mut outcomes = bench.pool.map(&task, inputs);
        assert!(pulled.get() > 0, "work starts before the first `next`");
        for taken in 1..2_000_u64 {
            outcomes.next().unwrap().unwrap();
            let ahead = pulled.get() - taken;
            assert!(ahead <= window, "{ahead} ahead of {taken}");
        }
    }
}

fn chunks_of(inputs: usize) -> TaskOptions {
    TaskOptions::new().chunk_size(NonZeroUsize::new(inputs).unwrap())
}

#[test]
fn any_chunk_size_has_the_same_outcomes() {
    let bench = Bench::with_workers(2);
    let expected = (0..100_u64).map(factorizer::factorize).collect::<Vec<_>>();
    for size in [1, 7, 99, 100, 101, 5_000, usize::MAX] {
        let task = bench.factorize().with(chunks_of(size));
        let outcomes = bench.pool.map(&task, 0..100_u64);
        assert!(outcomes.map(Result::unwrap).eq(expected.iter().cloned()));
        let mut unordered = bench.pool.map_unordered(&task, 0..100_u64);
        assert!(unordered.all(|(place, outcome)| outcome.unwrap() == expected[place]));
    }
}

#[test]
fn in_a_chunk_every_item_has_its_own_outcome_and_timeout() {
    let bench = Bench::with_workers(1);
    let options = chunks_of(12).task_timeout(Duration::from_secs(2));
    let sleep = bench.task::<u64, u64>("sleep").with(options);
    let hour = 3_600_000;
    let outcomes = bench.pool.map(&sleep, [1, hour, 2, 3, hour, 4]);
    let outcomes = outcomes.map(|outcome| outcome.map_err(|error| error.kind()));
    let timed_out = Err(Kind::TimedOut);
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        [Ok(1), timed_out, Ok(2), Ok(3), timed_out, Ok(4)]
    );
    // A failure inside of a chunk with its own kind, and the rest goes on.
    let options = chunks_of(4).memory_limit(32 << 20);
    let allocate = bench.task::<usize, usize>("allocate").with(options);
    let outcomes = bench.pool.map(&allocate, [1, 500, 2, 500, 3_usize]);
    let outcomes = outcomes.map(|outcome| outcome.map_err(|error| error.kind()));
    let too_much = Err(Kind::MemoryLimit);
    assert_eq!(
        outcomes.collect::<Vec<_>>(),
        [Ok(1), too_much, Ok(2), too_much, Ok(3)]
    );
}

#[test]
fn a_stuck_item_of_a_chunk_delays_no_other() {
    let bench = Bench::with_workers(2);
    // One worker takes the whole chunk, and gets stuck with its first item.
    let sleep = bench.task::<u64, u64>("sleep").with(chunks_of(40));
    let inputs = std::iter::once(3_600_000).chain(std::iter::repeat_n(0_u64, 39));
    let outcomes = bench.pool.map_unordered(&sleep, inputs);
    assert_eq!(
        outcomes.take(39).filter(|(place, _)| *place > 0).count(),
        39
    );
}

#[test]
fn a_map_s_timeout_cancels_what_has_not_ended() {
    let bench = Bench::with_workers(2);
    let sleep = bench.task::<u64, u64>("sleep");
    // Endless inputs: the third never ends.
    let inputs = || {
        [0, 1, 3_600_000]
            .into_iter()
            .chain(std::iter::repeat(2_u64))
    };
    let timeout = Duration::from_secs(2);
    let mut outcomes = bench.pool.map(&sleep, inputs()).timeout(timeout);
    assert_eq!(outcomes.next().unwrap().unwrap(), 0);
    assert_eq!(outcomes.next().unwrap().unwrap(), 1);
    let error = outcomes.next().unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(error.message().contains("timeout of 2s"), "{error}");
    // Tasks that have ended yield their outcomes, the others are cancelled, and so is the next
    // input.
    let rest = outcomes.collect::<Vec<_>>();
    let is_cancelled = |error: &TaskError| error.kind() == Kind::Cancelled;
    assert!(
        rest.iter()
            .flat_map(|outcome| outcome.as_ref().err())
            .all(is_cancelled)
    );
    assert!(rest.last().unwrap().is_err());

    let outcomes = bench.pool.map_unordered(&sleep, inputs()).timeout(timeout);
    let mut outcomes = outcomes.collect::<Vec<_>>();
    outcomes.sort_by_key(|(place, _)| *place);
    assert!(
        outcomes
            .iter()
            .map(|(place, _)| *place)
            .eq(0..outcomes.len())
    );
    // The endless task, and the input after the timeout.
    for (_, outcome) in [&outcomes[2], outcomes.last().unwrap()] {
        assert_eq!(outcome.as_ref().unwrap_err().kind(), Kind::Cancelled);
    }
    bench.assert_healthy();
}

#[test]
fn a_map_that_ends_in_time_has_no_timeout() {
    let bench = Bench::with_workers(2);
    let outcomes = bench.pool.map(&bench.factorize(), 0..200_u64);
    assert_eq!(
        outcomes.timeout(crate::support::LONG).flatten().count(),
        200
    );
}

#[test]
fn lists_of_arguments_are_zipped() {
    let bench = Bench::with_workers(2);
    let tour = bench.pool.load(wasmpool_guests::TOUR.path()).unwrap();
    let divide = tour.task::<(i64, i64), i64>("divide").unwrap();
    let outcomes = bench.pool.map(&divide, (10..14).zip(1..));
    assert!(outcomes.map(Result::unwrap).eq([10, 5, 4, 3]));
    let clamp = tour.task::<(i64, i64, i64), i64>("clamp").unwrap();
    let outcomes = bench
        .pool
        .map(&clamp, [-5, 5, 50].into_iter().zip([0; 3]).zip([9; 3]));
    assert!(outcomes.map(Result::unwrap).eq([0, 5, 9]));
}

#[test]
fn inputs_that_panic_lose_no_earlier_outcome() {
    let bench = Bench::with_workers(2);
    for (size, at) in [(1, 0), (1, 100), (7, 10), (30, 100)] {
        let factorize = bench.factorize().with(chunks_of(size));
        let inputs = || (0..).inspect(|n| assert!(*n < at, "as it was told"));
        let mut taken = Vec::new();
        let mut outcomes = bench.pool.map(&factorize, inputs());
        let panic = catch_unwind(AssertUnwindSafe(|| taken.extend(outcomes.by_ref())));
        assert!(panic.is_err());
        assert!(outcomes.next().is_none());
        let taken = taken.into_iter().map(Result::unwrap);
        assert!(taken.eq((0..at).map(factorizer::factorize)));

        let mut seen = Vec::new();
        let mut outcomes = bench.pool.map_unordered(&factorize, inputs());
        let panic = catch_unwind(AssertUnwindSafe(|| seen.extend(outcomes.by_ref())));
        assert!(panic.is_err());
        assert!(outcomes.next().is_none());
        seen.sort_by_key(|(place, _)| *place);
        assert!(seen.iter().map(|(place, _)| *place as u64).eq(0..at));
    }
}

#[test]
fn dropping_the_iterator_cancels_its_tasks() {
    let bench = Bench::with_workers(1);
    let spin = bench.task::<u64, u64>("spin");
    drop(bench.pool.map(&spin, 0..10_u64));
    bench.assert_healthy();
}

#[test]
fn after_a_shutdown_accepted_items_come_and_then_a_clear_error() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let module = pool.load(wasmpool_guests::FACTORIZER.path()).unwrap();
    let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    let mut outcomes = pool.map(&factorize, 0..1_000_u64);
    pool.shutdown(Shutdown::Graceful);
    let accepted = outcomes.by_ref().take_while(Result::is_ok).count();
    // `take_while` has consumed the only error, which is the end.
    assert_eq!(accepted, 64);
    assert!(outcomes.next().is_none());
    let error = pool.map(&factorize, 0..1_u64).next().unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::ShutDown);
}

#[test]
fn unordered_outcomes_come_once_with_the_index_of_their_input() {
    let bench = Bench::with_workers(2);
    let inputs = (0..1_000_u64).map(|n| n * 1_001);
    let mut seen = vec![false; 1_000];
    for (place, factors) in bench.pool.map_unordered(&bench.factorize(), inputs) {
        assert!(
            !std::mem::replace(&mut seen[place], true),
            "{place} comes twice"
        );
        assert_eq!(
            factors.unwrap(),
            factorizer::factorize(place as u64 * 1_001)
        );
    }
    assert!(seen.iter().all(|&seen| seen));
}

#[test]
fn a_slow_task_delays_only_its_own_outcome() {
    let bench = Bench::with_workers(2);
    // The first task would take an hour; endless inputs overtake it.
    let inputs = std::iter::once(3_600_000).chain(std::iter::repeat(0_u64));
    let sleep = bench.task::<u64, u64>("sleep");
    let outcomes = bench.pool.map_unordered(&sleep, inputs).take(500);
    assert!(outcomes.map(|(place, _)| place).all(|place| place > 0));
    // The iterator was dropped, which cancelled the sleeping task.
    bench.assert_healthy();
}

#[test]
fn unordered_failures_and_a_shutdown_are_outcomes_too() {
    let bench = Bench::with_workers(1);
    let parse = bench.pool.load(wasmpool_guests::TOUR.path()).unwrap();
    let parse = parse.task::<(&str,), Vec<i64>>("parse_numbers").unwrap();
    let outcomes = bench.pool.map_unordered(&parse, ["1", "x", "3"]);
    let mut failed = outcomes
        .filter(|(_, outcome)| outcome.is_err())
        .map(|(place, _)| place);
    assert_eq!((failed.next(), failed.next()), (Some(1), None));
    bench.pool.shutdown(Shutdown::Graceful);
    let mut outcomes = bench.pool.map_unordered(&parse, ["1", "2"]);
    let (place, outcome) = outcomes.next().unwrap();
    assert_eq!((place, outcome.unwrap_err().kind()), (0, Kind::ShutDown));
    assert!(outcomes.next().is_none());
}

/// Collects the items of a stream.
async fn collect<S: Stream + Unpin>(mut stream: S) -> Vec<S::Item> {
    let mut items = Vec::new();
    while let Some(item) = poll_fn(|context| Pin::new(&mut stream).poll_next(context)).await {
        items.push(item);
    }
    items
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

#[test]
fn a_stream_yields_the_outcomes_of_a_map_without_blocking() {
    // The queue has no room for most of the window, and two streams share it.
    let bench = Bench::new(Pool::builder().workers(2).queue_capacity(3));
    let factorize = bench.factorize();
    let expected = (0..400_u64).map(factorizer::factorize).collect::<Vec<_>>();
    let stream = || collect(bench.pool.map_async(&factorize, 0..400_u64));
    // Both on one thread: if one blocked, the other would hang for ever.
    let (a, b) = block_on(async { tokio::join!(stream(), stream()) });
    for outcomes in [a, b] {
        assert!(
            outcomes
                .into_iter()
                .map(Result::unwrap)
                .eq(expected.iter().cloned())
        );
    }
}

#[test]
fn a_stream_that_finds_no_room_is_woken_when_there_is() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
    let running = bench.spinning();
    let queued = bench.submit::<_, u64>("recall", 0);
    let stream = bench.pool.map_async(&bench.factorize(), [6_u64, 10]);
    let outcomes = block_on(async {
        let later = async { running.cancel() };
        tokio::join!(collect(stream), later).0
    });
    let outcomes = outcomes.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(outcomes, [[2, 3], [2, 5]]);
    assert_eq!(queued.wait().unwrap(), 0);
}

#[test]
fn a_stream_with_room_blocks_no_other_submitter() {
    within_long(|| {
        let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
        let running = bench.spinning();
        let recall = bench.task::<u64, u64>("recall");
        let queued = bench.pool.submit(&recall, (0,)).unwrap();
        let mut unheard = Context::from_waker(Waker::noop());
        let mut first = Box::pin(bench.pool.submit_async(&recall, (2,)));
        assert!(first.as_mut().poll(&mut unheard).is_pending());
        let mut stream = bench.pool.map_async(&recall, [1_u64]);
        let mut poll = || Pin::new(&mut stream).poll_next(&mut unheard).is_pending();
        assert!(poll(), "there is no room, and it is the second in line");
        // The first in line is woken for this place, but the stream polls first and takes it.
        assert!(queued.cancel());
        assert!(poll(), "its task waits for the worker");
        assert_eq!(bench.pool.queued(), 1);
        // Another submitter waits behind it. The next places are for these two, in order.
        let mut behind = Box::pin(bench.pool.submit_async(&recall, (3,)));
        let (first, behind) = block_on(async {
            for waiting in [&mut first, &mut behind] {
                let poll = poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context)));
                assert!(poll.await.is_pending(), "there is no room");
            }
            running.cancel();
            let first = poll_fn(|context| first.as_mut().poll(context)).await;
            let behind = poll_fn(|context| behind.as_mut().poll(context)).await;
            (first, behind)
        });
        let outcomes = [first, behind].map(|submitted| submitted.unwrap().wait().unwrap());
        assert_eq!(outcomes, [2, 3]);
        drop(stream);
    });
}

#[test]
fn a_stream_of_a_pool_that_is_shut_down_ends_with_an_error() {
    let bench = Bench::with_workers(1);
    bench.pool.close();
    let outcomes = block_on(collect(bench.pool.map_async(&bench.factorize(), 0..9_u64)));
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].as_ref().unwrap_err().kind(), Kind::ShutDown);
    assert_eq!(
        block_on(collect(bench.pool.map_async(&bench.factorize(), 0..0_u64))).len(),
        0
    );
}

#[test]
fn dropping_a_stream_cancels_its_tasks() {
    let bench = Bench::with_workers(1);
    drop(
        bench
            .pool
            .map_async(&bench.task::<u64, u64>("spin"), 0..10_u64),
    );
    bench.assert_healthy();
}

#[test]
fn a_map_into_a_full_queue_does_not_block_before_next() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
    let running = bench.spinning();
    let queued = bench.submit::<_, u64>("recall", 0);
    // None of its tasks gets into the queue until its timeout is over.
    let spin = bench.task::<u64, u64>("spin");
    let timeout = Duration::from_millis(50);
    let outcomes = bench.pool.map(&spin, 0..10_u64).timeout(timeout);
    let kinds = outcomes.map(|outcome| outcome.unwrap_err().kind());
    assert_eq!(kinds.collect::<Vec<_>>(), [Kind::Cancelled]);
    let outcomes = bench.pool.map_unordered(&spin, 0..10_u64).timeout(timeout);
    assert_eq!(outcomes.count(), 1);
    running.cancel();
    assert_eq!(queued.wait().unwrap(), 0);
    // With room for one task at a time all outcomes come.
    let outcomes = bench.pool.map(&bench.factorize(), 0..100_u64);
    assert!(
        outcomes
            .map(Result::unwrap)
            .eq((0..100).map(factorizer::factorize))
    );
}

#[test]
fn arguments_that_panic_come_after_the_outcomes_before_them() {
    struct Panics(u64);
    impl serde::Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(self.0 < 90, "as it was told");
            serializer.serialize_u64(self.0)
        }
    }
    let bench = Bench::with_workers(2);
    let factorize = bench
        .factorizer
        .task::<(Panics,), Vec<u64>>("factorize")
        .unwrap();
    let factorize = factorize.with(chunks_of(1));
    let mut taken = Vec::new();
    let mut outcomes = bench.pool.map(&factorize, (0..100).map(Panics));
    let panic = catch_unwind(AssertUnwindSafe(|| taken.extend(outcomes.by_ref())));
    assert!(panic.is_err());
    let taken = taken.into_iter().map(Result::unwrap);
    assert!(taken.eq((0..90).map(factorizer::factorize)));
    assert!(outcomes.next().is_none());
    drop(outcomes);
    bench.assert_healthy();
}

#[test]
fn a_map_over_the_outcomes_of_a_map_ends_in_a_queue_of_one_place() {
    let bench = Bench::new(Pool::builder().workers(2).queue_capacity(1));
    let outcomes = within_long(move || {
        let recall = bench.task::<u64, u64>("remember").with(chunks_of(4));
        let factorize = bench.factorize().with(chunks_of(4));
        let inner = bench.pool.map(&recall, 0..50_u64);
        let inner = inner.zip(2..).map(|(outcome, n)| outcome.map_or(0, |_| n));
        let outer = bench.pool.map(&factorize, inner);
        outer.map(Result::unwrap).collect::<Vec<_>>()
    });
    assert!(outcomes.into_iter().eq((2..52).map(factorizer::factorize)));
}

#[test]
fn pulled_inputs_hold_no_place_in_the_queue() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
    let recall = bench.task::<u64, u64>("recall");
    // Each input submits a task of its own, for which there is room if the map holds no place.
    let inputs = (0..40_u64).map(|n| {
        let own = bench.submit::<_, u64>("recall", n);
        own.wait().unwrap()
    });
    let outcomes = bench.pool.map(&recall.with(chunks_of(4)), inputs);
    assert_eq!(outcomes.map(Result::unwrap).count(), 40);
    let room = Cell::new(0);
    // No task is queued or runs while the first chunk is pulled.
    let inputs = (0..4_u64).inspect(|_| {
        room.set(room.get() + usize::from(bench.pool.queued() == 0));
    });
    let outcomes = bench.pool.map(&recall.with(chunks_of(4)), inputs);
    assert_eq!(outcomes.map(Result::unwrap).count(), 4);
    assert_eq!(room.get(), 4);
}

#[test]
fn chunks_of_any_size_take_endless_inputs() {
    let bench = Bench::new(Pool::builder().workers(2).queue_capacity(usize::MAX));
    for size in [usize::MAX, usize::MAX - 1, usize::MAX / 2, 1 << 40] {
        let factorize = bench.factorize().with(chunks_of(size));
        let outcomes = bench.pool.map(&factorize, 0_u64..);
        let outcomes = outcomes.take(10).map(Result::unwrap);
        assert!(outcomes.eq((0..10).map(factorizer::factorize)));
    }
}
