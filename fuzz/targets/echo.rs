//! Values that go into a guest's memory and come back out of it.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Result;
use libfuzzer_sys::fuzz_target;
use wasmpool::Pool;
use wasmpool_fuzz::{Unstructured, Value, echo_component, pools, random};

/// How many values go through one component, which takes far longer to make than to call.
const MOST_VALUES: usize = 8;

static POOL: LazyLock<Pool> = LazyLock::new(pools::pool);

fuzz_target!(|data: &[u8]| {
    let _ = check(&mut Unstructured::new(data));
});

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let ty = random::any_type(input, random::DEPTH)?;
    let module = POOL.load_bytes(&echo_component(&ty)).unwrap();
    let task = module.task::<(Value,), ()>("echo").unwrap();
    let signature = task.info().signature.as_ref().unwrap();
    assert_eq!(signature.params[0].1.to_string(), ty.to_string());
    let result = signature.result.as_ref().unwrap();
    assert_eq!(result.to_string(), format!("tuple<{ty}>"));
    for _ in 0..MOST_VALUES {
        let value = random::any_value(input, &ty)?;
        let future = match POOL.submit(&task, (value.clone(),)) {
            Ok(future) => future,
            Err(error) if error.to_string().contains("over the payload limit") => break,
            Err(error) => panic!("{ty}: {error}"),
        };
        match future.wait_as::<Value>() {
            Ok(echoed) => assert_eq!(echoed, Value::List(vec![value]), "{ty}"),
            Err(error) => panic!("{ty}: {error}"),
        }
        if input.is_empty() {
            break;
        }
    }
    Ok(())
}
