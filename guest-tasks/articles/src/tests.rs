//! The tasks, without a host.

use wasmpool_guest::children::wait_all;
use wasmpool_guest::shared::{Lock, Queue, Value};

use super::tasks;

#[test]
fn factors_are_prime_and_multiply_to_the_number() {
    for n in 0..2_000_u64 {
        let factors = tasks::factorize(n);
        assert!(factors.is_sorted());
        assert_eq!(factors.iter().product::<u64>(), n.max(1));
        let is_prime = |n: &u64| (2..*n).all(|divisor| !n.is_multiple_of(divisor));
        assert!(factors.iter().all(is_prime), "{n}: {factors:?}");
    }
    let largest = u64::from(u32::MAX);
    assert_eq!(tasks::factorize(largest), [3, 5, 17, 257, 65_537]);
}

#[test]
fn chunks_come_through_the_queue() {
    let results = Queue::new(2).unwrap();
    let workers = [vec![12, 13], vec![14]];
    let workers =
        workers.map(|numbers| tasks::factorize_into::submit(results.clone(), numbers).unwrap());
    for worker in workers {
        worker.wait().unwrap();
    }
    results.close();
    let all = results.iter().flat_map(Result::unwrap);
    let mut all = all.collect::<Vec<_>>();
    all.sort_unstable();
    assert_eq!(all, [(12, vec![2, 2, 3]), (13, vec![13]), (14, vec![2, 7])]);
}

#[test]
fn primes_are_counted() {
    assert_eq!(tasks::count_primes(3), 1);
    assert_eq!(tasks::count_primes(10_000), 1_229);
}

#[test]
fn a_download_returns_its_name() {
    assert_eq!(tasks::download("index".to_owned(), 1), "index");
}

#[test]
fn a_tree_has_two_branches_at_each_level() {
    assert_eq!(tasks::tree(0).unwrap(), 1);
    assert_eq!(tasks::tree(5).unwrap(), 63);
}

#[test]
fn eight_tasks_count_exactly() {
    let (lock, counter) = (Lock::new().unwrap(), Value::new(0).unwrap());
    let tasks =
        (0..8).map(|_| tasks::count_up::submit(lock.clone(), counter.clone(), 100).unwrap());
    for outcome in wait_all(tasks) {
        outcome.unwrap();
    }
    assert_eq!(counter.load(), 800);
}
