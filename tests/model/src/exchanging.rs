//! Claims about shared objects: `objects/`.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::check::{check, together};
use crate::objects::{Barrier, Condition, Event, Hold, Lock, ObjectBudget, Queue, Semaphore};
use crate::registry::block_on;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, lock};

fn budget() -> Arc<ObjectBudget> {
    Arc::new(ObjectBudget::of_family(10, 10_000))
}

fn queue(capacity: usize) -> Queue {
    Queue::new(capacity, &budget()).expect("there is room for it")
}

/// Polls once, and leaves the line: a task that is stopped while it waits.
fn poll_once<F: Future>(future: F) -> Option<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Each item is taken once, whoever puts it in and takes it out, and a closed queue gives out all that
/// it has.
pub fn items_are_taken_once() {
    check(|| {
        let queue = queue(1);
        let taken = Mutex::new(Vec::new());
        let n_done = AtomicUsize::new(0);
        let put = |item: u8| {
            block_on(queue.put(vec![item])).expect("it is open");
            if n_done.fetch_add(1, Ordering::SeqCst) == 1 {
                queue.close();
            }
        };
        let take = || {
            while let Ok(item) = block_on(queue.get()) {
                lock(&taken).push(item[0]);
            }
        };
        together([&|| put(1), &|| put(2), &take, &take]);
        let mut taken = std::mem::take(&mut *lock(&taken));
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
    });
}

/// The items of one producer come in order.
pub fn items_come_in_order() {
    check(|| {
        let queue = queue(2);
        together([
            &|| {
                for item in 0..4 {
                    block_on(queue.put(vec![item])).expect("it is open");
                }
            },
            &|| {
                for item in 0..4 {
                    assert_eq!(block_on(queue.get()), Ok(vec![item]));
                }
            },
        ]);
    });
}

/// A task that leaves the line takes nobody's wake-up with it: whoever waits behind it is served.
pub fn who_leaves_the_line_swallows_no_item() {
    check(|| {
        let queue = queue(1);
        together([
            &|| block_on(queue.put(vec![1])).expect("it is open"),
            &|| {
                // One that got the item gives it to the other.
                if let Some(item) = poll_once(queue.get()) {
                    block_on(queue.put(item.expect("it is open"))).expect("it is open");
                }
            },
            &|| assert_eq!(block_on(queue.get()), Ok(vec![1])),
        ]);
        assert_eq!(queue.len(), 0);
    });
}

/// The same for those who wait for room.
pub fn who_leaves_the_line_swallows_no_room() {
    check(|| {
        let queue = queue(1);
        block_on(queue.put(vec![0])).expect("it is open");
        let n_put = AtomicUsize::new(1);
        let n_left = Mutex::new(3);
        together([
            &|| {
                if poll_once(queue.put(vec![1])).is_some() {
                    n_put.fetch_add(1, Ordering::SeqCst);
                } else {
                    *lock(&n_left) -= 1;
                }
            },
            &|| {
                block_on(queue.put(vec![2])).expect("it is open");
                n_put.fetch_add(1, Ordering::SeqCst);
            },
            &|| {
                block_on(queue.get()).expect("there is an item");
                block_on(queue.get()).expect("there is another");
            },
        ]);
        let (put, left) = (n_put.load(Ordering::SeqCst), *lock(&n_left));
        assert_eq!((put, queue.len()), (left, left - 2));
    });
}

/// A close ends all waits.
pub fn a_close_reaches_all_who_wait() {
    check(|| {
        let queue = queue(1);
        let get = || assert!(block_on(queue.get()).is_err());
        together([&|| queue.close(), &get, &get]);
    });
}

/// One holder at a time, also where some leave the line; and the lock is free in the end.
pub fn a_lock_has_one_holder() {
    check(|| {
        let shared = Lock::new(&budget()).expect("there is room for it");
        let n_holders = AtomicUsize::new(0);
        let hold = |hold: Hold| {
            assert_eq!(n_holders.fetch_add(1, Ordering::SeqCst), 0);
            n_holders.fetch_sub(1, Ordering::SeqCst);
            assert!(!hold.was_left_behind());
            hold.give_back();
        };
        let wait = || hold(block_on(shared.acquire()));
        let leave = || {
            poll_once(shared.acquire()).map(hold);
        };
        together([&wait, &wait, &leave]);
        assert!(poll_once(shared.acquire()).is_some());
    });
}

/// One holder, the next, is told of a lock that was left behind.
pub fn the_next_holder_is_told() {
    check(|| {
        let shared = Lock::new(&budget()).expect("there is room for it");
        let left = block_on(shared.acquire());
        let left = Mutex::new(Some(left));
        let n_told = AtomicUsize::new(0);
        let take = || {
            let hold = block_on(shared.acquire());
            if hold.was_left_behind() {
                n_told.fetch_add(1, Ordering::SeqCst);
            }
            hold.give_back();
        };
        together([&|| drop(lock(&left).take()), &take, &take]);
        assert_eq!(n_told.load(Ordering::SeqCst), 1);
    });
}

/// No more holders than permits, and all permits are there in the end.
pub fn a_semaphore_gives_out_what_it_has() {
    check(|| {
        let semaphore = Semaphore::new(2, &budget()).expect("there is room for it");
        let n_holders = AtomicUsize::new(0);
        let hold = |hold: Hold| {
            assert!(n_holders.fetch_add(1, Ordering::SeqCst) < 2);
            n_holders.fetch_sub(1, Ordering::SeqCst);
            hold.give_back();
        };
        let wait = || hold(block_on(semaphore.acquire()));
        let leave = || {
            poll_once(semaphore.acquire()).map(hold);
        };
        together([&wait, &wait, &wait, &leave]);
        assert_eq!(semaphore.available(), 2);
    });
}

/// All who wait for an event go on when it is set.
pub fn an_event_reaches_all() {
    check(|| {
        let event = Event::new(&budget()).expect("there is room for it");
        let wait = || block_on(event.wait());
        together([&|| event.set(true), &wait, &wait, &|| {
            poll_once(event.wait());
        }]);
    });
}

/// Who waits under the lock until something is so does not miss the notice of it, also where another
/// who waits leaves.
pub fn a_notice_is_not_missed() {
    check(|| {
        let shared = Lock::new(&budget()).expect("there is room for it");
        let condition = Condition::new(&budget()).expect("there is room for it");
        let is_so = AtomicBool::new(false);
        together([
            &|| {
                let mut hold = block_on(shared.acquire());
                while !is_so.load(Ordering::SeqCst) {
                    let waited = block_on(condition.wait(hold, std::future::pending()));
                    let (again, is_notified) = waited.expect("it is a lock");
                    assert!(is_notified);
                    hold = again;
                }
                hold.give_back();
            },
            &|| {
                let hold = block_on(shared.acquire());
                if let Some(waited) = poll_once(condition.wait(hold, std::future::pending())) {
                    waited.expect("it is a lock").0.give_back();
                }
            },
            &|| {
                let hold = block_on(shared.acquire());
                is_so.store(true, Ordering::SeqCst);
                condition.notify(1);
                hold.give_back();
            },
        ]);
        assert!(poll_once(shared.acquire()).is_some());
    });
}

/// A barrier lets all of a round through, each with a number of its own, round after round.
pub fn a_barrier_lets_all_through() {
    check(|| {
        let barrier = Barrier::new(3, &budget()).expect("there is room for it");
        let sum = AtomicUsize::new(0);
        let meet = || {
            for _ in 0..2 {
                let number = block_on(barrier.wait()).expect("nobody leaves");
                sum.fetch_add(1 << (4 * number), Ordering::SeqCst);
            }
        };
        together([&meet, &meet, &meet]);
        assert_eq!(sum.load(Ordering::SeqCst), 0x222);
    });
}

/// If one leaves a barrier before all are there, nobody waits for ever, and the others have the same
/// outcome.
pub fn who_leaves_a_barrier_breaks_it() {
    check(|| {
        let barrier = Barrier::new(3, &budget()).expect("there is room for it");
        let n_through = AtomicUsize::new(0);
        let through = |is_through: bool| {
            n_through.fetch_add(usize::from(is_through), Ordering::SeqCst);
        };
        let meet = || through(block_on(barrier.wait()).is_ok());
        together([&meet, &meet, &|| {
            through(matches!(poll_once(barrier.wait()), Some(Ok(_))));
        }]);
        // One that leaves when all are there goes through without a notice.
        let n_through = n_through.load(Ordering::SeqCst);
        let expected = if barrier.is_broken() { 0..=0 } else { 2..=3 };
        assert!(expected.contains(&n_through), "{n_through}");
    });
}

/// A barrier that is made whole tells those who wait, and serves those who come later.
pub fn a_reset_tells_those_who_wait() {
    check(|| {
        let barrier = Barrier::new(2, &budget()).expect("there is room for it");
        let n_told = AtomicUsize::new(0);
        let meet = || {
            // Whoever was told comes again; then nobody resets it any more.
            while block_on(barrier.wait()).is_err() {
                n_told.fetch_add(1, Ordering::SeqCst);
            }
        };
        together([&meet, &meet, &|| barrier.reset()]);
        assert!(n_told.load(Ordering::SeqCst) <= 1);
        assert!(!barrier.is_broken());
    });
}
