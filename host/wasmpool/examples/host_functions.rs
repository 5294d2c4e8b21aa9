//! Functions of this program that guests call: a log, and a look-up that waits.
//!
//! ```sh
//! cargo run --release -p wasmpool --example host_functions [MODULE]
//! ```
//!
//! The guest is `guest-tasks/importer_sdk`, and the functions are those of its `wit/host.wit`.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmpool::{Capabilities, HostCall, HostFunctions, HostResult, Pool, TaskOptions};

/// `enum level { debug, info, warning }`
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Debug,
    Info,
    Warning,
}

/// `record account { name: string, balance: s64 }`
#[derive(Serialize, Deserialize)]
struct Account {
    name: String,
    balance: i64,
}

/// `variant problem { unknown(string), closed }`
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Problem {
    Unknown(String),
    Closed,
}

fn main() -> Result<(), Box<dyn Error>> {
    let module = std::env::args().nth(1);
    let module = module.unwrap_or_else(|| "target/guests/importer_sdk.wasm".to_owned());

    let functions = HostFunctions::new()
        // Returns at once, on the worker of its caller.
        .add("acme:host/log@1.2.0#write", write)?
        // Waits: meanwhile the task is suspended, and its worker takes other tasks.
        .add_async("acme:host/accounts@1.2.0#find", find)?;
    let pool = Pool::builder()
        .workers(1)
        .host_functions(functions)
        .build()?;

    // Any module may import the functions. It calls those that it is granted.
    let module = pool.load(&module)?;
    for function in module.host_functions() {
        println!("imported: {}: {}", function.name, function.signature);
    }
    let balance = module.task::<(&str,), i64>("balance")?;
    let rights = Capabilities::new()
        .host_function("acme:host/log#write")?
        .host_interface("acme:host/accounts")?;
    let granted = TaskOptions::new().tenant("ada").capabilities(rights);
    let allowed = balance.with(granted);

    // A hundred look-ups wait at once, on one worker.
    let futures = (0..100).map(|_| pool.submit(&allowed, ("savings",)));
    let futures = futures.collect::<Result<Vec<_>, _>>()?;
    let mut total = 0;
    for future in futures {
        total += future.wait()?;
    }
    println!("total: {total}");

    for (task, name) in [
        // The guest handles this error: it is a value of the function's `result`.
        (&allowed, "nobody"),
        // This one ends the task: the function itself failed.
        (&allowed, "broken"),
        // And this guest was not granted the function.
        (&balance, "savings"),
    ] {
        let error = pool.submit(task, (name,))?.wait().unwrap_err();
        println!("{}: {error}", error.kind());
    }
    Ok(())
}

fn write(call: &HostCall, (level, message): (Level, String)) -> HostResult<()> {
    if matches!(level, Level::Warning) {
        println!("{} ({:?}): {message}", call.task(), call.tenant());
    }
    Ok(())
}

async fn find(_call: HostCall, (name,): (String,)) -> HostResult<Result<Account, Problem>> {
    // A data base that takes its time.
    tokio::time::sleep(Duration::from_millis(50)).await;
    match &*name {
        "savings" => Ok(Ok(Account { name, balance: 12 })),
        "broken" => Err("the data base does not answer".into()),
        "old" => Ok(Err(Problem::Closed)),
        _ => Ok(Err(Problem::Unknown(name))),
    }
}
