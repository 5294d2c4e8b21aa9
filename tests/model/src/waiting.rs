//! Claims about waiting for room without blocking: `queue.rs`.

use std::task::{Context, Poll, Wake, Waker};

use crate::check::{Gathering, check, prove, together};
use crate::queueing::Item;
use crate::registry;
use crate::schedule::{Blocking, Capacity, Permit, PermitWaiter, Queue, ReserveError};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, lock};

type Items = Queue<Arc<Item>>;

/// A full queue, and the permit that fills it.
fn full() -> (Items, Mutex<Option<Permit>>) {
    let queue = Items::new(1, 1, 0);
    let permit = queue.places.reserve(Blocking::Never).expect("it is empty");
    (queue, Mutex::new(Some(permit)))
}

/// Waits for a place as an async submitter does.
fn reserve(queue: &Items) -> Result<Permit, ReserveError> {
    let mut waiting = None;
    let poll = |context: &mut Context<'_>| queue.places.poll_reserve(&mut waiting, context.waker());
    registry::block_on(std::future::poll_fn(poll))
}

/// Polls once with a waker that does nothing: a submitter that is not polled again, and is dropped
/// at some time.
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

/// The only waiter gets the only place when that is freed.
pub fn a_freed_place_reaches_the_only_waiter() {
    check(|| {
        let (queue, permit) = full();
        together([&|| drop(lock(&permit).take()), &|| {
            assert!(reserve(&queue).is_ok());
        }]);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// A close ends the wait of the only waiter.
pub fn a_close_reaches_the_only_waiter() {
    prove(|| {
        let (queue, _permit) = full();
        together([&|| queue.close(), &|| {
            assert!(matches!(reserve(&queue), Err(ReserveError::Closed)));
        }]);
    });
}

/// Each waiter, blocking or async, gets a place in the end. There are never more entries than
/// places.
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

/// A waiter that gives up while it is woken passes the wake-up on to another waiter, also after an
/// earlier one gave up.
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

/// The same with one waiter that began to wait long before, and one other waiter.
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

/// A waiter that is woken but not polled delays no blocking submitter.
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

/// A close wakes all waiters, whichever of them give up meanwhile.
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

/// A waiter that was woken after another submitter took the place waits for the next place. No
/// waiter is woken without a place, however many wait.
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

/// A queue with free places but no free bytes, and the permit that holds the bytes.
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

/// Bytes that are freed at once admit all waiters, blocking or async: each keeps its place until
/// all have one.
pub fn bytes_freed_at_once_admit_all_waiters() {
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

/// The same if some waiters give up before or after they are woken, or do not use their place.
pub fn a_waiter_that_does_not_use_freed_bytes_passes_them_on() {
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

/// If the arguments of each waiter fill the queue, the waiters are admitted one by one. The bytes
/// never exceed the bound by more than the arguments of one task for each thread.
pub fn large_arguments_are_admitted_one_by_one() {
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

/// The only waiter is admitted, whether the place or the bytes are freed last.
pub fn a_freed_place_and_freed_bytes_reach_the_only_waiter() {
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

/// A close ends the waits for bytes.
pub fn a_close_reaches_waiters_for_bytes() {
    prove(|| {
        let (queue, _permit) = full_of_bytes();
        together([&|| queue.close(), &|| {
            assert!(matches!(reserve(&queue), Err(ReserveError::Closed)));
        }]);
    });
}
