//! Exported functions of components: tasks without the contract.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};
use wasmpool::{
    Isolation, Pool, Retry, SubmitErrorKind, TaskErrorKind as Kind, TaskModule, TaskOptions,
    TaskRefError, TrapCode, Value,
};

/// A component with two interfaces, in the text form.
const GEOMETRY: &str = r#"(component
    (core module $module
        (memory (export "memory") 2)
        (global $free (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $free (i32.and
                (i32.add (global.get $free) (i32.sub (local.get 2) (i32.const 1)))
                (i32.sub (i32.const 0) (local.get 2))))
            (global.get $free)
            (global.set $free (i32.add (global.get $free) (local.get 3)))
            (loop $grow
                (if (i32.gt_u (global.get $free) (i32.shl (memory.size) (i32.const 16)))
                    (then (drop (memory.grow (i32.const 1))) (br $grow)))))
        ;; The sum of all x and y.
        (func (export "sum") (param $at i32) (param $n i32) (result f64) (local $sum f64)
            (block $done (loop $next
                (br_if $done (i32.eqz (local.get $n)))
                (local.set $sum (f64.add (local.get $sum)
                    (f64.add (f64.load (local.get $at)) (f64.load offset=8 (local.get $at)))))
                (local.set $at (i32.add (local.get $at) (i32.const 16)))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br $next)))
            (local.get $sum))
        ;; The bytes themselves, wherever they are.
        (func (export "echo") (param i32 i32) (result i32)
            (i32.store (i32.const 16) (local.get 0))
            (i32.store (i32.const 20) (local.get 1))
            (i32.const 16))
        (data (i32.const 100) "much too large")
        (func (export "refuse") (result i32)
            (i32.store8 (i32.const 48) (i32.const 1))
            (i32.store (i32.const 52) (i32.const 100))
            (i32.store (i32.const 56) (i32.const 14))
            (i32.const 48))
        (global $count (mut i32) (i32.const 0))
        (func (export "count") (result i32)
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (global.get $count))
        (func (export "nothing"))
        (func (export "far") (result i32) (i32.const 0x7ffffff0))
        (func (export "odd") (result i32) (i32.const 7))
        (func (export "badly") (result i32)
            (i32.store (i32.const 16) (i32.const 64))
            (i32.store (i32.const 20) (i32.const 0x7fffffff))
            (i32.const 16)))
    (core instance $core (instantiate $module))
    (alias core export $core "memory" (core memory $memory))
    (alias core export $core "realloc" (core func $realloc))

    (type $thing (resource (rep i32)))
    (export $exported "thing" (type $thing))
    (func $make (result (own $exported)) (canon lift (core func $core "count")))
    (func $sum (param "points" (list (tuple f64 f64))) (result f64)
        (canon lift (core func $core "sum") (memory $memory) (realloc $realloc)))
    (func $echo (param "bytes" (list u8)) (result (list u8))
        (canon lift (core func $core "echo") (memory $memory) (realloc $realloc)))
    (func $echo-text (param "text" string) (result string)
        (canon lift (core func $core "echo") (memory $memory) (realloc $realloc)))
    (func $refuse (result (result u32 (error string)))
        (canon lift (core func $core "refuse") (memory $memory)))
    (func $count (result u32) (canon lift (core func $core "count")))
    (func $nothing (canon lift (core func $core "nothing")))
    (func $far (result (tuple u64 u64)) (canon lift (core func $core "far") (memory $memory)))
    (func $unaligned (result (tuple u64 u64)) (canon lift (core func $core "odd") (memory $memory)))
    (func $badly (result (list u8)) (canon lift (core func $core "badly") (memory $memory)))
    (instance $shapes (export "sum" (func $sum)) (export "echo" (func $echo))
        (export "count" (func $count)))
    (instance $texts (export "echo" (func $echo-text)))
    (export "my:own/shapes@1.2.0" (instance $shapes))
    (export "my:own/texts@1.2.0" (instance $texts))
    (export "make" (func $make))
    (export "refuse" (func $refuse))
    (export "nothing" (func $nothing))
    (export "far" (func $far))
    (export "unaligned" (func $unaligned))
    (export "badly" (func $badly))
)"#;

fn load(pool: &Pool) -> TaskModule {
    pool.load_bytes(GEOMETRY.as_bytes()).unwrap()
}

fn pool() -> Pool {
    Pool::builder().workers(1).no_cache().build().unwrap()
}

#[test]
fn every_export_is_a_task_with_its_signature() {
    let module = load(&pool());
    let listed = module.tasks().iter().map(|task| {
        let signature = task.signature.as_ref().unwrap();
        format!("{}: {signature}", task.name)
    });
    let mut listed = listed.collect::<Vec<_>>();
    listed.sort();
    assert_eq!(
        listed,
        [
            "badly: func() -> list<u8>",
            "far: func() -> tuple<u64, u64>",
            "my:own/shapes@1.2.0#count: func() -> u32",
            "my:own/shapes@1.2.0#echo: func(bytes: list<u8>) -> list<u8>",
            "my:own/shapes@1.2.0#sum: func(points: list<tuple<f64, f64>>) -> f64",
            "my:own/texts@1.2.0#echo: func(text: string) -> string",
            "nothing: func()",
            "refuse: func() -> result<u32, string>",
            "unaligned: func() -> tuple<u64, u64>",
        ]
    );
    let [make] = module.uncallable() else {
        panic!("one function cannot be called: {:?}", module.uncallable());
    };
    assert_eq!(
        (&*make.name, &*make.reason),
        (
            "make",
            "its result holds a resource, which lives only in its instance"
        )
    );
}

#[test]
fn short_names_are_accepted_where_they_are_unique() {
    let module = load(&pool());
    let name = |short| module.find(short).map(|task| task.name.clone());
    let sum = "my:own/shapes@1.2.0#sum";
    for short in ["sum", "shapes#sum", "my:own/shapes#sum", sum] {
        assert_eq!(name(short).unwrap(), sum, "{short}");
    }
    assert_eq!(name("texts#echo").unwrap(), "my:own/texts@1.2.0#echo");
    for other in ["um", "own/shapes#sum", "shapes@1.2.0#sum", "#sum", ""] {
        assert!(
            matches!(name(other), Err(TaskRefError::Unknown { .. })),
            "{other}"
        );
    }
    let error = name("echo").unwrap_err().to_string();
    let both = "`my:own/shapes@1.2.0#echo`, `my:own/texts@1.2.0#echo`";
    assert!(error.contains(both), "{error}");
    let error = name("make").unwrap_err().to_string();
    assert!(
        error.contains("`make` cannot be called: its result holds a resource"),
        "{error}"
    );
}

#[test]
fn a_function_of_a_resource_is_refused_as_one() {
    let component = br#"(component
        (type $counter (resource (rep i32)))
        (core module $m
            (func (export "f") (param i32) (result i32) (local.get 0))
            (func (export "zero") (result i32) (i32.const 0)))
        (core instance $i (instantiate $m))
        (core func $new (canon resource.new $counter))
        (component $c
            (import "counter" (type $t (sub resource)))
            (import "make" (func $make (result (own $t))))
            (import "get" (func $get (param "self" (borrow $t)) (result u32)))
            (import "zero" (func $zero (result u32)))
            (export $counter "counter" (type $t))
            (export "[constructor]counter" (func $make) (func (result (own $counter))))
            (export "[method]counter.get" (func $get)
                (func (param "self" (borrow $counter)) (result u32)))
            (export "[static]counter.zero" (func $zero)))
        (func $make (result (own $counter)) (canon lift (core func $i "zero")))
        (func $get (param "self" (borrow $counter)) (result u32)
            (canon lift (core func $i "f")))
        (func $zero (result u32) (canon lift (core func $i "zero")))
        (instance $counters (instantiate $c (with "counter" (type $counter))
            (with "make" (func $make)) (with "get" (func $get)) (with "zero" (func $zero))))
        (export "my:own/counters@1.0.0" (instance $counters)))"#;
    let module = pool().load_bytes(component).unwrap();
    let error = |name| module.find(name).unwrap_err().to_string();
    for name in ["counter.get", "counters#counter.get", "[method]counter.get"] {
        assert_eq!(
            error(name),
            "the function `my:own/counters@1.0.0#[method]counter.get` cannot be called: it is a \
             method of the resource `counter`, which lives only in its instance"
        );
    }
    assert!(error("counter").contains("it makes the resource `counter`"));
    // A static function, which takes no instance, can be called.
    assert!(module.find("counter.zero").is_ok());
}

#[derive(Debug, Serialize, Deserialize)]
struct Point(f64, f64);

#[test]
fn arguments_and_results_are_serde_values() {
    let pool = pool();
    let module = load(&pool);
    let sum = module.task::<(Vec<Point>,), f64>("sum").unwrap();
    let points = vec![Point(1.0, 2.0), Point(0.5, -7.0)];
    assert_eq!(pool.submit(&sum, (points,)).unwrap().wait().unwrap(), -3.5);
    let texts = module.task::<(&str,), String>("texts#echo").unwrap();
    let future = pool.submit(&texts, ("with a \0 and a 🦀",)).unwrap();
    assert_eq!(future.wait().unwrap(), "with a \0 and a 🦀");
    assert_eq!(future.wait_as::<&str>().unwrap(), "with a \0 and a 🦀");
    let nothing = module.task::<(), ()>("nothing").unwrap();
    pool.submit(&nothing, ()).unwrap().wait().unwrap();
}

#[test]
fn arguments_that_do_not_fit_are_refused_before_queueing_and_returned() {
    let pool = pool();
    let module = load(&pool);
    let sum = module.task::<(Value,), f64>("sum").unwrap();
    let pair = |second| Value::List(vec![Value::Float(1.0), second]);
    let points = Value::List(vec![
        pair(Value::Float(2.0)),
        pair(Value::Text("a".to_owned())),
    ]);
    let error = pool.submit(&sum, (points.clone(),)).unwrap_err();
    let SubmitErrorKind::BadArguments(problem) = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(problem, "argument 1[1].1: expected f64, got \"a\"");
    assert_eq!(error.into_arguments(), (points,));
    assert_eq!(pool.stats().accepted, 0);
    let wrong = module.task::<(f64, f64), f64>("sum").unwrap_err();
    assert!(matches!(
        wrong,
        TaskRefError::Arity {
            expected: 1,
            given: 2,
            ..
        }
    ));
    let wrong = module.task::<(Vec<(f64, f64)>,), String>("sum").unwrap();
    let error = pool.submit(&wrong, (vec![],)).unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), Kind::BadResult, "{error}");
}

#[test]
fn an_error_that_a_function_returns_is_the_task_s_own_failure() {
    let pool = pool();
    let refuse = load(&pool).task::<(), u32>("refuse").unwrap();
    let error = pool.submit(&refuse, ()).unwrap().wait().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (Kind::Failed, "much too large")
    );
}

#[test]
fn a_retried_function_gets_its_arguments_again() {
    const REFUSES: &str = r#"(component
        (core module $module
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            ;; An error: what it was given.
            (func (export "refuse") (param $at i32) (param $size i32) (result i32)
                (i32.store8 (i32.const 16) (i32.const 1))
                (i32.store (i32.const 20) (local.get $at))
                (i32.store (i32.const 24) (local.get $size))
                (i32.const 16)))
        (core instance $core (instantiate $module))
        (func (export "refuse") (param "text" string) (result (result (error string)))
            (canon lift (core func $core "refuse")
                (memory (core memory $core "memory"))
                (realloc (core func $core "realloc")))))"#;
    let pool = pool();
    let module = pool.load_bytes(REFUSES.as_bytes()).unwrap();
    let options = TaskOptions::new().retry(Retry::times(2).on([Kind::Failed]));
    let refuse = module.task::<(&str,), ()>("refuse").unwrap().with(options);
    let refused = pool.submit(&refuse, ("not today",)).unwrap();
    let error = refused.wait().unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Failed, "not today"));
    assert_eq!(refused.report().unwrap().attempts, 3);
}

#[test]
fn large_bytes_and_texts_are_returned_unchanged() {
    let pool = pool();
    let module = load(&pool);
    let large = (0..16 << 20)
        .map(|index| (index % 251) as u8)
        .collect::<Vec<_>>();
    let echo = module.task::<(&Bytes,), ByteBuf>("shapes#echo").unwrap();
    let future = pool.submit(&echo, (Bytes::new(&large),)).unwrap();
    assert!(*future.wait().unwrap() == large);
    let text = "0123456789abcde\n".repeat(1 << 20);
    let echo = module.task::<(&str,), String>("texts#echo").unwrap();
    let future = pool.submit(&echo, (&text,)).unwrap();
    assert!(future.wait_as::<&str>().unwrap() == text);
}

#[test]
fn an_invalid_result_is_the_guest_s_failure() {
    let pool = pool();
    let module = load(&pool);
    for name in ["far", "unaligned", "badly"] {
        let task = module.task::<(), Value>(name).unwrap();
        let error = pool.submit(&task, ()).unwrap().wait().unwrap_err();
        let expected = Kind::Trap(TrapCode::ComponentRule);
        assert_eq!(error.kind(), expected, "{name}: {error:?}");
    }
    let nothing = module.task::<(), ()>("nothing").unwrap();
    pool.submit(&nothing, ()).unwrap().wait().unwrap();
}

#[test]
fn isolation_applies_to_functions_as_to_other_tasks() {
    for (isolation, expected) in [(Isolation::Task, [1, 1]), (Isolation::Worker, [1, 2])] {
        let builder = Pool::builder().workers(1).no_cache();
        let pool = builder.isolation(isolation).build().unwrap();
        let count = load(&pool).task::<(), u32>("count").unwrap();
        let counts = pool.map(&count, [(), ()]).collect::<Result<Vec<_>, _>>();
        assert_eq!(counts.unwrap(), expected);
    }
}

/// The host's type for the shape of `acme:shapes`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Shape {
    Circle(f64),
    Rect(f64, f64),
    Polygon(Vec<Corner>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Corner {
    x: f64,
    y: f64,
}

#[derive(Serialize)]
struct Scene {
    name: Option<&'static str>,
    shapes: Vec<Shape>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Summary {
    title: String,
    total: f64,
    largest: Option<Shape>,
}

#[test]
fn a_component_of_other_tools_takes_and_returns_types_of_the_caller() {
    let pool = pool();
    let module = pool.load_bytes(wasmpool_guests::SHAPES.wasm).unwrap();
    let triangle = || Shape::Polygon([(0.0, 0.0), (4.0, 0.0), (0.0, 3.0)].map(corner).into());
    fn corner((x, y): (f64, f64)) -> Corner {
        Corner { x, y }
    }

    let area = module.task::<(Shape,), f64>("area").unwrap();
    let shapes = [triangle(), Shape::Rect(2.0, 3.5), Shape::Circle(0.0)];
    let areas = pool.map(&area, shapes).collect::<Result<Vec<_>, _>>();
    assert_eq!(areas.unwrap(), [6.0, 7.0, 0.0]);

    let summarize = module.task::<(Scene, Option<f64>), Summary>("summarize");
    let scene = |name| Scene {
        name,
        shapes: vec![Shape::Rect(1.0, 1.0), triangle()],
    };
    let arguments = (scene(Some("two")), Some(2.0));
    let summary = pool.submit(&summarize.unwrap(), arguments).unwrap().wait();
    let expected = |title: &str, total| Summary {
        title: title.to_owned(),
        total,
        largest: Some(triangle()),
    };
    assert_eq!(summary.unwrap(), expected("two", 1.75));
    // An option at the end may be omitted.
    let summarize = module.task::<(Scene,), Summary>("summarize").unwrap();
    let summary = pool.submit(&summarize, (scene(None),)).unwrap().wait();
    assert_eq!(summary.unwrap(), expected("nameless", 7.0));
    let none = module.task::<(), Summary>("summarize").unwrap_err();
    assert!(matches!(none, TaskRefError::Arity { given: 0, .. }));

    // The function's own error, with its message and code.
    let future = pool.submit(&area, (Shape::Polygon(vec![]),)).unwrap();
    let error = future.wait().unwrap_err();
    assert_eq!(
        (error.kind(), error.code(), error.message()),
        (Kind::Failed, "too-few-corners", "too-few-corners(0)")
    );
}
