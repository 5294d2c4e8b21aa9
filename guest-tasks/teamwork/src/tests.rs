//! The tasks that share objects, without a host.

use wasmpool_guest::children::wait_all;
use wasmpool_guest::shared::{
    Array, Barrier, Condition, Event, Lock, Map, Queue, Semaphore, Value,
};

use super::tasks;

#[test]
fn numbers_go_through_a_queue() {
    assert_eq!(tasks::through_queue(1000, 4).unwrap(), 499_500);
    let queue = Queue::new(10).unwrap();
    assert_eq!(tasks::produce(queue.clone(), 3, 6).unwrap(), 3);
    assert_eq!(tasks::take_one(queue.clone()).unwrap(), 3);
    assert_eq!(tasks::take_or_give_up(queue.clone(), 1).unwrap(), Some(4));
    queue.close();
    assert_eq!(tasks::consume(queue.clone()).unwrap(), [5]);
    assert!(tasks::take_or_give_up(queue, 1).is_err());
    let empty = Queue::new(1).unwrap();
    assert_eq!(tasks::take_or_give_up(empty, 1).unwrap(), None);
}

#[test]
fn numbers_go_to_and_fro_through_a_pipe() {
    assert_eq!(tasks::ping_pong(100).unwrap(), 100);
}

#[test]
fn children_count_together() {
    assert_eq!(tasks::count_up(8, 200).unwrap(), 1600);
    let value = Value::new(0).unwrap();
    tasks::count_without(value.clone(), 5);
    assert_eq!(value.load(), 5);
}

#[test]
fn lock_is_left_behind_by_a_panic() {
    let lock = Lock::new().unwrap();
    assert!(!tasks::acquire_once(lock.clone()).unwrap());
    let holder = tasks::hold_and_trap::submit(lock.clone()).unwrap();
    assert_eq!(holder.wait().unwrap_err().kind(), "trap");
    assert!(tasks::acquire_once(lock.clone()).unwrap());
    assert!(tasks::try_once(lock.clone()).unwrap());
    let _guard = lock.acquire().unwrap();
    assert!(!tasks::try_once(lock.clone()).unwrap());
}

#[test]
fn no_more_run_than_there_are_permits() {
    let semaphore = Semaphore::new(2).unwrap();
    let (running, most) = (Value::new(0).unwrap(), Value::new(0).unwrap());
    let children = (0..8).map(|_| {
        tasks::with_permit::submit(semaphore.clone(), running.clone(), most.clone()).unwrap()
    });
    for outcome in wait_all(children) {
        outcome.unwrap();
    }
    assert!((1..=2).contains(&most.load()));
    assert_eq!((running.load(), semaphore.available()), (0, 2));
}

#[test]
fn event_is_awaited() {
    let event = Event::new().unwrap();
    assert!(!tasks::await_event_for(event.clone(), 1).unwrap());
    let waiting = tasks::await_event::submit(event.clone()).unwrap();
    tasks::set_event(event.clone());
    waiting.wait().unwrap();
    assert!(tasks::await_event_for(event, 1).unwrap());
}

#[test]
fn tasks_meet_at_a_barrier() {
    let barrier = Barrier::new(3).unwrap();
    let meeting = (0..3).map(|_| tasks::meet::submit(barrier.clone(), 5).unwrap());
    let places = wait_all(meeting).into_iter().map(Result::unwrap);
    let places = places.collect::<Vec<_>>();
    for round in 0..5 {
        assert_eq!(places.iter().map(|places| places[round]).sum::<u32>(), 3);
    }
    assert!(!tasks::meet_for(barrier, 1).unwrap());
}

#[test]
fn tasks_take_turns() {
    let (lock, condition) = (Lock::new().unwrap(), Condition::new().unwrap());
    let turn = Value::new(0).unwrap();
    let children = (0..4).rev().map(|mine| {
        tasks::await_turn::submit(lock.clone(), condition.clone(), turn.clone(), mine).unwrap()
    });
    for outcome in wait_all(children) {
        outcome.unwrap();
    }
    assert_eq!(turn.load(), 4);
}

#[test]
fn array_is_filled_by_parts() {
    let array = Array::new(10).unwrap();
    tasks::fill_array(array.clone(), 0, 5);
    tasks::fill_array(array.clone(), 5, 10);
    assert_eq!(tasks::sum_array(array), 285.0);
}

#[test]
fn words_are_counted_into_a_map() {
    let map = Map::new().unwrap();
    let words = ["a", "b", "a"].map(str::to_owned);
    tasks::tally(map.clone(), words.to_vec()).unwrap();
    assert_eq!(map.get(&words[0]), Some(2));
}

#[test]
fn handles_come_back_and_can_be_kept() {
    assert_eq!(tasks::queue_of_child(vec![3, 5]).unwrap(), [3, 5]);
    assert_eq!(tasks::use_kept().unwrap(), 0);
    tasks::keep(tasks::make_queue(vec![1, 2]).unwrap());
    assert_eq!(tasks::use_kept().unwrap(), 2);
}

#[test]
fn without_a_host_nothing_is_refused_but_full_queues() {
    assert_eq!(tasks::hoard(3, 10).unwrap(), "none");
    let full = "there is no room for the item";
    assert_eq!(tasks::stuff(Queue::new(2).unwrap(), 10).unwrap(), full);
    assert_eq!(tasks::guess(10), 0);
    let error = tasks::items_cannot_carry(Queue::new(1).unwrap()).unwrap();
    assert!(error.contains("not as an item or value"), "{error}");
}
