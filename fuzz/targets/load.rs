//! Files of anybody that are loaded: WebAssembly or not, as a binary or as a text.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wasmpool::{LoadError, Pool};
use wasmpool_fuzz::pools;

static POOL: LazyLock<Pool> = LazyLock::new(pools::pool);

fuzz_target!(|data: &[u8]| {
    match POOL.load_bytes(data) {
        Ok(module) => pools::check_listed(&module),
        // None of these is for a module to bring about.
        Err(error @ (LoadError::Read { .. } | LoadError::ShutDown | LoadError::Thread(_))) => {
            panic!("{error:?}")
        }
        Err(error) => pools::check_told(&error),
    }
});
