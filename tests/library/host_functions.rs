//! Functions of the embedding program that guests import.

use std::fmt::Debug;
use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use wasmpool::{
    Arguments, Capabilities, Fault, HostCall, HostFunctionError, HostFunctions, HostResult,
    Isolation, LoadError, Pool, PoolBuilder, Retry, Task, TaskError, TaskErrorKind as Kind,
    TaskModule, TaskOptions, UnfitImport, Value,
};

use crate::support::{Bench, LONG, wait_until_suspended, within_long};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Debug,
    Info,
    Warning,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    x: f64,
    y: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Shape {
    Dot,
    Circle(f32),
    At(Point),
    Line(Point, Point),
    Polygon(Vec<Point>),
    Label(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Style {
    bold: bool,
    italic: bool,
    underlined: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    truth: bool,
    s8: i8,
    u8: u8,
    s16: i16,
    u16: u16,
    s32: i32,
    u32: u32,
    s64: i64,
    u64: u64,
    f32: f32,
    f64: f64,
    letter: char,
    text: String,
    bytes: ByteBuf,
    shapes: Vec<Shape>,
    style: Style,
    level: Level,
    maybe: Option<Option<String>>,
    outcome: Result<u64, Shape>,
}

type Several = (bool, i8, u64, f32, char, String, Shape);

/// An interface with one function, from a number to a number, and a task `run` that calls it.
fn calling(import: &str) -> Vec<u8> {
    let (interface, function) = match import.split_once('#') {
        Some((interface, function)) => (Some(interface), function),
        None => (None, import),
    };
    let ty = r#"(func (param "n" u32) (result u32))"#;
    let (import, alias) = match interface {
        Some(interface) => (
            format!(r#"(import "{interface}" (instance $host (export "{function}" {ty})))"#),
            format!(r#"(alias export $host "{function}" (func $function))"#),
        ),
        None => (
            format!(r#"(import "{function}" (func $function (param "n" u32) (result u32)))"#),
            String::new(),
        ),
    };
    format!(
        r#"(component
        {import}
        {alias}
        (core func $lowered (canon lower (func $function)))
        (core module $module
            (import "" "function" (func $function (param i32) (result i32)))
            (func (export "run") (param i32) (result i32) (call $function (local.get 0))))
        (core instance $core (instantiate $module
            (with "" (instance (export "function" (func $lowered))))))
        (func (export "run") (param "n" u32) (result u32) (canon lift (core func $core "run"))))"#
    )
    .into_bytes()
}

/// A component that imports this, and has a task that does nothing.
fn importing(imports: &str) -> String {
    format!(
        r#"(component
        {imports}
        (core module $module (func (export "run")))
        (core instance $core (instantiate $module))
        (func (export "run") (canon lift (core func $core "run"))))"#
    )
}

/// One worker: what keeps it keeps all other tasks.
fn builder(functions: HostFunctions) -> PoolBuilder {
    Pool::builder().workers(1).host_functions(functions)
}

fn pool(functions: HostFunctions) -> Pool {
    builder(functions).build().unwrap()
}

fn everything_granted() -> Capabilities {
    [
        "acme:host/values",
        "acme:host/log",
        "acme:host/clock",
        "acme:host/accounts",
    ]
    .into_iter()
    .fold(Capabilities::new(), |rights, interface| {
        rights.host_interface(interface).unwrap()
    })
}

fn importer(pool: &Pool) -> TaskModule {
    let module = pool.load(wasmpool_guests::IMPORTER.path()).unwrap();
    module.with_capabilities(everything_granted())
}

fn importer_sdk(pool: &Pool) -> TaskModule {
    let module = pool.load(wasmpool_guests::IMPORTER_SDK.path()).unwrap();
    module.with_capabilities(everything_granted().tasks())
}

fn echo<T>(_: &HostCall, (value,): (T,)) -> HostResult<T> {
    Ok(value)
}

/// All that the guest `importer` imports. Each returns what it gets.
fn all() -> HostFunctions {
    values(HostFunctions::new())
        .add("acme:host/log@1.2.0#write", write)
        .unwrap()
        .add("acme:host/clock@1.2.0#rest", echo::<u64>)
        .unwrap()
        .add("acme:host/clock@1.2.0#block", echo::<u64>)
        .unwrap()
}

fn write(_: &HostCall, _: (Level, String)) -> HostResult<()> {
    Ok(())
}

fn values(functions: HostFunctions) -> HostFunctions {
    functions
        .add("acme:host/values@1.2.0#echo-shape", echo::<Shape>)
        .unwrap()
        .add("acme:host/values@1.2.0#echo-style", echo::<Style>)
        .unwrap()
        .add("acme:host/values@1.2.0#echo-level", echo::<Level>)
        .unwrap()
        .add("acme:host/values@1.2.0#echo-everything", echo::<Everything>)
        .unwrap()
        .add("acme:host/values@1.2.0#echo-maybe", echo::<Option<u64>>)
        .unwrap()
        .add(
            "acme:host/values@1.2.0#echo-outcome",
            echo::<Result<f64, String>>,
        )
        .unwrap()
        .add(
            "acme:host/values@1.2.0#echo-several",
            |_: &HostCall, all: Several| HostResult::Ok(all),
        )
        .unwrap()
}

/// The guest `importer`, whose function `rest` is this one.
fn resting<O>(rest: impl Fn(HostCall, u64) -> O + Send + Sync + 'static) -> HostFunctions
where
    O: Future<Output = HostResult<u64>> + Send + 'static,
{
    values(HostFunctions::new())
        .add("acme:host/log@1.2.0#write", write)
        .unwrap()
        .add("acme:host/clock@1.2.0#block", echo::<u64>)
        .unwrap()
        .add_async(
            "acme:host/clock@1.2.0#rest",
            move |call: HostCall, (n,): (u64,)| rest(call, n),
        )
        .unwrap()
}

/// The guest `importer`, whose function `block` is this one.
fn blocking(
    block: impl Fn(&HostCall, u64) -> HostResult<u64> + Send + Sync + 'static,
) -> HostFunctions {
    values(HostFunctions::new())
        .add("acme:host/log@1.2.0#write", write)
        .unwrap()
        .add("acme:host/clock@1.2.0#rest", echo::<u64>)
        .unwrap()
        .add(
            "acme:host/clock@1.2.0#block",
            move |call: &HostCall, (n,): (u64,)| block(call, n),
        )
        .unwrap()
}

fn run<A: Arguments, R: DeserializeOwned>(
    pool: &Pool,
    module: &TaskModule,
    name: &str,
    arguments: A,
) -> Result<R, TaskError> {
    let task: Task<A, R> = module.task(name).unwrap();
    pool.submit(&task, arguments).unwrap().wait()
}

#[track_caller]
fn goes_and_comes<T>(pool: &Pool, module: &TaskModule, name: &str, value: T)
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + Debug,
{
    let back = run::<_, T>(pool, module, name, (value.clone(),)).unwrap();
    assert_eq!(back, value, "{name}");
}

#[test]
fn values_of_all_shapes_go_there_and_back() {
    let pool = pool(all());
    let module = importer(&pool);
    let point = |x, y| Point { x, y };
    let shapes = [
        Shape::Dot,
        Shape::Circle(-0.5),
        Shape::At(point(1.0, f64::MIN_POSITIVE)),
        Shape::Line(point(0.0, 1.0), point(2.0, f64::MAX)),
        Shape::Polygon(vec![]),
        Shape::Polygon(vec![point(1.0, 2.0), point(3.0, 4.0)]),
        Shape::Label("größer als null".to_owned()),
    ];
    for shape in &shapes {
        goes_and_comes(&pool, &module, "echo-shape", shape.clone());
        let several = (
            true,
            -7_i8,
            u64::MAX,
            1.5_f32,
            'ß',
            "text".to_owned(),
            shape.clone(),
        );
        let back = run::<_, Several>(&pool, &module, "echo-several", several.clone());
        assert_eq!(back.unwrap(), several);
    }
    for bits in 0..8 {
        let style = Style {
            bold: bits & 1 > 0,
            italic: bits & 2 > 0,
            underlined: bits & 4 > 0,
        };
        goes_and_comes(&pool, &module, "echo-style", style);
    }
    for level in [Level::Debug, Level::Info, Level::Warning] {
        goes_and_comes(&pool, &module, "echo-level", level);
    }
    for maybe in [None, Some(0), Some(u64::MAX)] {
        goes_and_comes(&pool, &module, "echo-maybe", maybe);
    }
    let good = run::<_, f64>(&pool, &module, "echo-outcome", (Ok::<_, String>(0.25),));
    assert_eq!(good.unwrap(), 0.25);
    let bad = run::<_, f64>(&pool, &module, "echo-outcome", (Err::<f64, _>("told"),));
    let bad = bad.unwrap_err();
    assert_eq!((bad.kind(), bad.message()), (Kind::Failed, "told"));
    for (maybe, outcome) in [
        (None, Ok(7)),
        (Some(None), Err(Shape::Dot)),
        (Some(Some("deep".to_owned())), Err(shapes[3].clone())),
    ] {
        let everything = Everything {
            truth: true,
            s8: i8::MIN,
            u8: u8::MAX,
            s16: i16::MIN,
            u16: u16::MAX,
            s32: i32::MIN,
            u32: u32::MAX,
            s64: i64::MIN,
            u64: u64::MAX,
            f32: f32::MIN,
            f64: f64::MAX,
            letter: '\u{10FFFF}',
            text: "text".repeat(100),
            bytes: ByteBuf::from(vec![0, 1, 0xFF]),
            shapes: shapes.to_vec(),
            style: Style {
                bold: true,
                italic: false,
                underlined: true,
            },
            level: Level::Warning,
            maybe,
            outcome,
        };
        goes_and_comes(&pool, &module, "echo-everything", everything);
    }
}

#[test]
fn a_function_may_take_and_return_values_of_any_type() {
    let functions =
        HostFunctions::new().add("acme:host/log#write", |_: &HostCall, values: Vec<Value>| {
            assert_eq!(values, [Value::Unsigned(7)]);
            HostResult::Ok(Value::Unsigned(8))
        });
    let pool = pool(functions.unwrap());
    let module = pool.load_bytes(&calling("acme:host/log#write")).unwrap();
    let module = module.with_capabilities(everything_granted());
    assert_eq!(run::<_, u32>(&pool, &module, "run", (7_u32,)).unwrap(), 8);
}

#[derive(Serialize, Deserialize)]
struct Account {
    name: String,
    balance: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Problem {
    Unknown(String),
    Closed,
}

/// All that the guest `importer_sdk` imports, and what it has written.
fn bank() -> (HostFunctions, Arc<Mutex<Vec<String>>>) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&log);
    let functions = HostFunctions::new()
        .add_async(
            "acme:host/accounts@1.2.0#find",
            |_: HostCall, (name,): (String,)| async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                HostResult::Ok(match &*name {
                    "ada" => Ok(Account { name, balance: 12 }),
                    "bob" => Ok(Account { name, balance: -5 }),
                    "old" => Err(Problem::Closed),
                    _ => Err(Problem::Unknown(name)),
                })
            },
        )
        .unwrap()
        .add(
            "acme:host/log@1.2.0#write",
            move |call: &HostCall, (level, message): (Level, String)| {
                let tag = call.tag().unwrap_or("none");
                let line = format!("{tag} {level:?}: {message}");
                log.lock().unwrap().push(line);
                HostResult::Ok(())
            },
        )
        .unwrap();
    (functions, written)
}

#[test]
fn tasks_of_the_sdk_call_functions_through_stubs_from_wit() {
    let (functions, written) = bank();
    let pool = pool(functions);
    let module = importer_sdk(&pool);
    let balance = module.task::<(&str,), i64>("balance").unwrap();
    let tagged = balance.with(TaskOptions::new().tag("first"));
    assert_eq!(pool.submit(&tagged, ("ada",)).unwrap().wait().unwrap(), 12);
    assert_eq!(*written.lock().unwrap(), ["first Info: ada was looked up"]);
    for (name, code) in [("old", "closed"), ("eve", "unknown")] {
        let error = pool.submit(&balance, (name,)).unwrap().wait().unwrap_err();
        assert_eq!((error.kind(), error.code()), (Kind::Failed, code));
    }
    let names = module
        .host_functions()
        .iter()
        .map(|function| &*function.name);
    let mut names = names.collect::<Vec<_>>();
    names.sort_unstable();
    assert_eq!(
        names,
        ["acme:host/accounts@1.2.0#find", "acme:host/log@1.2.0#write"]
    );
    let write = module.host_functions().iter();
    let write = write
        .clone()
        .find(|function| function.name.ends_with("write"))
        .unwrap();
    assert_eq!(
        write.signature.to_string(),
        "func(level: enum { debug, info, warning }, message: string)"
    );
}

#[test]
fn children_have_the_host_functions_of_their_parent() {
    let (functions, _) = bank();
    let pool = pool(functions);
    let names = || (vec!["ada", "bob", "ada"],);
    let module = importer_sdk(&pool);
    assert_eq!(run::<_, i64>(&pool, &module, "total", names()).unwrap(), 19);
    // Rights of the call alone, which are inherited as those of the module.
    let module = module.with_capabilities(Capabilities::new());
    let total = module.task::<(Vec<&str>,), i64>("total").unwrap();
    let options = TaskOptions::new().capabilities(everything_granted().tasks());
    let granted = pool.submit(&total.with(options), names()).unwrap();
    assert_eq!(granted.wait().unwrap(), 19);
    let log_only = Capabilities::new().tasks().host_interface("acme:host/log");
    let options = TaskOptions::new().capabilities(log_only.unwrap());
    let lacking = pool.submit(&total.with(options), names()).unwrap();
    let error = lacking.wait().unwrap_err();
    assert_eq!(error.kind(), Kind::Failed);
    let lacks =
        "it called the host function `acme:host/accounts@1.2.0#find`, which it was not granted";
    assert!(error.message().contains(lacks), "{error}");
}

#[test]
fn missing_functions_are_named_with_what_is_offered() {
    let functions = HostFunctions::new()
        .add("acme:host/log#write", write)
        .unwrap()
        .add("acme:host/log#flush", |_: &HostCall, (): ()| {
            HostResult::Ok(())
        })
        .unwrap()
        .add("acme:host/clock#now", |_: &HostCall, (): ()| {
            HostResult::Ok(0_u64)
        })
        .unwrap();
    // The second pool finds the code in the cache, and does not look at the bytes.
    let cache = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let pool = builder(functions.clone())
            .cache_folder(cache.path())
            .build()
            .unwrap();
        let refused = pool
            .load_bytes(&calling("acme:host/log#wirte"))
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "it imports what the pool does not offer: `acme:host/log#wirte`; did you mean \
             `acme:host/log#write`? The pool has the host functions `acme:host/log#write`, \
             `acme:host/log#flush`; a guest gets `wasmpool:task/context` and WASI 0.2 (`wasi:cli`, \
             `clocks`, `filesystem`, `io`, `random`, `sockets`)"
        );
        let refused = pool
            .load_bytes(&calling("acme:other/log#write"))
            .unwrap_err();
        let LoadError::UnknownImport {
            imports, offered, ..
        } = refused
        else {
            panic!("{refused}");
        };
        assert_eq!(imports, ["acme:other/log"]);
        assert_eq!(offered.len(), 3);
        let refused = pool.load_bytes(&calling("write")).unwrap_err();
        assert!(
            matches!(refused, LoadError::UnknownImport { .. }),
            "{refused}"
        );
        if round == 0 {
            let also = functions
                .clone()
                .add("acme:host/log#wirte", echo::<u32>)
                .unwrap();
            let also = also.add("acme:other/log#write", echo::<u32>).unwrap();
            let also = also.add("write", echo::<u32>).unwrap();
            let pool = builder(also).cache_folder(cache.path()).build().unwrap();
            for import in ["acme:host/log#wirte", "acme:other/log#write", "write"] {
                pool.load_bytes(&calling(import)).unwrap();
            }
        }
    }
}

#[test]
fn a_component_that_misses_very_many_functions_is_refused_with_some_of_them() {
    let functions = (0..200).map(|n| format!("(export \"f{n}\" (func))"));
    let ty = format!("(type $t (instance {}))", functions.collect::<String>());
    let imports =
        (0..200).map(|n| format!("(import \"acme:host/log@1.2.{n}\" (instance (type $t)))"));
    let wasm = importing(&format!("{ty}{}", imports.collect::<String>()));
    match pool(all()).load_bytes(wasm.as_bytes()).unwrap_err() {
        LoadError::UnknownImport { imports, .. } => assert_eq!(imports.len(), 1000),
        other => panic!("{other}"),
    }
}

#[track_caller]
fn unfit(pool: &Pool, wasm: &[u8]) -> Vec<UnfitImport> {
    match pool.load_bytes(wasm).unwrap_err() {
        LoadError::HostFunctions { imports, .. } => imports,
        other => panic!("{other}"),
    }
}

#[test]
fn all_functions_of_other_types_are_named_with_their_signatures() {
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum FewerLevels {
        Debug,
        Info,
    }
    let functions = values(HostFunctions::new())
        .add(
            "acme:host/log@1.2.0#write",
            |_: &HostCall, _: (FewerLevels, String)| HostResult::Ok(()),
        )
        .unwrap()
        .add("acme:host/clock@1.2.0#rest", |_: &HostCall, (): ()| {
            HostResult::Ok(0_u64)
        })
        .unwrap()
        .add("acme:host/clock@1.2.0#block", |_: &HostCall, _: (u64,)| {
            HostResult::Ok("late".to_owned())
        })
        .unwrap();
    let pool = pool(functions);
    let found = unfit(&pool, wasmpool_guests::IMPORTER.wasm);
    let mut found = found.iter().map(UnfitImport::to_string).collect::<Vec<_>>();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "`acme:host/clock@1.2.0#block`, imported as `func(milliseconds: u64) -> u64`: its \
             result does not fit: invalid type: integer `1`, expected a string",
            "`acme:host/clock@1.2.0#rest`, imported as `func(milliseconds: u64) -> u64`: the \
             function of the host takes 0 arguments, and the import 1",
            "`acme:host/log@1.2.0#write`, imported as `func(level: enum { debug, info, warning }, \
             message: string)`: its arguments do not fit: argument 1: unknown variant `warning`, \
             expected `debug` or `info`",
        ]
    );
}

#[test]
fn resources_are_refused_with_the_reason() {
    let functions = HostFunctions::new()
        .add("acme:host/files#open", echo::<u32>)
        .unwrap()
        .add("acme:host/log#write", echo::<u32>)
        .unwrap();
    let pool = pool(functions);
    let with_resource = importing(
        r#"(import "acme:host/files" (instance
            (export "file" (type $file (sub resource)))
            (export "[method]file.read" (func (param "self" (borrow $file)) (result u32)))
            (export "open" (func (param "name" u32) (result (own $file))))))"#,
    );
    let found = unfit(&pool, with_resource.as_bytes());
    assert!(
        found[0].to_string().contains("it has the resource `file`"),
        "{found:?}"
    );
    let problem = "its result holds a resource, which lives only in its instance";
    assert_eq!(
        (&*found[1].name, &*found[1].problem),
        ("acme:host/files#open", problem)
    );
}

#[test]
fn names_that_cannot_be_offered_are_refused() {
    let add = |name: &str| HostFunctions::new().add(name, echo::<u32>).unwrap_err();
    for name in ["acme:host/log", "log#write", "acme:host/log#Write it", ""] {
        assert!(
            matches!(add(name), HostFunctionError::Name { .. }),
            "{name}"
        );
    }
    for name in [
        "wasi:cli/environment@0.2.0#get",
        "wasmpool:task/context#worker",
    ] {
        assert!(
            matches!(add(name), HostFunctionError::Provided { .. }),
            "{name}"
        );
    }
    let twice = HostFunctions::new().add("a:b/c#f", echo::<u32>).unwrap();
    let twice = twice.add("a:b/c#f", echo::<u32>).unwrap_err();
    assert_eq!(twice.to_string(), "`a:b/c#f` is offered already");
    let granted = Capabilities::new()
        .host_function("acme:host/log")
        .unwrap_err();
    assert!(
        granted.to_string().contains("no function in it"),
        "{granted}"
    );
    let granted = Capabilities::new()
        .host_interface("acme:host/log#write")
        .unwrap_err();
    assert!(granted.to_string().contains("`acme:host/log`"), "{granted}");
}

/// What a call of the import gives, if functions of these names are offered that return their places.
fn answer(offered: &[&str], import: &str) -> Option<u32> {
    let mut functions = HostFunctions::new();
    for (place, name) in (0_u32..).zip(offered) {
        let place = move |_: &HostCall, _: (u32,)| HostResult::Ok(place);
        functions = functions.add(name, place).unwrap();
    }
    let pool = pool(functions);
    let module = pool.load_bytes(&calling(import)).ok()?;
    let module = module.with_capabilities(Capabilities::new().host_interface("a:b/c").unwrap());
    Some(run(&pool, &module, "run", (0_u32,)).unwrap())
}

#[test]
fn a_compatible_version_of_a_function_is_found() {
    assert_eq!(answer(&["a:b/c@1.0.0#f"], "a:b/c@1.5.0#f"), Some(0));
    assert_eq!(answer(&["a:b/c@1.5.0#f"], "a:b/c@1.0.0#f"), Some(0));
    let offered = [
        "a:b/c#f",
        "a:b/c@1.1.0#f",
        "a:b/c@1.10.0#f",
        "a:b/c@1.9.0#f",
        "a:b/c@2.0.0#f",
    ];
    assert_eq!(answer(&offered, "a:b/c#f"), Some(0));
    assert_eq!(
        answer(&offered, "a:b/c@1.1.0#f"),
        Some(1),
        "the very version"
    );
    assert_eq!(
        answer(&offered, "a:b/c@1.2.0#f"),
        Some(2),
        "the highest version"
    );
    assert_eq!(answer(&offered, "a:b/c@2.3.0#f"), Some(4));
    assert_eq!(answer(&offered, "a:b/c@3.0.0#f"), None);
    assert_eq!(answer(&["a:b/c#f"], "a:b/c@1.0.0#f"), None);
    assert_eq!(answer(&["a:b/c@0.1.0#f"], "a:b/c@0.2.0#f"), None);
}

#[test]
fn a_function_that_belongs_to_no_interface_is_offered_by_its_name() {
    let functions =
        HostFunctions::new().add("double", |_: &HostCall, (n,): (u32,)| HostResult::Ok(2 * n));
    let pool = pool(functions.unwrap());
    let module = pool.load_bytes(&calling("double")).unwrap();
    let rights = Capabilities::new().host_function("double").unwrap();
    let module = module.with_capabilities(rights);
    assert_eq!(run::<_, u32>(&pool, &module, "run", (21_u32,)).unwrap(), 42);
}

#[test]
fn offered_functions_need_not_be_imported() {
    let bench = Bench::new(builder(all()));
    assert!(bench.factorizer.host_functions().is_empty());
    bench.assert_healthy();
}

#[test]
fn a_function_that_was_not_granted_ends_the_task_and_is_named() {
    let pool = pool(all());
    let module = importer(&pool).with_capabilities(Capabilities::new());
    let write = module.task::<(Level, &str), ()>("write").unwrap();
    let refused = pool.submit(&write, (Level::Info, "hello")).unwrap();
    let error = refused.wait().unwrap_err();
    assert_eq!(
        (error.kind(), error.fault()),
        (Kind::NotGranted, Fault::Caller)
    );
    assert_eq!(
        error.message(),
        "it called the host function `acme:host/log@1.2.0#write`, which it was not granted; grant it \
         with `Capabilities::host_function`"
    );
    let report = refused.report().unwrap();
    assert_eq!(report.refused, ["call `acme:host/log@1.2.0#write`"]);
    // For one reference, the function by its name and in another version, and other functions.
    for (granted, is_enough) in [
        ("acme:host/log#write", true),
        ("acme:host/log@1.0.0#write", true),
        ("acme:host/log@1.2.0#write", true),
        ("acme:host/log@2.0.0#write", false),
        ("acme:host/log#flush", false),
        ("acme:host/values#write", false),
        ("write", false),
    ] {
        let rights = Capabilities::new().host_function(granted).unwrap();
        let with = write.with(TaskOptions::new().capabilities(rights));
        let outcome = pool.submit(&with, (Level::Info, "hello")).unwrap().wait();
        assert_eq!(outcome.is_ok(), is_enough, "{granted}");
    }
    // The next call of the other reference has no more than before.
    let again = pool.submit(&write, (Level::Info, "hello")).unwrap().wait();
    assert_eq!(again.unwrap_err().kind(), Kind::NotGranted);
}

#[test]
fn a_guest_keeps_no_grant_in_a_warm_instance() {
    let pool = builder(all()).isolation(Isolation::Worker).build().unwrap();
    let module = importer(&pool).with_capabilities(Capabilities::new());
    let write = module.task::<(Level, &str), ()>("write").unwrap();
    let granted = write.with(TaskOptions::new().capabilities(everything_granted()));
    for _ in 0..3 {
        pool.submit(&granted, (Level::Info, ""))
            .unwrap()
            .wait()
            .unwrap();
        let error = pool
            .submit(&write, (Level::Info, ""))
            .unwrap()
            .wait()
            .unwrap_err();
        assert_eq!(error.kind(), Kind::NotGranted);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no row")]
struct NoRow;

#[derive(Debug, thiserror::Error)]
#[error("cannot look up")]
struct LookUpFailed(#[source] NoRow);

/// Checks that the task `name` fails by its function with this, and that the next task succeeds.
#[track_caller]
fn fails(pool: &Pool, module: &TaskModule, name: &str, n: u64, expected: &str) {
    let whose = (Kind::HostFunction, Fault::Host);
    fails_as(whose, pool, module, name, n, expected);
}

#[track_caller]
fn fails_as(
    whose: (Kind, Fault),
    pool: &Pool,
    module: &TaskModule,
    name: &str,
    n: u64,
    expected: &str,
) {
    let error = run::<_, u64>(pool, module, name, (n,)).unwrap_err();
    assert_eq!((error.kind(), error.fault()), whose, "{error}");
    assert!(error.message().ends_with(expected), "{error}");
    assert!(
        error
            .message()
            .contains(&format!("`acme:host/clock@1.2.0#{name}`")),
        "{error}"
    );
    assert_eq!(run::<_, u64>(pool, module, name, (0_u64,)).unwrap(), 0);
}

#[test]
fn errors_and_panics_of_functions_are_those_of_the_task() {
    let pool = pool(blocking(|_, n| match n {
        0 => Ok(0),
        1 => Err(LookUpFailed(NoRow).into()),
        2 => Err("by a text".into()),
        n => panic!("at {n}"),
    }));
    let module = importer(&pool);
    fails(&pool, &module, "block", 1, "failed: cannot look up: no row");
    fails(&pool, &module, "block", 2, "failed: by a text");
    fails(&pool, &module, "block", 3, "panicked: at 3");
    let stats = pool.stats();
    assert_eq!(stats.stuck, 0);
}

#[test]
fn errors_and_panics_of_async_functions_are_those_of_the_task() {
    /// Panics when it is dropped.
    struct Dropped(bool);
    impl Drop for Dropped {
        fn drop(&mut self) {
            assert!(!self.0, "dropped");
        }
    }
    let pool = pool(resting(|_, n| {
        assert!(n != 1, "before the future");
        let dropped = Dropped(n == 5);
        async move {
            assert!(n != 2, "before the wait");
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert!(n != 3, "after the wait");
            if n == 4 {
                return Err(LookUpFailed(NoRow).into());
            }
            drop(dropped);
            Ok(0)
        }
    }));
    let module = importer(&pool);
    fails(&pool, &module, "rest", 1, "panicked: before the future");
    fails(&pool, &module, "rest", 2, "panicked: before the wait");
    fails(&pool, &module, "rest", 3, "panicked: after the wait");
    fails(&pool, &module, "rest", 4, "failed: cannot look up: no row");
    fails(&pool, &module, "rest", 5, "panicked: dropped");
}

#[test]
fn a_panic_in_the_drop_of_a_stopped_future_costs_nobody_else() {
    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let pool = pool(resting(|_, n| async move {
        if n > 0 {
            let _panics = PanicsWhenDropped;
            std::future::pending::<()>().await;
        }
        Ok(n)
    }));
    let module = importer(&pool);
    let rest = module.task::<(u64,), u64>("rest").unwrap();
    let waiting = pool.submit(&rest, (1,)).unwrap();
    wait_until_suspended(&waiting);
    assert!(waiting.cancel());
    assert_eq!(waiting.wait().unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(pool.submit(&rest, (0,)).unwrap().wait().unwrap(), 0);
}

#[test]
fn a_value_that_the_function_does_not_take_is_an_error_of_the_call() {
    let functions = values(HostFunctions::new())
        .add("acme:host/log@1.2.0#write", write)
        .unwrap()
        // Numbers of other sizes have the right kind.
        .add("acme:host/clock@1.2.0#rest", |_: &HostCall, (n,): (u8,)| {
            HostResult::Ok(n)
        })
        .unwrap()
        .add(
            "acme:host/clock@1.2.0#block",
            |_: &HostCall, (n,): (u64,)| HostResult::Ok(-i64::try_from(n)?),
        )
        .unwrap();
    let pool = pool(functions);
    let module = importer(&pool);
    fails_as(
        (Kind::HostArguments, Fault::Guest),
        &pool,
        &module,
        "rest",
        256,
        "does not take what the guest passed: argument 1: invalid value: integer `256`, expected u8",
    );
    fails(
        &pool,
        &module,
        "block",
        3,
        "returned what the guest does not take: result: expected u64, got -3; its type there is \
         `func(milliseconds: u64) -> u64`",
    );
}

/// Waits until `n` others wait here too.
#[derive(Clone, Default)]
struct Meeting(Arc<Mutex<(usize, Vec<Waker>)>>);

impl Meeting {
    async fn of(&self, n: usize) {
        let mut has_come = false;
        poll_fn(|context| {
            let mut state = self.0.lock().unwrap();
            if !std::mem::replace(&mut has_come, true) {
                state.0 += 1;
            }
            if state.0 >= n {
                state.1.drain(..).for_each(Waker::wake);
                return Poll::Ready(());
            }
            state.1.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[test]
fn tasks_that_wait_in_async_functions_share_a_worker() {
    let meeting = Meeting::default();
    let pool = pool(resting(move |_, n| {
        let meeting = meeting.clone();
        async move {
            meeting.of(3).await;
            tokio::time::sleep(Duration::from_millis(n)).await;
            Ok(n)
        }
    }));
    let module = importer(&pool);
    let rest = module.task::<(u64,), u64>("rest").unwrap();
    within_long(move || {
        let futures = [3, 2, 1].map(|n| pool.submit(&rest, (n,)).unwrap());
        let sum = futures
            .iter()
            .map(|future| future.wait().unwrap())
            .sum::<u64>();
        assert_eq!(sum, 6);
        let report = futures[0].report().unwrap();
        assert!(!report.suspended.is_zero(), "{report:?}");
    });
}

/// Tells when it is dropped.
struct Guard(mpsc::Sender<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[test]
fn a_stop_drops_the_future_of_a_waiting_function() {
    let (sender, dropped) = mpsc::channel();
    let pool = pool(resting(move |_, n| {
        let guard = Guard(sender.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok(n)
        }
    }));
    let module = importer(&pool);
    let rest = module.task::<(u64,), u64>("rest").unwrap();
    let cancelled = pool.submit(&rest, (1,)).unwrap();
    wait_until_suspended(&cancelled);
    assert!(dropped.try_recv().is_err());
    assert!(cancelled.cancel());
    dropped.recv_timeout(LONG).unwrap();
    let short = rest.with(TaskOptions::new().task_timeout(Duration::from_millis(20)));
    let error = pool.submit(&short, (1,)).unwrap().wait().unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut);
    dropped.recv_timeout(LONG).unwrap();
    // And so does the end of the pool.
    let waiting = pool.submit(&rest, (1,)).unwrap();
    wait_until_suspended(&waiting);
    within_long(move || pool.shutdown(wasmpool::Shutdown::Terminate));
    dropped.recv_timeout(LONG).unwrap();
    assert_eq!(waiting.wait().unwrap_err().kind(), Kind::ShutDown);
}

#[test]
fn a_function_that_blocks_costs_no_worker_and_no_timeout() {
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let bench = Bench::new(builder(blocking(move |_, n| {
        // Blocks until the test ends.
        let _ = blocked.lock().unwrap().recv();
        Ok(n)
    })));
    let module = importer(&bench.pool);
    let block = module.task::<(u64,), u64>("block").unwrap();
    let short = block.with(TaskOptions::new().task_timeout(Duration::from_millis(500)));
    let future = bench.pool.submit(&short, (1,)).unwrap();
    let error = future
        .wait_timeout(LONG)
        .expect("it is stopped")
        .unwrap_err();
    assert_eq!(error.kind(), Kind::TimedOut);
    bench.assert_healthy();
    assert_eq!(bench.pool.stats().stuck, 1);
    // The function returns: its thread comes back, and its result is nobody's.
    release.send(()).unwrap();
    let deadline = Instant::now() + LONG;
    while bench.pool.stats().stuck > 0 {
        assert!(Instant::now() < deadline, "it does not come back");
        std::thread::yield_now();
    }
    let stuck = bench.pool.submit(&short, (1,)).unwrap();
    assert_eq!(stuck.wait().unwrap_err().kind(), Kind::TimedOut);
    within_long(move || drop(bench));
    drop(release);
}

#[test]
fn a_function_can_tell_that_its_task_is_to_stop() {
    let (sender, started) = mpsc::channel();
    let bench = Bench::new(builder(blocking(move |call, n| {
        sender.send(()).unwrap();
        while !call.is_stopping() {
            std::thread::yield_now();
        }
        Ok(n)
    })));
    let module = importer(&bench.pool);
    let block = module.task::<(u64,), u64>("block").unwrap();
    let future = bench.pool.submit(&block, (1,)).unwrap();
    started.recv_timeout(LONG).unwrap();
    assert!(future.cancel());
    assert_eq!(future.wait().unwrap_err().kind(), Kind::Cancelled);
    bench.assert_healthy();
}

#[test]
fn a_function_is_told_whose_call_it_is() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let functions = {
        let told = Arc::clone(&told);
        blocking(move |call, n| {
            let what = format!(
                "{} {:?} {:?} {}",
                call.task(),
                call.tag(),
                call.tenant(),
                call.attempt()
            );
            told.lock().unwrap().push(what);
            match call.attempt() {
                1 if n == 1 => Err("once".into()),
                _ => Ok(n),
            }
        })
    };
    let pool = builder(functions)
        .isolation(Isolation::Worker)
        .build()
        .unwrap();
    let module = importer(&pool);
    let block = module.task::<(u64,), u64>("block").unwrap();
    pool.submit(&block, (0,)).unwrap().wait().unwrap();
    let retry = Retry::times(1).on([Kind::HostFunction]);
    let named = TaskOptions::new().tag("t-1").tenant("acme").retry(retry);
    pool.submit(&block.with(named), (1,))
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(
        *told.lock().unwrap(),
        [
            "block None None 1",
            "block Some(\"t-1\") Some(\"acme\") 1",
            "block Some(\"t-1\") Some(\"acme\") 2",
        ]
    );
}

#[test]
fn what_a_function_refuses_to_one_tenant_fails_no_initializer_of_others() {
    let functions = resting(|call: HostCall, n| async move {
        match call.tenant() {
            Some("refused") => Err("no rest for you".into()),
            _ => Ok(n),
        }
    });
    let pool = pool(functions);
    let module = importer(&pool);
    let rest = module.task::<(u64,), u64>("rest").unwrap();
    let module = module.with_initializer(&rest, (5,)).unwrap();
    let rest_for = |tenant| {
        let options = TaskOptions::new().tenant(tenant);
        let task = module.task::<(u64,), u64>("rest").unwrap();
        let task = task.with(options);
        pool.submit(&task, (1,)).unwrap().wait()
    };
    let error = rest_for("refused").unwrap_err();
    assert_eq!(error.kind(), Kind::HostFunction, "{error}");
    let options = TaskOptions::new().capabilities(Capabilities::new());
    let task = module.task::<(u64,), u64>("rest").unwrap();
    let refused = pool.submit(&task.with(options), (1,)).unwrap();
    let error = refused.wait().unwrap_err();
    assert_eq!(error.kind(), Kind::NotGranted, "{error}");
    assert_eq!(rest_for("welcome").unwrap(), 1);
}

#[test]
fn an_initializer_and_a_session_may_call_functions() {
    let n_calls = Arc::new(AtomicUsize::new(0));
    let functions = {
        let n_calls = Arc::clone(&n_calls);
        resting(move |_, n| {
            n_calls.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(n)
            }
        })
    };
    let pool = pool(functions);
    let module = importer(&pool);
    let rest = module.task::<(u64,), u64>("rest").unwrap();
    let initialized = module.with_initializer(&rest, (5,)).unwrap();
    assert_eq!(
        run::<_, u64>(&pool, &initialized, "rest", (6_u64,)).unwrap(),
        6
    );
    assert_eq!(n_calls.load(Ordering::SeqCst), 2);
    let session = module.session(&pool).unwrap();
    for n in 0..3 {
        assert_eq!(session.submit(&rest, (n,)).unwrap().wait().unwrap(), n);
    }
    assert_eq!(n_calls.load(Ordering::SeqCst), 5);
}

#[test]
fn submitting_from_a_function_does_not_block() {
    type Later = Mutex<Option<(Pool, Task<(u64,), u64>)>>;
    let later = Arc::new(Later::default());
    let functions = {
        let later = Arc::clone(&later);
        blocking(move |_, n| {
            if n > 0 {
                let later = later.lock().unwrap();
                let (pool, block) = later.as_ref().ok_or("no pool")?;
                // More than the queue has places for, on the only worker.
                for _ in 0..n {
                    drop(pool.submit(block, (0,))?);
                }
            }
            Ok(n)
        })
    };
    let pool = builder(functions).queue_capacity(1).build().unwrap();
    let module = importer(&pool);
    let block = module.task::<(u64,), u64>("block").unwrap();
    *later.lock().unwrap() = Some((pool.clone(), block.clone()));
    let future = pool.submit(&block, (10,)).unwrap();
    let outcome = future.wait_timeout(LONG).expect("it does not block");
    assert_eq!(outcome.unwrap(), 10);
    // The function must not keep its own pool alive.
    drop(later.lock().unwrap().take());
    within_long(move || drop(pool));
}

#[test]
fn arguments_of_a_hostile_guest_are_bounded() {
    let limit = 1 << 20;
    let functions = all().add(
        "acme:host/hoard#take",
        |_: &HostCall, _: (Vec<ByteBuf>,)| HostResult::Ok(()),
    );
    let pool = builder(functions.unwrap())
        .payload_limit(limit)
        .build()
        .unwrap();
    let module = importer(&pool);
    let write_much = module.task::<(u32,), ()>("write-much").unwrap();
    let small = u32::try_from(limit / 2).unwrap();
    pool.submit(&write_much, (small,)).unwrap().wait().unwrap();
    let error = pool
        .submit(&write_much, (4 * small,))
        .unwrap()
        .wait()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::OutputLimit, "{error}");
    let expected = "the arguments of a host function are over the payload limit of 1048576 bytes";
    assert_eq!(error.message(), expected);
    // The same kilobyte over and over.
    let hoard = r#"(component
        (import "acme:host/hoard" (instance $host
            (export "take" (func (param "all" (list (list u8)))))))
        (core module $memory (memory (export "memory") 2))
        (core instance $memory (instantiate $memory))
        (alias core export $memory "memory" (core memory $mem))
        (alias export $host "take" (func $take))
        (core func $lowered (canon lower (func $take) (memory $mem)))
        (core module $module
            (import "" "memory" (memory 2))
            (import "" "take" (func $take (param i32 i32)))
            (func (export "run") (param $n i32) (local $i i32)
                (loop $next
                    (i32.store offset=4 (i32.shl (local.get $i) (i32.const 3)) (i32.const 1024))
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
                (call $take (i32.const 0) (local.get $n))))
        (core instance $core (instantiate $module (with "" (instance
            (export "memory" (memory $mem)) (export "take" (func $lowered))))))
        (func (export "run") (param "n" u32) (canon lift (core func $core "run"))))"#;
    let module = pool.load_bytes(hoard.as_bytes()).unwrap();
    let rights = Capabilities::new()
        .host_interface("acme:host/hoard")
        .unwrap();
    let module = module.with_capabilities(rights);
    run::<_, ()>(&pool, &module, "run", (100_u32,)).unwrap();
    let error = run::<_, ()>(&pool, &module, "run", (10_000_u32,)).unwrap_err();
    assert_eq!(error.kind(), Kind::OutputLimit, "{error}");
    run::<_, ()>(&pool, &module, "run", (100_u32,)).unwrap();
}

#[test]
fn a_guest_that_passes_nonsense_breaks_the_rules() {
    let pool = pool(
        all()
            .add(
                "a:b/c#text",
                |_: &HostCall, _: (String,)| HostResult::Ok(()),
            )
            .unwrap(),
    );
    let nonsense = r#"(component
        (import "a:b/c" (instance $host (export "text" (func (param "text" string)))))
        (core module $memory (memory (export "memory") 1) (data (i32.const 0) "\ff\ff\ff\ff"))
        (core instance $memory (instantiate $memory))
        (alias core export $memory "memory" (core memory $mem))
        (alias export $host "text" (func $text))
        (core func $lowered (canon lower (func $text) (memory $mem)))
        (core module $module
            (import "" "text" (func $text (param i32 i32)))
            (func (export "run") (param i32 i32) (call $text (local.get 0) (local.get 1))))
        (core instance $core (instantiate $module (with "" (instance
            (export "text" (func $lowered))))))
        (func (export "run") (param "at" u32) (param "n" u32)
            (canon lift (core func $core "run"))))"#;
    let module = pool.load_bytes(nonsense.as_bytes()).unwrap();
    let rights = Capabilities::new().host_interface("a:b/c").unwrap();
    let module = module.with_capabilities(rights);
    for place in [(0, 4), (65_530, 10), (u32::MAX, 1), (0, u32::MAX)] {
        let error = run::<_, ()>(&pool, &module, "run", place).unwrap_err();
        assert!(matches!(error.kind(), Kind::Trap(_)), "{place:?}: {error}");
    }
    run::<_, ()>(&pool, &module, "run", (4_u32, 4_u32)).unwrap();
}
