//! The kernels: the same functions natively and in the guest.

pub(crate) use kernels::Kernel;

/// The guest that has them as tasks.
pub(crate) const GUEST: wasmpool_guests::Guest = wasmpool_guests::KERNELS;

/// All kernels, each with a size that takes some milliseconds.
pub(crate) fn all() -> impl Iterator<Item = Kernel> {
    kernels::KERNELS.iter().copied()
}

/// The inputs of the factorizer: the numbers of the article that it comes from, in steps of 2 from
/// just below 10^12, some of which are prime and take long. (E. Bendersky, "Parallelizing
/// CPU-bound tasks with concurrent.futures", 2013.)
pub(crate) fn article_numbers(count: usize) -> Vec<u64> {
    (999_999_999_999..).step_by(2).take(count).collect()
}
