//! Claims about waiting for room without blocking: `queue.rs`.

use std::task::{Context, Poll, Wake, Waker};

use crate::check::{Gathering, check, prove, together};
use crate::queueing::Item;
use crate::registry;
use crate::schedule::{Blocking, Capacity, Permit, PermitWaiter, Queue, ReserveError};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, lock};

type Items = Queue<Arc<Item>>;

/// A queue without places, and the permit that fills it.
fn full() -> (Items, Mutex<Option<Permit>>) {
    let queue = Items::new(1, 1, 0);
    let permit = queue.places.reserve(Blocking::Never).expect("it is empty");
    (queue, Mutex::new(Some(permit)))
}

/// As an async submitter waits: until there is places.
fn reserve(queue: &Items) -> Result<Permit, ReserveError> {
    let mut waiting = None;
    let poll = |context: &mut Context<'_>| queue.places.poll_reserve(&mut waiting, context.waker());
    registry::block_on(std::future::poll_fn(poll))
}

/// Polls once with a waker that wakes nobody: a submitter that is not polled again, and
/// dropped at some time.
fn poll_once(queue: &Items) -> Result<Option<PermitWaiter>, ReserveError> {
    let mut waiting = None;
    match queue.places.poll_reserve(&mut waiting, Waker::noop()) {
        Poll::Ready(reserved) => reserved.map(|_permit| None),
        Poll::Pending => Ok(waiting),
    }
}

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The only one that waits gets the only place when that is given back.
pub fn a_freed_place_reaches_the_only_waiter() {
    check(|| {
        let (queue, permit) = full();
        together([&|| drop(lock(&permit).take()), &|| {
            assert!(reserve(&queue).is_ok());
        }]);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// A close sends the only one home that waits.
pub fn a_close_reaches_the_only_waiter() {
    prove(|| {
        let (queue, _permit) = full();
        together([&|| queue.close(), &|| {
            assert!(matches!(reserve(&queue), Err(ReserveError::Closed)));
        }]);
    });
}

/// Of those who wait, blocked or not, each gets a place in the end, and there are never more
/// than there may be.
pub fn all_waiters_get_places() {
    check(|| {
        let (queue, permit) = full();
        let n_inside = AtomicUsize::new(0);
        let enter = |permit: Permit| {
            assert_eq!(n_inside.fetch_add(1, Ordering::SeqCst), 0);
            n_inside.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
        };
        let wait = || enter(reserve(&queue).expect("it is open"));
        let block = || {
            let reserved = queue.places.reserve(Blocking::Forever);
            enter(reserved.expect("it is open"));
        };
        together([
            &|| drop(lock(&permit).take()),
            &wait,
            &wait,
            &block,
            &block,
            &|| queue.places.reserve(Blocking::Never).map_or((), enter),
        ]);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// A wake-up for one that gives up at this moment is passed on to another that waits, also
/// when one has given up before.
pub fn a_waiter_that_gives_up_passes_its_wake_up_on() {
    check(|| {
        let (queue, permit) = full();
        together([
            &|| drop(lock(&permit).take()),
            &|| drop(poll_once(&queue)),
            &|| drop(poll_once(&queue)),
            &|| drop(reserve(&queue).expect("it is open")),
        ]);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// The same with one who has begun to wait long before and one who waits.
pub fn the_first_waiter_that_gives_up_passes_its_wake_up_on() {
    check(|| {
        let (queue, permit) = full();
        let waiting = poll_once(&queue).expect("it is open");
        let waiting = Mutex::new(waiting);
        together([
            &|| drop(lock(&permit).take()),
            &|| drop(lock(&waiting).take()),
            &|| drop(reserve(&queue).expect("it is open")),
        ]);
    });
}

/// One that is woken and does not come holds up nobody who blocks.
pub fn a_woken_waiter_that_is_not_polled_blocks_no_thread() {
    check(|| {
        let (queue, permit) = full();
        let waiting = poll_once(&queue).expect("it is open");
        together([&|| drop(lock(&permit).take()), &|| {
            drop(queue.places.reserve(Blocking::Forever).expect("it is open"));
        }]);
        drop(waiting);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// A close wakes everybody who waits, whoever gives up meanwhile.
pub fn a_close_ends_all_waits() {
    check(|| {
        let (queue, _permit) = full();
        let wait = || assert!(matches!(reserve(&queue), Err(ReserveError::Closed)));
        let block = || {
            let refused = queue.places.reserve(Blocking::Forever);
            assert!(matches!(refused, Err(ReserveError::Closed)));
        };
        together([&wait, &wait, &block, &|| drop(poll_once(&queue)), &|| {
            queue.close();
        }]);
    });
}

/// Who was woken and finds that somebody else was faster waits in peace for the next place:
/// no wake-up without places, however many are in line.
pub fn no_waiter_is_woken_without_a_place() {
    prove(|| {
        let (queue, permit) = full();
        let wakes = [(); 2].map(|()| std::sync::Arc::new(CountWakes::default()));
        let n_wakes = || {
            let n_wakes = wakes.each_ref().map(|wakes| wakes.0.load(Ordering::SeqCst));
            n_wakes.into_iter().sum::<usize>()
        };
        let mut waiting = [None, None];
        let mut poll_all = || {
            for (waiting, wakes) in waiting.iter_mut().zip(&wakes) {
                let waker = Waker::from(std::sync::Arc::clone(wakes));
                assert!(queue.places.poll_reserve(waiting, &waker).is_pending());
            }
        };
        poll_all();
        drop(lock(&permit).take());
        assert_eq!(n_wakes(), 1);
        let _permit = queue
            .places
            .reserve(Blocking::Never)
            .expect("it is free again");
        (0..3).for_each(|_| poll_all());
        assert_eq!(n_wakes(), 1);
    });
}

/// A queue with places enough that is full of bytes, and the permit that holds these.
fn full_of_bytes() -> (Items, Mutex<Option<Permit>>) {
    let capacity = Capacity {
        tasks: 10,
        bytes: Some(100),
    };
    let queue = Items::new(capacity, 1, 0);
    let mut permit = queue.places.reserve(Blocking::Never).expect("it is empty");
    permit.hold_bytes(1_000);
    (queue, Mutex::new(Some(permit)))
}

/// Bytes that come back at once are room for all who wait, blocked or not: each of them holds
/// its place until all have one.
pub fn bytes_that_come_back_at_once_are_room_for_all_who_wait() {
    check(|| {
        let (queue, permit) = full_of_bytes();
        let inside = Gathering::new();
        let enter = |mut permit: Permit| {
            permit.hold_bytes(1);
            inside.come();
            inside.wait_for(4);
            drop(permit);
        };
        let wait = || enter(reserve(&queue).expect("it is open"));
        let block = || {
            let reserved = queue.places.reserve(Blocking::Forever);
            enter(reserved.expect("it is open"));
        };
        together([&|| drop(lock(&permit).take()), &wait, &wait, &block, &block]);
        assert_eq!((queue.places.taken(), queue.places.bytes()), (0, Some(0)));
    });
}

/// The same when some give up, before they are woken or after, or find in their place that they
/// have nothing to put into it.
pub fn who_has_no_use_for_room_for_bytes_passes_it_on() {
    check(|| {
        let (queue, permit) = full_of_bytes();
        let inside = Gathering::new();
        let wait = || {
            let mut permit = reserve(&queue).expect("it is open");
            permit.hold_bytes(1);
            inside.come();
            inside.wait_for(2);
            drop(permit);
        };
        together([
            &|| drop(lock(&permit).take()),
            &|| drop(poll_once(&queue)),
            &|| drop(reserve(&queue).expect("it is open")),
            &wait,
            &wait,
        ]);
        assert_eq!((queue.places.taken(), queue.places.bytes()), (0, Some(0)));
    });
}

/// Those who wait get in one after the other where the arguments of each fill the queue, and the
/// bytes are never more than the mark and the arguments of one for each thread.
pub fn large_arguments_come_in_one_after_the_other() {
    check(|| {
        let (queue, permit) = full_of_bytes();
        let enter = |mut permit: Permit| {
            permit.hold_bytes(100);
            let bytes = queue.places.bytes().expect("they are counted");
            assert!((100..=3 * 100).contains(&bytes));
            drop(permit);
        };
        let wait = || enter(reserve(&queue).expect("it is open"));
        let block = || {
            let reserved = queue.places.reserve(Blocking::Forever);
            enter(reserved.expect("it is open"));
        };
        together([&|| drop(lock(&permit).take()), &wait, &block, &block]);
        assert_eq!((queue.places.taken(), queue.places.bytes()), (0, Some(0)));
    });
}

/// The only one that waits gets in, whether the place or the bytes come back last.
pub fn a_place_and_bytes_that_come_back_reach_the_only_one_who_waits() {
    check(|| {
        let capacity = Capacity {
            tasks: 2,
            bytes: Some(1),
        };
        let queue = Items::new(capacity, 1, 0);
        let permits = [(); 2].map(|()| queue.places.reserve(Blocking::Never));
        let [small, large] = permits.map(|permit| permit.expect("there are two"));
        let mut large = large;
        large.hold_bytes(5);
        let [small, large] = [small, large].map(|permit| Mutex::new(Some(permit)));
        together([
            &|| drop(lock(&small).take()),
            &|| drop(lock(&large).take()),
            &|| drop(queue.places.reserve(Blocking::Forever).expect("it is open")),
        ]);
        assert_eq!((queue.places.taken(), queue.places.bytes()), (0, Some(0)));
    });
}

/// A close sends those home who wait for room for bytes.
pub fn a_close_reaches_those_who_wait_for_bytes() {
    prove(|| {
        let (queue, _permit) = full_of_bytes();
        together([&|| queue.close(), &|| {
            assert!(matches!(reserve(&queue), Err(ReserveError::Closed)));
        }]);
    });
}
