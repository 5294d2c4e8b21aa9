//! Kernels compute the same in the sandbox as natively.

use kernels::{KERNELS, Kernel};

use crate::support::Bench;

/// Runs all kernels in the sandbox, at this fraction of their usual size, and compares the
/// checksums.
#[track_caller]
fn check(bench: &Bench, part: u64) {
    let module = bench.pool.load(wasmpool_guests::KERNELS.path()).unwrap();
    for Kernel {
        name, run, size, ..
    } in KERNELS
    {
        let size = size.div_ceil(part);
        let task = module.task::<(u64,), u64>(name).unwrap();
        let future = bench.pool.submit(&task, (size,)).unwrap();
        assert_eq!(future.wait().unwrap(), run(size), "{name} of {size}");
    }
}

#[test]
fn every_kernel_gives_the_same_checksum_in_the_sandbox_as_natively() {
    let bench = Bench::with_workers(1);
    for part in [1, 2, 7] {
        check(&bench, part);
    }
}
