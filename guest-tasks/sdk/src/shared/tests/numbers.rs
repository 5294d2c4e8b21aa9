//! Values and arrays.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::tasks;
use crate::children::wait_all;
use crate::shared::{Array, Lock, Number, Value};

#[test]
fn counts_of_eight_children_are_exact() {
    let (lock, under_lock) = (Lock::new().unwrap(), Value::new(0).unwrap());
    let added = Value::new(0).unwrap();
    let children = (0..8).flat_map(|_| {
        [
            tasks::count_with_lock::submit(lock.clone(), under_lock.clone(), 500).unwrap(),
            tasks::count::submit(added.clone(), 500).unwrap(),
        ]
    });
    for outcome in wait_all(children) {
        outcome.unwrap();
    }
    assert_eq!((under_lock.load(), added.load()), (4000, 4000));
}

#[test]
fn value_is_exchanged_only_if_it_is_the_expected_one() {
    let value = Value::new(1.5).unwrap();
    assert_eq!(value.compare_exchange(1.0, 2.0), Err(1.5));
    assert_eq!(value.compare_exchange(1.5, 2.0), Ok(1.5));
    assert_eq!(value.load(), 2.0);
    value.store(0.0);
    // They are equal, but not bit by bit.
    assert_eq!(value.compare_exchange(-0.0, 1.0), Err(0.0));
}

/// Adds `more` to `first` in a value, and returns the sum.
fn added<T: Number>(first: T, more: T) -> T {
    let value = Value::new(first).unwrap();
    assert_eq!(value.load(), first);
    assert_eq!(value.fetch_add(more), first);
    value.load()
}

#[test]
fn sums_of_integers_wrap_around() {
    assert_eq!(added(i8::MAX, 1), i8::MIN);
    assert_eq!(added(u8::MAX, 2), 1);
    assert_eq!(added(i16::MIN, -1), i16::MAX);
    assert_eq!(added(u16::MAX, 1), 0);
    assert_eq!(added(i32::MAX, 1), i32::MIN);
    assert_eq!(added(u32::MAX, 1), 0);
    assert_eq!(added(i64::MAX, 1), i64::MIN);
    assert_eq!(added(u64::MAX, 1), 0);
    assert_eq!(added(-3_i8, 5), 2);
}

#[test]
fn sums_of_floats_are_those_of_their_type() {
    assert_eq!(added(0.1_f32, 0.2), 0.1 + 0.2_f32);
    assert_eq!(added(0.1_f64, 0.2), 0.1 + 0.2_f64);
    assert_eq!(added(f32::MAX, f32::MAX), f32::INFINITY);
}

/// Writes the numbers into the middle of an array, and reads all of it.
fn written<T: Number>(numbers: [T; 2]) -> Vec<T> {
    let array = Array::new(4).unwrap();
    array.write(1, &numbers);
    array.read(..)
}

#[test]
fn elements_are_copied_in_and_out() {
    assert_eq!(written([i8::MIN, -1]), [0, i8::MIN, -1, 0]);
    assert_eq!(written([u8::MAX, 1]), [0, u8::MAX, 1, 0]);
    assert_eq!(written([i16::MIN, -1]), [0, i16::MIN, -1, 0]);
    assert_eq!(written([u16::MAX, 1]), [0, u16::MAX, 1, 0]);
    assert_eq!(written([i32::MIN, -1]), [0, i32::MIN, -1, 0]);
    assert_eq!(written([u32::MAX, 1]), [0, u32::MAX, 1, 0]);
    assert_eq!(written([i64::MIN, -1]), [0, i64::MIN, -1, 0]);
    assert_eq!(written([u64::MAX, 1]), [0, u64::MAX, 1, 0]);
    assert_eq!(written([f32::MIN, 0.1]), [0.0, f32::MIN, 0.1, 0.0]);
    assert_eq!(written([f64::MIN, 0.1]), [0.0, f64::MIN, 0.1, 0.0]);
}

#[test]
fn elements_are_those_that_were_written() {
    let array = Array::new(5).unwrap();
    assert_eq!(array.len(), 5);
    array.write(0, &[1, -2, 3, -4, 5]);
    assert_eq!(array.get(1), -2_i16);
    array.set(1, 20);
    assert_eq!(array.fetch_add(3, 1), -4);
    assert_eq!(array.compare_exchange(4, 5, 6), Ok(5));
    assert_eq!(array.read(1..4), [20, 3, -3]);
    assert_eq!(array.read(3..=4), [-3, 6]);
    assert_eq!(array.read(5..), []);
    assert!(Array::<u8>::new(0).unwrap().is_empty());
}

#[test]
fn beyond_its_end_an_array_panics() {
    let array = Array::new(3).unwrap();
    let check = |access: &dyn Fn(), message: &str| {
        let panic = catch_unwind(AssertUnwindSafe(access)).unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().unwrap(), message);
    };
    let no_element = "there is no element 3 in an array of 3";
    check(&|| _ = array.get(3), no_element);
    check(&|| array.set(3, 1), no_element);
    check(&|| _ = array.fetch_add(3, 1), no_element);
    check(&|| _ = array.compare_exchange(3, 0, 1), no_element);
    let no_elements = "there are no 2 elements from 2 on in an array of 3";
    check(&|| _ = array.read(2..4), no_elements);
    check(&|| array.write(2, &[1, 2]), no_elements);
    check(
        &|| _ = array.read(4..),
        "the range 4..3 ends before its start",
    );
    assert_eq!(array.read(..), [0_u64; 3]);
}
