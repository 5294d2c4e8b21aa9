//! The future of a task: its states, waiting, awaiting, callbacks.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use wasmpool::{BuildError, Pool, TaskErrorKind, TaskFuture, TaskOptions, TaskState};

use crate::support::{Bench, LONG, within_long};

#[test]
fn a_future_is_queued_then_running_then_done() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let queued = bench.submit::<_, u64>("recall", 1);
    assert_eq!(
        (running.state(), queued.state()),
        (TaskState::Running, TaskState::Queued)
    );
    assert!(!running.is_done() && running.report().is_none() && running.error().is_none());
    running.cancel();
    queued.wait().unwrap();
    assert_eq!(queued.state(), TaskState::Done);
    assert!(queued.is_done() && !queued.is_cancelled());
}

/// The state of a task as a number that only grows.
fn stage<Out>(future: &TaskFuture<Out>) -> u8 {
    match future.state() {
        TaskState::Queued => 0,
        TaskState::Running | TaskState::Suspended => 1,
        TaskState::Done => 2,
        other => panic!("{other:?}"),
    }
}

#[test]
fn states_only_go_forward_and_no_more_run_than_there_are_workers() {
    const WAVE: usize = 64;
    let bench = Bench::with_workers(2);
    let factorize = bench.factorize();
    let (mut seen_running, mut waves) = (0, 0);
    while waves < 100 || seen_running == 0 {
        waves += 1;
        let submit = |n: usize| bench.pool.submit(&factorize, (n as u64 * 1_000_003,));
        let futures = (0..WAVE).map(|n| submit(n).unwrap()).collect::<Vec<_>>();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for future in futures.iter().skip(waves % 7).step_by(7) {
                    future.cancel();
                }
            });
            let mut before = [0; WAVE];
            loop {
                // Tasks that run before and after also run in between, all at the same moment,
                // since states never go back.
                let after: [u8; WAVE] = std::array::from_fn(|n| stage(&futures[n]));
                let both = || before.iter().zip(&after);
                assert!(both().all(|(before, after)| before <= after));
                let running = both().filter(|stages| *stages == (&1, &1)).count();
                assert!(running <= 2, "{running} run at once");
                seen_running = seen_running.max(running);
                for (stage, future) in after.iter().zip(&futures) {
                    // The other answers may be newer than the stage, but never older.
                    if *stage == 2 {
                        assert!(future.is_done() && future.report().is_some());
                    }
                    if future.is_cancelled() {
                        assert!(future.is_done() && future.state() == TaskState::Done);
                    }
                }
                if after == [2; WAVE] {
                    break;
                }
                before = after;
            }
        });
    }
}

#[test]
fn a_cancel_that_races_the_end_has_one_consistent_outcome() {
    let bench = Bench::with_workers(1);
    let factorize = bench.factorize();
    let (mut cancelled, mut finished) = (0, 0);
    // A task takes some microseconds, and the cancels are spread over that time. With a single
    // spare core all cancels come too early: then the worker gets a head start.
    let mut cancels_in_a_row = 0_u32;
    for n in 1..=10_000 {
        let future = bench.pool.submit(&factorize, (n,)).unwrap();
        let (sender, told) = mpsc::channel();
        future.on_done(move |future| sender.send(future.wait().is_err()).unwrap());
        (0..cancels_in_a_row / 8).for_each(|_| std::thread::yield_now());
        (0..n * 7_919 % 1_024).for_each(|_| std::hint::spin_loop());
        let is_cancelled = future.cancel();
        // Without a wait: a cancel that loses the race has lost to an outcome.
        assert!(future.is_done() && future.state() == TaskState::Done);
        for _ in 0..2 {
            assert_eq!(future.is_cancelled(), is_cancelled);
            assert_eq!(future.error().is_some(), is_cancelled);
            assert_eq!(future.cancel(), is_cancelled);
            match future.wait() {
                Ok(factors) => assert!(factors.iter().product::<u64>() == n && !is_cancelled),
                Err(error) => assert!(error.is_cancelled() && is_cancelled),
            }
        }
        assert!(told.iter().eq([is_cancelled]), "one callback, same news");
        if is_cancelled {
            cancelled += 1;
            cancels_in_a_row += 1;
        } else {
            finished += 1;
            cancels_in_a_row = 0;
        }
    }
    assert!(cancelled > 0 && finished > 0, "{cancelled} {finished}");
    let stats = bench.pool.stats();
    assert_eq!((stats.succeeded, stats.finished), (finished, 10_000));
    bench.assert_healthy();
}

#[test]
fn a_wait_that_times_out_does_not_affect_the_task() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let behind = bench.submit::<_, u64>("recall", 3);
    assert!(behind.wait_timeout(Duration::ZERO).is_none());
    assert!(behind.wait_timeout(Duration::from_millis(5)).is_none());
    running.cancel();
    assert_eq!(behind.wait().unwrap(), 3);
    assert_eq!(behind.wait_timeout(Duration::ZERO).unwrap().unwrap(), 3);
    assert_eq!(behind.wait_timeout(Duration::MAX).unwrap().unwrap(), 3);
}

#[test]
fn many_threads_wait_for_one_future() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let future = bench.submit::<_, u64>("recall", 9);
    std::thread::scope(|scope| {
        let waiters = [(); 4].map(|()| scope.spawn(|| future.wait().unwrap()));
        running.cancel();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), 9);
        }
    });
}

/// Wakes a parked thread, and counts how often.
struct Unpark(Thread, AtomicUsize);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.unpark();
    }
}

/// A minimal executor. Returns how often it was woken.
pub(crate) fn block_on<F: Future>(future: F) -> (F::Output, usize) {
    let unpark = Arc::new(Unpark(std::thread::current(), AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&unpark));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return (output, unpark.1.load(Ordering::SeqCst));
        }
        std::thread::park_timeout(LONG);
    }
}

#[test]
fn a_future_can_be_awaited_and_wakes_once() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let future = bench.submit::<_, u64>("recall", 4);
    let canceller = std::thread::spawn(move || running.cancel());
    let (outcome, woken) = block_on(future);
    assert_eq!(outcome.unwrap(), 4);
    assert!(woken <= 1, "{woken}");
    canceller.join().unwrap();
    let done = bench.submit::<_, u64>("recall", 5);
    done.wait().unwrap();
    assert_eq!(block_on(done).0.unwrap(), 5);
}

#[test]
fn a_future_can_be_awaited_on_tokio_beside_others() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        // Building and loading also work inside of a runtime.
        let bench = Bench::with_workers(2);
        let factorize = bench.factorize();
        let (a, b) = (
            bench.pool.submit(&factorize, (30,)).unwrap(),
            bench.pool.submit(&factorize, (49,)).unwrap(),
        );
        let (a, b) = tokio::join!(a, b);
        assert_eq!((a.unwrap(), b.unwrap()), (vec![2, 3, 5], vec![7, 7]));
    });
}

#[test]
fn a_future_that_is_dropped_leaves_its_task_running() {
    let bench = Bench::with_workers(1);
    let (sender, receiver) = mpsc::channel();
    let future = bench.submit::<_, u64>("recall", 6);
    future.on_done(move |future| sender.send(future.wait()).unwrap());
    drop(future);
    assert_eq!(receiver.recv_timeout(LONG).unwrap().unwrap(), 6);
}

#[test]
fn callbacks_run_once_in_order_for_every_end() {
    let bench = Bench::with_workers(1);
    let check = |future: wasmpool::TaskFuture<u64>, end: &dyn Fn(&wasmpool::TaskFuture<u64>)| {
        let (sender, receiver) = mpsc::channel();
        for number in 0..3 {
            let sender = sender.clone();
            future.on_done(move |future| sender.send((number, future.is_done())).unwrap());
        }
        end(&future);
        let _ = future.wait();
        // Added after the end: called at once, on this thread.
        future.on_done(move |future| sender.send((3, future.is_done())).unwrap());
        let calls = receiver.iter().take(4).collect::<Vec<_>>();
        let mut numbers = calls.iter().map(|(number, _)| *number).collect::<Vec<_>>();
        numbers.retain(|&number| number < 3);
        assert_eq!(numbers, [0, 1, 2]);
        assert!(calls.iter().all(|(_, is_done)| *is_done));
        assert!(receiver.recv().is_err(), "none is called twice");
    };
    check(bench.submit("recall", 1), &|_| ());
    check(bench.submit("panic", "now"), &|_| ());
    check(bench.spinning(), &|future| assert!(future.cancel()));
}

#[test]
fn a_panicking_callback_does_not_stop_the_others() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let future = bench.submit::<_, u64>("recall", 1);
    let (sender, receiver) = mpsc::channel();
    future.on_done(|_| std::panic::resume_unwind(Box::new("a bad callback")));
    future.on_done(move |_| sender.send(()).unwrap());
    running.cancel();
    receiver.recv_timeout(LONG).unwrap();
    assert_eq!(future.wait().unwrap(), 1);
    bench.assert_healthy();
}

#[test]
fn a_callback_may_submit_to_its_own_full_pool_and_shut_it_down() {
    let pool = Pool::builder()
        .workers(1)
        .queue_capacity(1)
        .build()
        .unwrap();
    let module = pool.load(wasmpool_guests::FACTORIZER.path()).unwrap();
    let factorize = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    let (sender, receiver) = mpsc::channel();
    let first = pool.submit(&factorize, (6,)).unwrap();
    let inner = pool.clone();
    first.on_done(move |_| {
        // Three more tasks than the queue has room for, from the only thread that takes tasks.
        for n in [10, 15, 21, 35] {
            let sender = sender.clone();
            let future = inner.submit(&factorize, (n,)).unwrap();
            future.on_done(move |future| sender.send(future.wait().unwrap()).unwrap());
        }
        inner.shutdown(wasmpool::Shutdown::Graceful);
    });
    let factors = within_long(move || receiver.iter().collect::<Vec<_>>());
    assert_eq!(factors, [[2, 5], [3, 5], [3, 7], [5, 7]]);
    // The callback may have the last handle: then the pool ends on its own thread.
    drop(pool);
}

#[test]
fn a_callback_of_a_cancelled_task_may_wait_for_the_place_it_frees() {
    let bench = Arc::new(Bench::new(Pool::builder().workers(1).queue_capacity(1)));
    let running = bench.spinning();
    let queued = bench.submit::<_, u64>("recall", 1);
    let again = Arc::clone(&bench);
    let (sender, receiver) = mpsc::channel();
    running.on_done(move |_| {
        // Blocks until the cancelled guest has left its worker, and the queue has room.
        sender.send(again.submit::<_, u64>("recall", 2)).unwrap();
    });
    within_long(move || assert!(running.cancel()));
    assert_eq!(queued.wait().unwrap(), 1);
    assert_eq!(receiver.recv().unwrap().wait().unwrap(), 2);
}

#[test]
fn a_callback_of_an_expired_task_may_submit_and_shut_down() {
    let builder = Pool::builder().workers(1).queue_capacity(1);
    let bench = Arc::new(Bench::new(builder.queue_timeout(Duration::from_millis(20))));
    let running = bench.spinning();
    let expiring = bench.submit::<_, u64>("recall", 1);
    let again = Arc::clone(&bench);
    let (sender, receiver) = mpsc::channel();
    expiring.on_done(move |future| {
        assert!(future.wait().unwrap_err().is_timeout());
        for n in [2, 3, 4] {
            sender.send(again.submit::<_, u64>("recall", n)).unwrap();
        }
        again.pool.shutdown(wasmpool::Shutdown::Terminate);
        // This may drop the last handle: then the pool ends on its own thread.
        drop(again);
    });
    drop(bench);
    let submitted = within_long(move || receiver.iter().collect::<Vec<_>>());
    assert_eq!(submitted.len(), 3);
    within_long(move || {
        submitted
            .iter()
            .for_each(|future| assert!(future.wait().is_err()))
    });
    assert!(within_long(move || running.wait()).is_err());
}

#[test]
fn a_callback_may_wait_for_its_own_future_together_with_others() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let future = bench.submit::<_, u64>("recall", 1);
    let (sender, receiver) = mpsc::channel();
    future.on_done(move |future| {
        let waited = wasmpool::wait([future], wasmpool::Until::AllCompleted, None);
        sender.send(waited.done.len()).unwrap();
    });
    running.cancel();
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), 1);
}

#[test]
fn a_panicking_waker_ends_no_worker() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("a bad waker"));
        }
    }
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let mut future = bench.submit::<_, u64>("recall", 1);
    let waker = Waker::from(Arc::new(Panics));
    let polled = std::pin::Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    running.cancel();
    assert_eq!(future.wait().unwrap(), 1);
    bench.assert_healthy();
}

#[test]
fn a_result_can_be_read_without_a_copy() {
    let bench = Bench::with_workers(1);
    let future = bench.submit::<_, String>("echo", "the same text");
    let (first, second) = (future.wait_as::<&str>(), future.wait_as::<&str>());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first, first.as_ptr()), ("the same text", second.as_ptr()));
    let error = future.wait_as::<u64>().unwrap_err();
    assert_eq!(error.kind(), wasmpool::TaskErrorKind::BadResult);
}

#[test]
fn a_blocking_callback_of_an_expired_task_delays_no_timeout() {
    let bench = Bench::with_workers(1);
    let running = bench.spinning();
    let short = TaskOptions::new().queue_timeout(Duration::from_millis(20));
    let recall = bench.task::<u64, u64>("recall").with(short);
    let expiring = bench.pool.submit(&recall, (1,)).unwrap();
    let (called, is_called) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    expiring.on_done(move |_| {
        called.send(()).unwrap();
        // Until the sender is dropped.
        let _ = is_released.recv();
    });
    is_called.recv_timeout(LONG).unwrap();
    running.cancel();
    let timed = TaskOptions::new().task_timeout(Duration::from_millis(50));
    let spin = bench.task::<u64, u64>("spin").with(timed);
    for during_the_callback in [true, false] {
        let future = bench.pool.submit(&spin, (1,)).unwrap();
        let outcome = future.wait_timeout(LONG).expect("its time is up");
        assert_eq!(outcome.unwrap_err().kind(), TaskErrorKind::TimedOut);
        if during_the_callback {
            // Queue timeouts still work too.
            let running = bench.spinning();
            let expiring = bench.pool.submit(&recall, (1,)).unwrap();
            let outcome = expiring.wait_timeout(LONG).expect("its time is up");
            assert_eq!(outcome.unwrap_err().kind(), TaskErrorKind::QueueTimedOut);
            running.cancel();
        }
    }
    drop(release);
    bench.assert_healthy();
}

#[test]
fn callbacks_run_on_threads_with_the_names_of_the_pool() {
    let bench = Bench::with_workers(3);
    let running = [(); 3].map(|()| bench.spinning());
    let (sender, names) = mpsc::channel();
    let told = |future: &TaskFuture<u64>| {
        let sender = sender.clone();
        future.on_done(move |future| {
            let name = std::thread::current().name().map(str::to_owned);
            let worker = future.report().unwrap().worker;
            sender.send((name.unwrap(), worker)).unwrap();
        });
    };
    let queued = [(); 30].map(|()| bench.submit::<_, u64>("recall", 1));
    queued.iter().for_each(told);
    running.iter().for_each(|future| assert!(future.cancel()));
    queued.iter().for_each(|future| drop(future.wait()));
    for _ in &queued {
        let (name, worker) = names.recv_timeout(LONG).unwrap();
        assert_eq!(name, format!("wasmpool-worker-{}", worker.unwrap()));
    }
    let running = [(); 3].map(|()| bench.spinning());
    let short = TaskOptions::new().queue_timeout(Duration::from_millis(20));
    let recall = bench.task::<u64, u64>("recall").with(short);
    let expiring = bench.pool.submit(&recall, (1,)).unwrap();
    told(&expiring);
    let (name, worker) = names.recv_timeout(LONG).unwrap();
    assert_eq!((name.as_str(), worker), ("wasmpool-callbacks", None));
    running.iter().for_each(|future| assert!(future.cancel()));
}

#[test]
fn worker_threads_have_the_embedder_s_settings() {
    let (sender, events) = mpsc::channel();
    let exits = sender.clone();
    let name = || std::thread::current().name().unwrap().to_owned();
    let builder = Pool::builder()
        .workers(2)
        .thread_name(|worker| format!("judge-{worker}"))
        .thread_stack_size(4 << 20)
        .on_thread_start(move |worker| {
            sender.send(("start", worker, name())).unwrap();
            panic!("a handler's panic is its own");
        })
        .on_thread_exit(move |worker| exits.send(("exit", worker, name())).unwrap());
    let bench = Bench::new(builder);
    let expected = |event| [0, 1].map(|worker| (event, worker, format!("judge-{worker}")));
    let mut started = [(); 2].map(|()| events.recv_timeout(LONG).unwrap());
    started.sort();
    bench.assert_healthy();
    assert_eq!(started, expected("start"));
    drop(bench);
    let mut exited = events.iter().collect::<Vec<_>>();
    exited.sort();
    assert_eq!(exited, expected("exit"));
}

#[test]
fn a_pool_whose_workers_get_no_threads_says_so_and_leaves_none_behind() {
    // No system has room for such a stack.
    let builder = Pool::builder().workers(3).thread_stack_size(1 << 50);
    let error = builder.build().unwrap_err();
    assert!(
        matches!(
            error,
            BuildError::Thread {
                started: 0,
                workers: 3,
                ..
            }
        ),
        "{error:?}"
    );
    let message = error.to_string();
    assert!(message.contains("`ulimit -u`"), "{message}");
}
