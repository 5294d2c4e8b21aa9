//! What this process may take of address space, of threads and of descriptors.
//!
//! Knows the limits of the system, and nothing of guests.

use std::hint::black_box;
use std::io;

use rustix::process::{Resource, getrlimit};

const GIB: u64 = 1 << 30;

/// A thread's stack, in bytes of addresses.
const STACK: usize = 2 << 20;

/// What glibc reserves for the allocations of a thread, in bytes of addresses. It takes that while
/// there is any, before those who need it.
const ARENA: usize = 64 << 20;

/// The variable with which glibc makes fewer of them, for all threads together.
const ARENA_MAX: &str = "MALLOC_ARENA_MAX";

/// With at least so many threads allowed, the compiler may have one for each processor.
const MANY_THREADS: u64 = 256;

/// With at least so many descriptors allowed, nobody checks whether a few are left.
const MANY_DESCRIPTORS: u64 = 64;

/// Bytes of addresses that this process may have, if that is limited (`ulimit -v`).
pub(super) fn limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// Whether so many bytes of addresses can be had now, beside all that are in use. They are taken,
/// without being touched, and given back.
pub(super) fn has_room(bytes: usize) -> bool {
    let mut trial = Vec::<u8>::new();
    let taken = trial.try_reserve_exact(bytes).is_ok();
    // An allocation that nobody looks at may be left out.
    black_box(&trial);
    taken
}

/// Bytes of addresses that so many threads take.
pub(super) fn of_threads(threads: usize) -> usize {
    let arenas = match std::env::var(ARENA_MAX) {
        _ if !cfg!(target_env = "gnu") => 0,
        Ok(max) => max.parse().map_or(threads, |max: usize| max.min(threads)),
        Err(_) => threads,
    };
    threads * STACK + arenas * ARENA
}

/// How the threads of this process can be made to take less, for an error.
pub(super) fn threads_remedy() -> &'static str {
    match cfg!(target_env = "gnu") && std::env::var_os(ARENA_MAX).is_none() {
        true => ", or set `MALLOC_ARENA_MAX=1` in the environment, which saves 64 MiB a thread",
        false => "",
    }
}

/// Whether this process may have so few threads that some may be missing.
pub(super) fn are_threads_few() -> bool {
    getrlimit(Resource::Nproc)
        .current
        .is_some_and(|allowed| allowed < MANY_THREADS)
}

/// Fails if fewer than `needed` descriptors are left. Tries that only where few are allowed, since
/// it costs some microseconds.
pub(super) fn check_descriptors(needed: usize) -> io::Result<()> {
    let allowed = getrlimit(Resource::Nofile).current;
    if allowed.is_none_or(|allowed| allowed >= MANY_DESCRIPTORS) {
        return Ok(());
    }
    // A pipe has two.
    let (reader, _writer) = io::pipe()?;
    let more = (2..needed).map(|_| reader.try_clone());
    more.collect::<io::Result<Vec<_>>>().map(drop)
}

/// How many descriptors this process may have, for an error that says that there are too few.
pub(super) fn descriptor_remedy() -> String {
    match getrlimit(Resource::Nofile).current {
        Some(allowed) => format!(
            "this process may have {allowed} files open (`ulimit -n`): raise that, or close others"
        ),
        None => "close other files".to_owned(),
    }
}

/// What to do where the system refuses memory for an instance.
pub(super) fn memory_remedy() -> String {
    match limit() {
        Some(limit) => format!(
            "the address space of this process is limited to {} (`ulimit -v`): raise that, lower \
             `memory_limit`, or have fewer tasks at once",
            size(limit)
        ),
        None => "the system has no memory left: have fewer tasks at once".to_owned(),
    }
}

/// A size as people write it.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        GIB.. => format!("{:.1} GiB", bytes as f64 / GIB as f64),
        _ => format!("{} MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_addresses_than_a_processor_has_are_not_to_be_had() {
        assert!(has_room(1 << 20));
        assert!(!has_room(1 << 62));
    }

    #[test]
    fn sizes_are_written_with_their_unit() {
        assert_eq!(size(200_000 << 10), "195 MiB");
        assert_eq!(size(4_000_000 << 10), "3.8 GiB");
    }
}
