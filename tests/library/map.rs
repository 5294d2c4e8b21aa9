//! `map`: outcomes in order, failures in their place, inputs without end.

use std::cell::Cell;

use wasmpool::{Pool, Shutdown, TaskErrorKind as Kind};

use crate::support::Bench;

#[test]
fn outcomes_come_in_the_order_of_the_inputs() {
    let bench = Bench::with_workers(2);
    let factorize = bench.factorize();
    // Small and large numbers in turn: later ones are done first.
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
    let pulled = Cell::new(0_u64);
    let inputs = (0..).inspect(|_| pulled.set(pulled.get() + 1));
    let mut outcomes = bench.pool.map(&bench.factorize(), inputs);
    assert!(pulled.get() > 0, "work starts before the first `next`");
    for taken in 1..1_000_u64 {
        outcomes.next().unwrap().unwrap();
        assert!(
            pulled.get() <= taken + 64,
            "{} pulled for {taken}",
            pulled.get()
        );
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
    // `take_while` has eaten the error; it is the only one, and the end.
    assert_eq!(accepted, 64);
    assert!(outcomes.next().is_none());
    let error = pool.map(&factorize, 0..1_u64).next().unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::ShutDown);
}

#[test]
fn unordered_outcomes_come_each_once_with_the_place_of_their_input() {
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
fn a_slow_task_holds_up_nothing_but_itself() {
    let bench = Bench::with_workers(2);
    // The first would take an hour; endless inputs go by it.
    let inputs = std::iter::once(3_600_000).chain(std::iter::repeat(0_u64));
    let sleep = bench.task::<u64, u64>("sleep");
    let outcomes = bench.pool.map_unordered(&sleep, inputs).take(500);
    assert!(outcomes.map(|(place, _)| place).all(|place| place > 0));
    // The iterator is gone, and with it the task that sleeps.
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
