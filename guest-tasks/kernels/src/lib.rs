//! Small computing programs, to compare the sandbox with native code.
//!
//! One file for each kernel. As a component each is a task; compiled natively the same source is
//! the baseline. All are plain safe Rust: no intrinsics, no assembly, nothing that only one side
//! has.
//!
//! A kernel makes its own input from a size and returns a checksum, so that only computing is
//! measured and both sides can be compared. Kernels do not know pools or clocks.

mod byte_histogram;
mod factorize;
mod fannkuch;
mod json;
mod matrix_product;
mod n_body;
mod random;
mod sha256;
mod sieve;
mod word_count;

/// A kernel, compiled for this program. The task of the same name is the same function.
#[derive(Debug, Clone, Copy)]
pub struct Kernel {
    /// The name of the task.
    pub name: &'static str,
    /// A short description.
    pub doc: &'static str,
    /// Runs the kernel, and returns the checksum of its output.
    pub run: fn(u64) -> u64,
    /// A size at which it takes 5 to 10 milliseconds natively on a processor of 2024 (`fannkuch`:
    /// 20).
    pub size: u64,
}

/// Makes the tasks and the native functions from one list, so that neither side lacks one.
macro_rules! kernels {
    ($(#[doc = $doc:tt] $name:ident($size:literal))*) => {
        /// All kernels.
        pub const KERNELS: &[Kernel] = &[$(Kernel {
            name: stringify!($name),
            doc: $doc.trim_ascii(),
            run: $name::run,
            size: $size,
        }),*];

        #[wasmpool_guest::tasks]
        mod tasks {
            $(#[doc = $doc] pub fn $name(size: u64) -> u64 {
                crate::$name::run(size)
            })*
        }
    };
}

kernels! {
    /// Prime factors of `size` numbers near 10^12, by trial division.
    factorize(60)
    /// SHA-256 of `size` bytes.
    sha256(1_500_000)
    /// Primes below `size`, by the sieve of Eratosthenes.
    sieve(5_000_000)
    /// Product of two matrices of `size` times `size` floating-point numbers.
    matrix_product(300)
    /// Motion of five bodies over `size` steps.
    n_body(100_000)
    /// Flips of all permutations of `size` numbers.
    fannkuch(9)
    /// How often each word occurs in a text of `size` words, with a hash map.
    word_count(150_000)
    /// How often each value occurs in `size` bytes.
    byte_histogram(8_000_000)
    /// Writes `size` records as JSON and reads them back.
    json(4_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_size_gives_the_same_checksum_and_another_size_another() {
        for Kernel {
            name, run, size, ..
        } in KERNELS
        {
            let (size, other) = (size.div_ceil(2), size.div_ceil(4));
            assert_eq!(run(size), run(size), "{name}");
            assert_ne!(run(size), run(other), "{name}");
        }
    }

    #[test]
    fn no_size_at_all_is_fine() {
        for Kernel { run, .. } in KERNELS {
            run(0);
        }
    }
}
