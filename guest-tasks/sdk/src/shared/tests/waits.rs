//! Locks, semaphores, events, conditions and barriers.

use std::time::Duration;

use super::tasks;
use crate::children::wait_all;
use crate::shared::{Barrier, BarrierError, Condition, Event, Lock, Semaphore, Value};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn lock_is_held_by_one_at_a_time() {
    let lock = Lock::new().unwrap();
    let guard = lock.acquire().unwrap();
    assert!(!guard.was_left_behind());
    assert!(lock.try_acquire().is_none());
    assert!(lock.acquire_timeout(SHORT).unwrap().is_none());
    drop(guard);
    assert!(lock.acquire_timeout(SHORT).unwrap().is_some());
    assert!(lock.try_acquire().is_some());
}

#[test]
fn lock_of_a_holder_that_panicked_was_left_behind() {
    let lock = Lock::new().unwrap();
    let child = tasks::panic_with::submit(lock.clone()).unwrap();
    assert_eq!(child.wait().unwrap_err().kind(), "trap");
    assert!(lock.acquire().unwrap().was_left_behind());
    // The one before has given it back.
    assert!(!lock.acquire().unwrap().was_left_behind());
}

#[test]
fn semaphore_gives_out_the_permits_that_it_has() {
    let semaphore = Semaphore::new(2).unwrap();
    let first = semaphore.acquire().unwrap();
    let second = semaphore.try_acquire().unwrap();
    assert_eq!(semaphore.available(), 0);
    assert!(semaphore.try_acquire().is_none());
    assert!(semaphore.acquire_timeout(SHORT).unwrap().is_none());
    drop(first);
    assert_eq!(semaphore.available(), 1);
    drop(second);
    semaphore.release(3);
    assert_eq!(semaphore.available(), 5);
}

#[test]
fn released_permit_wakes_who_waits() {
    let semaphore = Semaphore::new(0).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| semaphore.acquire().map(drop));
        semaphore.release(1);
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn event_stays_set_until_it_is_cleared() {
    let event = Event::new().unwrap();
    assert_eq!(event.wait_timeout(SHORT), Ok(false));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| event.wait());
        event.set();
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
    assert!(event.is_set());
    assert_eq!(event.wait_timeout(Duration::ZERO), Ok(true));
    event.clear();
    assert!(!event.is_set());
}

#[test]
fn children_take_turns_by_a_condition() {
    let (lock, condition) = (Lock::new().unwrap(), Condition::new().unwrap());
    let turn = Value::new(0).unwrap();
    let children = (0..6).rev().map(|mine| {
        tasks::await_turn::submit(lock.clone(), condition.clone(), turn.clone(), mine).unwrap()
    });
    for outcome in wait_all(children) {
        outcome.unwrap();
    }
    assert_eq!(turn.load(), 6);
}

#[test]
fn notification_wakes_one_who_waits() {
    let (lock, condition) = (Lock::new().unwrap(), Condition::new().unwrap());
    std::thread::scope(|scope| {
        let waiting = [(); 2].map(|()| {
            let guard = lock.acquire().unwrap();
            let (lock, condition, started) = (&lock, &condition, Event::new().unwrap());
            let has_started = started.clone();
            drop(guard);
            let waiter = scope.spawn(move || {
                let guard = lock.acquire().unwrap();
                started.set();
                let hour = Duration::from_secs(3600);
                condition.wait_timeout(guard, hour).unwrap().1
            });
            has_started.wait().unwrap();
            // It has the lock until it waits.
            drop(lock.acquire().unwrap());
            waiter
        });
        condition.notify_one();
        let [first, second] = waiting;
        assert!(first.join().unwrap());
        assert!(!second.is_finished());
        condition.notify_all();
        assert!(second.join().unwrap());
    });
}

#[test]
fn condition_that_is_not_notified_gives_the_lock_back_after_the_timeout() {
    let (lock, condition) = (Lock::new().unwrap(), Condition::new().unwrap());
    // Nobody waits: it is not remembered.
    condition.notify_one();
    let guard = lock.acquire().unwrap();
    let (guard, is_notified) = condition.wait_timeout(guard, SHORT).unwrap();
    assert!(!is_notified);
    assert!(lock.try_acquire().is_none());
    drop(guard);
    assert!(lock.try_acquire().is_some());
}

/// Waits at the barrier on so many threads, and returns their places in order.
fn meet(barrier: &Barrier, parties: u32) -> Vec<Result<u32, BarrierError>> {
    std::thread::scope(|scope| {
        let waiting = (0..parties).map(|_| scope.spawn(|| barrier.wait()));
        let waiting = waiting.collect::<Vec<_>>();
        let mut places = waiting
            .into_iter()
            .map(|waiter| waiter.join().unwrap())
            .collect::<Vec<_>>();
        places.sort_by_key(|place| place.clone().ok());
        places
    })
}

#[test]
fn barrier_opens_when_all_are_there() {
    let barrier = Barrier::new(3).unwrap();
    for _ in 0..20 {
        assert_eq!(meet(&barrier, 3), [Ok(0), Ok(1), Ok(2)]);
    }
    assert_eq!(Barrier::new(1).unwrap().wait(), Ok(0));
}

#[test]
fn barrier_breaks_when_a_timeout_is_over() {
    let barrier = Barrier::new(2).unwrap();
    assert_eq!(barrier.wait_timeout(SHORT), Err(BarrierError::Broken));
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    barrier.reset();
    assert!(!barrier.is_broken());
    assert_eq!(meet(&barrier, 2), [Ok(0), Ok(1)]);
}

#[test]
fn aborted_barrier_wakes_who_waits() {
    let barrier = Barrier::new(3).unwrap();
    std::thread::scope(|scope| {
        let waiting = [(); 2].map(|()| scope.spawn(|| barrier.wait()));
        barrier.abort();
        for waiter in waiting {
            assert_eq!(waiter.join().unwrap(), Err(BarrierError::Broken));
        }
    });
}
