//! Queues, pipes and maps.

use std::time::Duration;

use super::tasks;
use crate::children::wait_all;
use crate::shared::{GetError, Map, PutError, Queue, pipe};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn items_come_out_in_the_order_in_which_they_went_in() {
    let queue = Queue::new(3).unwrap();
    for item in ["a", "b", "c"] {
        queue.put(&item.to_owned()).unwrap();
    }
    assert_eq!(queue.len(), 3);
    for item in ["a", "b", "c"] {
        assert_eq!(queue.get().unwrap(), item);
    }
    assert!(queue.is_empty());
}

#[test]
fn full_queue_takes_nothing() {
    let queue = Queue::new(1).unwrap();
    assert_eq!(queue.capacity(), 1);
    queue.put(&1).unwrap();
    assert_eq!(queue.try_put(&2), Err(PutError::Full));
    assert_eq!(queue.put_timeout(&2, SHORT), Err(PutError::Full));
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(queue.try_put(&2), Ok(()));
}

#[test]
fn empty_queue_gives_nothing() {
    let queue = Queue::<u64>::new(1).unwrap();
    assert_eq!(queue.try_get(), Err(GetError::Empty));
    assert_eq!(queue.get_timeout(SHORT), Err(GetError::Empty));
}

#[test]
fn queue_has_room_for_one_item_at_least() {
    let queue = Queue::new(0).unwrap();
    assert_eq!(queue.capacity(), 1);
    assert_eq!(queue.try_put(&1), Ok(()));
}

#[test]
fn closed_queue_gives_out_what_it_has() {
    let queue = Queue::new(2).unwrap();
    queue.put(&1).unwrap();
    queue.close();
    assert!(queue.is_closed());
    assert_eq!(queue.put(&2), Err(PutError::Closed));
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(queue.get(), Err(GetError::Closed));
}

#[test]
fn closing_wakes_who_waits() {
    let (empty, full) = (Queue::<u64>::new(1).unwrap(), Queue::new(1).unwrap());
    full.put(&1).unwrap();
    std::thread::scope(|scope| {
        let getting = scope.spawn(|| empty.get());
        let putting = scope.spawn(|| full.put(&2));
        empty.close();
        full.close();
        assert_eq!(getting.join().unwrap(), Err(GetError::Closed));
        assert_eq!(putting.join().unwrap(), Err(PutError::Closed));
    });
}

#[test]
fn iterator_ends_when_the_queue_is_closed() {
    let queue = Queue::new(2).unwrap();
    let producer = tasks::produce::submit(queue.clone(), 100).unwrap();
    let items = queue.iter().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(items, (0..100).collect::<Vec<_>>());
    producer.wait().unwrap();
}

#[test]
fn iterator_ends_after_an_error() {
    let texts = Queue::new(2).unwrap();
    for text in ["a", "b"] {
        texts.put(&text.to_owned()).unwrap();
    }
    let numbers: Queue<u64> = super::travel::handed_over(&texts).unwrap();
    let mut items = numbers.iter();
    let Some(Err(GetError::BadItem(problem))) = items.next() else {
        panic!("it is not a number");
    };
    assert_eq!(problem, "text does not fit into `u64`");
    assert_eq!(items.next(), None);
    assert_eq!(texts.len(), 1);
}

#[test]
fn ends_of_a_pipe_answer_each_other() {
    let (here, there) = pipe(1).unwrap();
    let child = tasks::answer::submit(there).unwrap();
    for number in 0..10 {
        here.send(&number).unwrap();
        assert_eq!(here.receive().unwrap(), number.to_string());
    }
    here.close();
    assert_eq!(child.wait().unwrap(), 10);
}

#[test]
fn pipe_has_room_in_each_direction() {
    let (here, there) = pipe::<u64, u64>(1).unwrap();
    assert_eq!(here.try_receive(), Err(GetError::Empty));
    assert_eq!(here.receive_timeout(SHORT), Err(GetError::Empty));
    here.send(&1).unwrap();
    there.send(&2).unwrap();
    assert_eq!(here.try_send(&3), Err(PutError::Full));
    assert_eq!(here.send_timeout(&3, SHORT), Err(PutError::Full));
    assert_eq!((there.receive(), here.receive()), (Ok(1), Ok(2)));
}

#[test]
fn end_of_a_pipe_that_is_gone_counts_as_closed() {
    let (here, there) = pipe::<u64, u64>(1).unwrap();
    there.send(&1).unwrap();
    let copy = there.clone();
    drop(there);
    assert_eq!(here.try_send(&1), Ok(()));
    drop(copy);
    assert_eq!(here.send(&2), Err(PutError::Closed));
    assert_eq!(here.receive(), Ok(1));
    assert_eq!(here.receive(), Err(GetError::Closed));
}

#[test]
fn map_holds_an_entry_for_each_key() {
    let map = Map::<String, u64>::new().unwrap();
    let [a, b] = ["a", "b"].map(str::to_owned);
    assert_eq!(map.insert(&b, &1), Ok(None));
    assert_eq!(map.insert(&a, &2), Ok(None));
    assert_eq!(map.insert(&b, &3), Ok(Some(1)));
    assert_eq!((map.get(&a), map.get(&b)), (Some(2), Some(3)));
    assert_eq!(map.keys(), ["a", "b"]);
    assert_eq!(map.remove(&a), Some(2));
    assert_eq!((map.remove(&a), map.get(&a)), (None, None));
    assert!(map.contains_key(&b) && !map.contains_key(&a));
    assert_eq!(map.len(), 1);
    map.clear();
    assert!(map.is_empty());
}

#[test]
fn update_sees_and_makes_absence() {
    let map = Map::<u8, u64>::new().unwrap();
    assert_eq!(map.update(&1, |value| value), Ok(None));
    assert!(map.is_empty());
    assert_eq!(map.update(&1, |value| value.or(Some(5))), Ok(Some(5)));
    assert_eq!(map.update(&1, |_| None), Ok(None));
    assert!(map.is_empty());
}

#[test]
fn updates_of_several_children_all_count() {
    let map = Map::new().unwrap();
    let words = ["a", "b", "a", "c"].repeat(50);
    let words = words.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let children = (0..8).map(|_| tasks::tally::submit(map.clone(), words.clone()).unwrap());
    for outcome in wait_all(children) {
        outcome.unwrap();
    }
    let counts = ["a", "b", "c"].map(|word| map.get(&word.to_owned()));
    assert_eq!(counts, [Some(800), Some(400), Some(400)]);
}
