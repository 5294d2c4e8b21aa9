//! Asynchronous functions of components as tasks.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use wasmpool::{
    Arguments, Capabilities, HostCall, HostFunctions, HostResult, Isolation, Pool, PoolBuilder,
    Retry, TaskErrorKind as Kind, TaskFuture, TaskModule, TaskOptions, Value,
};

use crate::support::{LONG, wait_until_running, wait_until_suspended};

const INTERFACE: &str = "acme:awaiting/tasks@1.0.0";

struct Awaiting {
    pool: Pool,
    module: TaskModule,
}

impl Awaiting {
    fn new(builder: PoolBuilder) -> Self {
        let pool = builder.build().unwrap();
        let module = pool.load(wasmpool_guests::AWAITING.path()).unwrap();
        Self { pool, module }
    }

    fn submit<A: Arguments, Out: DeserializeOwned>(
        &self,
        name: &str,
        arguments: A,
    ) -> TaskFuture<Out> {
        self.submit_with(name, arguments, TaskOptions::new())
    }

    fn submit_with<A: Arguments, Out: DeserializeOwned>(
        &self,
        name: &str,
        arguments: A,
        options: TaskOptions,
    ) -> TaskFuture<Out> {
        let task = self.module.task(&format!("{INTERFACE}#{name}")).unwrap();
        self.pool.submit(&task.with(options), arguments).unwrap()
    }

    fn call<A: Arguments, Out: DeserializeOwned>(&self, name: &str, arguments: A) -> Out {
        self.submit(name, arguments).wait().unwrap()
    }
}

fn awaiting() -> Awaiting {
    Awaiting::new(Pool::builder().workers(1))
}

#[derive(Debug, Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Found {
    Nothing,
    Number(u64),
    Text(String),
    Share(f32),
}

#[test]
fn results_of_every_shape_come_back() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let awaiting = Awaiting::new(Pool::builder().workers(1).isolation(isolation));
        assert_eq!(
            awaiting.call::<_, Vec<u64>>("factorize", (360_u64,)),
            [2, 2, 2, 3, 3, 5]
        );
        awaiting.call::<_, ()>("nothing", ());
        assert_eq!(awaiting.call::<_, u64>("halve", (8_u64,)), 4);
        let swapped: (f32, String, Option<u64>) = awaiting.call("swap", ("ab", 0.5_f32));
        assert_eq!(swapped, (0.5, "ab".to_owned(), Some(2)));
        let found = [
            Found::Nothing,
            Found::Number(u64::MAX),
            Found::Text("two".to_owned()),
            Found::Share(0.5),
        ];
        for (n, expected) in found.into_iter().enumerate() {
            assert_eq!(awaiting.call::<_, Found>("find", (n as u64,)), expected);
        }
        // More values than a function may have parameters.
        let wide: BTreeMap<String, u8> = awaiting.call("widen", (250_u8,));
        let wide = wide.into_values().collect::<Vec<_>>();
        assert_eq!(
            wide,
            std::array::from_fn::<_, 17, _>(|place| 250_u8.wrapping_add(place as u8))
        );
        assert_eq!(awaiting.call::<_, u32>("add", (1_u32, 2_u32)), 3);
    }
}

#[test]
fn a_signature_and_values_are_as_those_of_other_functions() {
    let awaiting = awaiting();
    let name = format!("{INTERFACE}#swap");
    let task = awaiting
        .module
        .task::<(Value, Value), Value>(&name)
        .unwrap();
    let info = awaiting
        .module
        .tasks()
        .iter()
        .find(|task| task.name == name);
    let signature = info.unwrap().signature.as_ref().unwrap();
    assert_eq!(
        signature.to_string(),
        "func(first: string, second: f32) -> tuple<f32, string, option<u64>>"
    );
    let arguments = (Value::Text("x".to_owned()), Value::Float(0.25));
    let swapped = awaiting.pool.submit(&task, arguments).unwrap().wait();
    let expected = [
        Value::Float(0.25),
        Value::Text("x".to_owned()),
        Value::Unsigned(1),
    ];
    assert_eq!(swapped.unwrap(), Value::List(expected.into()));
}

#[test]
fn errors_of_a_result_are_errors_of_the_task() {
    let awaiting = awaiting();
    let refused = awaiting
        .submit::<_, u64>("halve", (7_u64,))
        .wait()
        .unwrap_err();
    assert_eq!(
        (refused.kind(), refused.message()),
        (Kind::Failed, "7 is odd")
    );
    let refused = awaiting
        .submit::<_, Found>("find", (4_u64,))
        .wait()
        .unwrap_err();
    assert!(refused.message().contains("4 is too many"), "{refused}");
}

#[test]
fn functions_with_streams_of_values_and_futures_cannot_be_called() {
    let awaiting = awaiting();
    let why = |name: &str| {
        let mut uncallable = awaiting.module.uncallable().iter();
        let found = uncallable.find(|uncallable| uncallable.name.ends_with(name));
        found
            .unwrap_or_else(|| panic!("`{name}` is listed"))
            .reason
            .clone()
    };
    assert_eq!(
        why("count-up"),
        "its result holds a future or a stream, which live only in their instance"
    );
    assert_eq!(
        why("later"),
        "its result holds a future or a stream, which live only in their instance"
    );
}

#[test]
fn a_task_that_awaits_keeps_no_worker() {
    let awaiting = awaiting();
    let began = Instant::now();
    let naps = (0..50).map(|_| awaiting.submit::<_, u64>("nap", (200_u64,)));
    let naps = naps.collect::<Vec<_>>();
    for nap in naps {
        assert!(nap.wait().unwrap() >= 200_000_000);
    }
    assert!(
        began.elapsed() < Duration::from_millis(50 * 200),
        "one after the other"
    );
}

#[test]
fn a_task_waits_for_several_things_at_once() {
    let awaiting = awaiting();
    let naps: Vec<u64> = awaiting.call("naps", (vec![300_u64, 100, 1, 200],));
    assert_eq!(naps, [1, 100, 200, 300]);
    awaiting.call::<_, ()>("wait-in-all-ways", (10_u64,));
}

#[test]
fn a_task_that_awaits_is_stopped() {
    let awaiting = awaiting();
    // In one wait, in several at once, in a stream, and computing.
    let waiting: [(&str, Option<u64>); 3] = [
        ("nap", Some(3_600_000)),
        ("wait-in-all-ways", Some(3_600_000)),
        ("spin", None),
    ];
    for (name, milliseconds) in waiting {
        let submit = |options| match milliseconds {
            Some(milliseconds) => awaiting.submit_with::<_, Value>(name, (milliseconds,), options),
            None => awaiting.submit_with::<_, Value>(name, (), options),
        };
        let cancelled = submit(TaskOptions::new());
        match milliseconds {
            Some(_) => wait_until_suspended(&cancelled),
            None => wait_until_running(&cancelled),
        }
        assert!(cancelled.cancel());
        assert_eq!(
            cancelled.wait().unwrap_err().kind(),
            Kind::Cancelled,
            "{name}"
        );
        let late = submit(TaskOptions::new().task_timeout(Duration::from_millis(50)));
        assert_eq!(late.wait().unwrap_err().kind(), Kind::TimedOut, "{name}");
        assert_eq!(awaiting.call::<_, u32>("add", (1_u32, 2_u32)), 3, "{name}");
    }
}

#[test]
fn a_task_that_waits_for_what_never_comes_is_told_so() {
    let awaiting = awaiting();
    let error = awaiting.submit::<_, ()>("never", ()).wait().unwrap_err();
    assert!(matches!(error.kind(), Kind::Trap(_)), "{error}");
    assert!(error.message().contains("deadlock"), "{error}");
}

#[test]
fn many_waits_of_one_task_are_bounded() {
    let awaiting = awaiting();
    let error = awaiting
        .submit::<_, u32>("flood", (100_000_u32,))
        .wait()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::HandleLimit, "{error}");
    let many = awaiting.submit::<_, u32>("flood", (1000_u32,));
    wait_until_suspended(&many);
    assert!(many.cancel());
}

#[test]
fn what_a_task_leaves_behind_does_not_go_on_in_the_time_of_others() {
    let awaiting = Awaiting::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    for _ in 0..3 {
        let left = awaiting.submit::<_, u32>("leave-behind", (3_600_000_u64,));
        assert_eq!(left.wait().unwrap(), 1);
    }
    // An instance in which nothing is under way is kept.
    awaiting.call::<_, ()>("nothing", ());
    let warm = awaiting.submit::<_, u64>("nap", (1_u64,));
    warm.wait().unwrap();
    assert_eq!(warm.report().unwrap().instance_age, 1);
}

#[test]
fn an_asynchronous_component_comes_from_the_cache_and_from_native_code() {
    let folder = tempfile::tempdir().unwrap();
    let builder = || {
        Pool::builder()
            .workers(1)
            .cache_folder(folder.path().join("cache"))
    };
    for _ in 0..2 {
        let awaiting = Awaiting::new(builder());
        assert_eq!(awaiting.call::<_, Vec<u64>>("factorize", (6_u64,)), [2, 3]);
    }
    let path = folder.path().join("awaiting.cwasm");
    let pool = builder().build().unwrap();
    let code = pool.precompile(wasmpool_guests::AWAITING.wasm).unwrap();
    std::fs::write(&path, code).unwrap();
    // SAFETY: it was just compiled, and stays as it is.
    #[allow(unsafe_code)]
    let module = unsafe { pool.load_precompiled(&path) }.unwrap();
    let awaiting = Awaiting { pool, module };
    assert_eq!(awaiting.call::<_, Vec<u64>>("factorize", (6_u64,)), [2, 3]);
}

#[test]
fn a_deterministic_task_awaits_in_its_own_time() {
    let awaiting = awaiting();
    let deterministic = || TaskOptions::new().capabilities(Capabilities::new().deterministic(1));
    let began = Instant::now();
    let nap = awaiting.submit_with::<_, u64>("nap", (3_600_000_u64,), deterministic());
    assert_eq!(nap.wait().unwrap(), 3_600_000_000_000);
    let long = vec![3_000_000_u64, 1, 2_000_000, 2];
    let naps = awaiting.submit_with::<_, Vec<u64>>("naps", (long,), deterministic());
    assert_eq!(naps.wait().unwrap(), [1, 2, 2_000_000, 3_000_000]);
    let all = awaiting.submit_with::<_, ()>("wait-in-all-ways", (1_000_000_u64,), deterministic());
    all.wait().unwrap();
    assert!(began.elapsed() < LONG);
}

#[test]
fn a_task_that_fails_is_retried() {
    let awaiting = awaiting();
    let twice = TaskOptions::new().retry(Retry::times(1));
    let failing = awaiting.submit_with::<_, ()>("never", (), twice);
    failing.wait().unwrap_err();
    assert_eq!(failing.report().unwrap().attempts, 2);
}

#[test]
fn a_stream_of_bytes_is_carried_as_bytes() {
    let awaiting = awaiting();
    let name = format!("{INTERFACE}#shout");
    let info = awaiting
        .module
        .tasks()
        .iter()
        .find(|task| task.name == name);
    let signature = info.unwrap().signature.as_ref().unwrap();
    assert_eq!(signature.to_string(), "func(text: list<u8>) -> list<u8>");
    for len in [0, 1, 100_000, 3_000_000] {
        let text = ByteBuf::from(vec![b'a'; len]);
        let shouted: ByteBuf = awaiting.call("shout", (text,));
        assert!(
            shouted.len() == len && shouted.iter().all(|&byte| byte == b'A'),
            "{len}"
        );
    }
}

#[test]
fn a_stream_that_does_not_end_is_over_the_payload_limit() {
    let awaiting = Awaiting::new(Pool::builder().workers(1).payload_limit(1_000_000));
    let error = awaiting
        .submit::<_, ByteBuf>("chatter", ())
        .wait()
        .unwrap_err();
    assert_eq!(error.kind(), Kind::OutputLimit, "{error}");
    let expected = "the result is over the payload limit of 1000000 bytes";
    assert_eq!(error.message(), expected);
}

/// A pool that offers the functions which `importer_async` wants. Those that rest begin when all of
/// `together` are under way.
fn importing(together: usize, granted: bool) -> Awaiting {
    type Several = (bool, u64, f32, char, String);
    let barrier = Arc::new(Barrier::default());
    let fetch = move |_: HostCall, (key,): (String,)| {
        let barrier = Arc::clone(&barrier);
        async move {
            barrier.pass(together).await;
            HostResult::Ok(match &*key {
                "missing" => Err("no such key".to_owned()),
                key => Ok(format!("value of {key}")),
            })
        }
    };
    let echo = |_: &HostCall, several: Several| HostResult::Ok(several);
    let rest = |_: HostCall, (milliseconds,): (u64,)| async move {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        HostResult::Ok(milliseconds)
    };
    let functions = HostFunctions::new();
    let functions = functions.add_async("acme:host/remote@1.0.0#fetch", fetch);
    let functions = functions
        .unwrap()
        .add("acme:host/remote@1.0.0#echo-several", echo);
    let functions = functions
        .unwrap()
        .add_async("acme:host/remote@1.0.0#rest", rest);
    let functions = functions.unwrap();
    let pool = Pool::builder().workers(1).host_functions(functions).build();
    let pool = pool.unwrap();
    let mut module = pool.load(wasmpool_guests::IMPORTER_ASYNC.path()).unwrap();
    if granted {
        let rights = Capabilities::new().host_interface("acme:host/remote@1.0.0");
        module = module.with_capabilities(rights.unwrap());
    }
    Awaiting { pool, module }
}

/// Whoever comes waits until so many have come.
#[derive(Default)]
struct Barrier(Mutex<(usize, Vec<Waker>)>);

impl Barrier {
    async fn pass(&self, together: usize) {
        self.0.lock().unwrap().0 += 1;
        poll_fn(|context| {
            let (n_here, wakers) = &mut *self.0.lock().unwrap();
            if *n_here >= together {
                wakers.drain(..).for_each(Waker::wake);
                return Poll::Ready(());
            }
            wakers.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[test]
fn several_calls_of_host_functions_are_under_way_at_once() {
    let importing = importing(3, true);
    let fetch_all = importing
        .module
        .task::<(Vec<String>,), Vec<Result<String, String>>>("fetch-all");
    let keys = ["a", "missing", "c"].map(str::to_owned).to_vec();
    let fetched = importing.pool.submit(&fetch_all.unwrap(), (keys,)).unwrap();
    let expected = [
        Ok("value of a".to_owned()),
        Err("no such key".to_owned()),
        Ok("value of c".to_owned()),
    ];
    let fetched = fetched
        .wait_timeout(LONG)
        .expect("all of them are under way");
    assert_eq!(fetched.unwrap(), expected);
    // The other one is dropped with the instance.
    let race = importing.module.task::<(u64, u64), u64>("race").unwrap();
    let first = importing.pool.submit(&race, (3_600_000, 1)).unwrap();
    assert_eq!(first.wait_timeout(LONG).expect("one is enough").unwrap(), 1);
}

#[test]
fn a_host_function_that_does_not_wait_may_be_imported_as_asynchronous() {
    type Several = (bool, u64, f32, char, String);
    let importing = importing(1, true);
    let echo = importing
        .module
        .task::<Several, Several>("echo-several")
        .unwrap();
    let several = (true, u64::MAX, 0.5, 'ü', "text".to_owned());
    let echoed = importing.pool.submit(&echo, several.clone()).unwrap();
    assert_eq!(echoed.wait().unwrap(), several);
}

#[test]
fn an_asynchronous_host_function_that_was_not_granted_ends_the_task() {
    let importing = importing(1, false);
    let race = importing.module.task::<(u64, u64), u64>("race").unwrap();
    let refused = importing.pool.submit(&race, (1, 1)).unwrap();
    assert_eq!(refused.wait().unwrap_err().kind(), Kind::NotGranted);
    let report = refused.report().unwrap();
    assert_eq!(report.refused, ["call `acme:host/remote@1.0.0#rest`"]);
}

#[test]
fn a_task_that_computes_makes_room_for_another_tenant() {
    let awaiting = awaiting();
    let of_tenant = |name| TaskOptions::new().tenant(name);
    let spinning = awaiting.submit_with::<_, ()>("spin", (), of_tenant("one"));
    wait_until_running(&spinning);
    let other = awaiting.submit_with::<_, u64>("nap", (1_u64,), of_tenant("other"));
    let napped = other.wait_timeout(LONG).expect("the worker is shared");
    assert!(napped.unwrap() >= 1_000_000);
    assert!(spinning.cancel());
    assert_eq!(spinning.wait().unwrap_err().kind(), Kind::Cancelled);
}

#[test]
fn what_a_call_of_a_session_leaves_behind_goes_on_in_the_next() {
    let awaiting = awaiting();
    let leave = format!("{INTERFACE}#leave-behind");
    let leave = awaiting.module.task::<(u64,), u32>(&leave).unwrap();
    let session = awaiting.module.session(&awaiting.pool).unwrap();
    let call = || {
        session
            .submit(&leave, (3_600_000,))
            .unwrap()
            .wait()
            .unwrap()
    };
    // What the first call has begun is still under way in the second.
    assert_eq!([call(), call()], [1, 2]);
}
