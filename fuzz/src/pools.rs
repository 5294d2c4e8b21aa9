//! Pools with small limits, and what is asked of everything that they say.

use std::error::Error;
use std::time::Duration;

use wasmpool::{Pool, TaskModule};

/// How large arguments and results may be.
pub const PAYLOAD_LIMIT: usize = 64 << 10;

/// How much may be made of a result when it is read: what the documentation of `json_form` says of
/// a payload limit as small as this.
pub const DECODED_LIMIT: usize = 64 << 20;

/// No message is longer than that: 16 KiB are kept of the words of others, and something is said
/// around them.
const MESSAGE: usize = 20 << 10;

/// A pool with one worker and small limits, which keeps nothing on disk.
pub fn pool() -> Pool {
    Pool::builder()
        .workers(1)
        .no_cache()
        .memory_limit(16 << 20)
        .payload_limit(PAYLOAD_LIMIT)
        .stack_limit(256 << 10)
        .output_limit(4 << 10)
        .task_timeout(Duration::from_secs(5))
        .load_timeout(Duration::from_secs(20))
        .build()
        .expect("a pool can be made")
}

/// Asserts that an error can be told, in a bounded text.
pub fn check_told(error: &(dyn Error + 'static)) {
    let mut error = Some(error);
    while let Some(told) = error {
        let message = told.to_string();
        assert!(!message.is_empty(), "{told:?}");
        assert!(message.len() <= MESSAGE, "{} bytes", message.len());
        error = told.source();
    }
}

/// Asserts that all that a module tells of itself is bounded and can be written out, and that each
/// of its tasks is found by its name.
pub fn check_listed(module: &TaskModule) {
    /// The bounds of the library: 262,144 types, none of whose own words is longer than this, and
    /// 4 MiB of names.
    const SIGNATURE: usize = (262_144 * 16) + (4 << 20);
    /// 10,000 types are described, with a few hundred bytes for each, and each name twice or thrice.
    const SCHEMA: usize = (10_000 * 512) + 3 * (4 << 20);

    let check = |text: String, limit: usize| {
        assert!(text.len() <= limit, "{} bytes", text.len());
    };
    for task in module.tasks().iter().take(64) {
        check(format!("{task:?}"), 16 * SIGNATURE);
        if let Some(signature) = &task.signature {
            check(signature.to_string(), SIGNATURE);
            for schema in [signature.arguments_schema(), signature.output_schema()] {
                check(serde_json::to_string(&schema).unwrap(), SCHEMA);
            }
        }
        let found = module.find(&task.name);
        assert_eq!(found.unwrap().name, task.name);
    }
    for function in module.uncallable() {
        assert!(function.name.len() <= 300 && function.reason.len() <= 1024);
        assert!(!function.reason.is_empty());
    }
    if let Err(error) = module.find("no such task") {
        check_told(&error);
    }
    check(format!("{module:?}"), 64 << 20);
}
