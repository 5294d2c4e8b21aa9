//! Claims about the queue: `queue.rs`.

use std::sync::Mutex as Untracked;
use std::sync::atomic::AtomicUsize as UntrackedUsize;

use crate::check::{check, prove, together};
use crate::registry;
use crate::schedule::{Blocking, Permit, Queue, QueueEntry, ReserveError};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Arc, Instant, Mutex, lock};

/// The maximum number of workers.
const N_WORKERS: usize = 3;

/// An entry that can die while it is queued.
pub(crate) struct Item {
    pub(crate) name: usize,
    /// `None` when a worker has it or it is dead.
    permit: Mutex<Option<Permit>>,
}

impl Item {
    pub(crate) fn new(name: usize, permit: Permit) -> Arc<Self> {
        Arc::new(Self {
            name,
            permit: Mutex::new(Some(permit)),
        })
    }

    /// Takes the place: starts the entry or kills it. Only the first caller does.
    pub(crate) fn take(&self) -> bool {
        let permit = lock(&self.permit).take();
        permit.is_some()
    }
}

impl QueueEntry for Arc<Item> {
    fn is_live(&self) -> bool {
        lock(&self.permit).is_some()
    }
}

pub(crate) type Names = Untracked<Vec<usize>>;

pub(crate) fn sorted(names: Names) -> Vec<usize> {
    let mut names = names.into_inner().unwrap();
    names.sort_unstable();
    names
}

/// With submitters that block for room and a queue that closes meanwhile, every accepted entry is
/// popped once, and every thread ends.
pub fn accepted_entries_come_out_once() {
    check(|| {
        let queue = Queue::new(1, N_WORKERS, 0);
        let accepted: Names = Untracked::default();
        let popped: Names = Untracked::default();
        let submit = |names: [usize; 2]| {
            for name in names {
                let Ok(permit) = queue.places.reserve(Blocking::Forever) else {
                    return;
                };
                if queue.push([Item::new(name, permit)], name % 3).is_err() {
                    return;
                }
                accepted.lock().unwrap().push(name);
            }
        };
        let work = |worker| {
            while let Some(item) = queue.pop(worker) {
                assert!(item.take());
                popped.lock().unwrap().push(item.name);
            }
        };
        together([
            &|| submit([1, 2]),
            &|| submit([3, 4]),
            &|| work(0),
            &|| work(1),
            &|| queue.close(),
        ]);
        assert_eq!(queue.places.taken(), 0);
        assert!(queue.drain().is_empty());
        assert_eq!(sorted(popped), sorted(accepted));
    });
}

/// Workers that stay in a closed queue only for an entry that was promised end when it has come,
/// whoever takes it.
pub fn the_last_promised_entry_lets_all_workers_end() {
    check(|| {
        let queue = Queue::<Arc<Item>>::new(1, N_WORKERS, 0);
        assert!(queue.promise());
        let permit = queue.places.reserve(Blocking::Never).unwrap();
        let item = Item::new(1, permit);
        let popped: Names = Untracked::default();
        let work = |worker| {
            while let Some(item) = queue.pop(worker) {
                popped.lock().unwrap().push(item.name);
            }
        };
        together([
            &|| {
                queue.close();
                assert!(queue.admit(Arc::clone(&item), 0).is_ok());
            },
            &|| work(0),
            &|| work(1),
        ]);
        assert_eq!(sorted(popped), [1]);
    });
}

/// Every entry reaches one of as many waiting workers by its push alone: the queue does not close,
/// and has room for all.
pub fn every_push_reaches_a_worker() {
    check(|| {
        let queue = Queue::new(100, N_WORKERS, 0);
        let popped: Names = Untracked::default();
        let submit = |names: [usize; 2]| {
            for name in names {
                let permit = queue.places.reserve(Blocking::Never).unwrap();
                assert!(queue.push([Item::new(name, permit)], 0).is_ok());
            }
        };
        let work = |worker, n_items: usize| {
            for _ in 0..n_items {
                let item: Arc<Item> = queue.pop(worker).expect("it is open");
                popped.lock().unwrap().push(item.name);
            }
        };
        together([
            &|| submit([1, 2]),
            &|| submit([3, 4]),
            &|| work(0, 2),
            &|| work(1, 1),
            &|| work(2, 1),
        ]);
        assert_eq!(sorted(popped), [1, 2, 3, 4]);
    });
}

/// The only worker gets the only entry, whether it polls or sleeps.
pub fn a_push_reaches_the_only_worker() {
    prove(|| {
        let queue = Queue::new(1, N_WORKERS, 0);
        let permit = Mutex::new(queue.places.reserve(Blocking::Never).ok());
        together([&|| assert!(queue.pop(0).is_some()), &|| {
            let permit = lock(&permit).take().expect("one thread takes it");
            assert!(queue.push([Item::new(1, permit)], 0).is_ok());
        }]);
    });
}

/// The only waiting submitter gets the only place when that is freed.
pub fn a_freed_place_reaches_the_only_submitter() {
    prove(|| {
        let queue: Queue<Arc<Item>> = Queue::new(1, N_WORKERS, 0);
        let permit = Mutex::new(queue.places.reserve(Blocking::Never).ok());
        together([&|| drop(lock(&permit).take()), &|| {
            assert!(queue.places.reserve(Blocking::Forever).is_ok());
        }]);
    });
}

/// A close ends the wait of a submitter.
pub fn a_close_reaches_the_only_submitter() {
    prove(|| {
        let queue: Queue<Arc<Item>> = Queue::new(1, N_WORKERS, 0);
        let _permit = queue.places.reserve(Blocking::Never).unwrap();
        together([&|| queue.close(), &|| {
            let refused = queue.places.reserve(Blocking::Forever);
            assert!(matches!(refused, Err(ReserveError::Closed)));
        }]);
    });
}

/// Two workers that pop repeatedly get all entries.
pub fn workers_that_pop_again_are_served() {
    check(|| {
        let queue = Queue::new(100, N_WORKERS, 0);
        let submit = || {
            for name in 0..4 {
                let permit = queue.places.reserve(Blocking::Never).unwrap();
                assert!(queue.push([Item::new(name, permit)], 0).is_ok());
            }
        };
        let work = |worker| {
            for _ in 0..2 {
                assert!(queue.pop(worker).expect("it is open").take());
            }
        };
        together([&submit, &|| work(0), &|| work(1)]);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// There are never more entries than places. When an entry dies in the queue, a waiting submitter
/// gets its place, without a worker.
pub fn a_dead_entry_gives_its_place_to_a_submitter() {
    check(|| {
        let queue = Queue::new(1, N_WORKERS, 0);
        let n_alive = UntrackedUsize::new(0);
        let n_submitted = AtomicUsize::new(0);
        let submit = || {
            let permit = queue.places.reserve(Blocking::Forever).unwrap();
            let before = n_alive.fetch_add(1, Ordering::SeqCst);
            assert_eq!(before, 0, "two have the only place");
            let name = n_submitted.fetch_add(1, Ordering::SeqCst);
            let item = Item::new(name, permit);
            assert!(queue.push([Arc::clone(&item)], 1).is_ok());
            n_alive.fetch_sub(1, Ordering::SeqCst);
            assert!(item.take());
        };
        together([&submit, &submit, &submit]);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// A submitter that times out while it is woken leaves the wake-up to one that waits without a
/// timeout.
pub fn a_timed_out_submitter_swallows_no_wake_up() {
    check(|| {
        let queue: Queue<Arc<Item>> = Queue::new(1, N_WORKERS, 0);
        let permit = Mutex::new(Some(queue.places.reserve(Blocking::Never).unwrap()));
        together([
            &|| drop(lock(&permit).take()),
            &|| drop(queue.places.reserve(Blocking::Forever).unwrap()),
            &|| {
                let deadline = registry::soon();
                match queue.places.reserve(Blocking::Until(deadline)) {
                    Ok(permit) => drop(permit),
                    Err(no_room) => {
                        assert_eq!(no_room, ReserveError::Full);
                        assert!(Instant::now() >= deadline);
                    }
                }
            },
        ]);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// An entry over the capacity takes a place that must be freed before others get one.
pub fn an_overdrawn_queue_accepts_nothing_before_it_is_balanced() {
    check(|| {
        let queue: Queue<Arc<Item>> = Queue::new(1, N_WORKERS, 0);
        let n_submitters = UntrackedUsize::new(0);
        let submit = || {
            let permit = queue.places.reserve(Blocking::Forever).unwrap();
            let before = n_submitters.fetch_add(1, Ordering::SeqCst);
            assert_eq!(before, 0, "two have the only place");
            n_submitters.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
        };
        together([&submit, &submit, &|| {
            drop(queue.places.overdraw());
            drop(queue.places.overdraw());
        }]);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// A close wakes submitters that wait for room, and workers that wait for entries.
pub fn a_close_wakes_submitters_and_workers() {
    check(|| {
        let full: Queue<Arc<Item>> = Queue::new(1, N_WORKERS, 0);
        let _permit = full.places.reserve(Blocking::Never).unwrap();
        let empty: Queue<Arc<Item>> = Queue::new(1, N_WORKERS, 0);
        let submit = || {
            let refused = full.places.reserve(Blocking::Forever);
            assert!(matches!(refused, Err(ReserveError::Closed)));
        };
        let work = |worker| assert!(empty.pop(worker).is_none());
        together([&submit, &submit, &|| work(0), &|| work(1), &|| {
            full.close();
            empty.close();
        }]);
    });
}
