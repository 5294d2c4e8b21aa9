//! Whether the process grows: samples of what it holds, and how they compare.
//!
//! Does not know pools.

use std::fmt;

use crate::footprint::Footprint;

const MIB: usize = 1 << 20;

/// What the process held when nothing was under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// How many tasks had ended.
    pub(crate) tasks: u64,
    pub(crate) footprint: Footprint,
}

/// The growth of one resource, from the first third of the samples to the last third. Of both it is
/// the median, so that single samples do not matter.
pub(crate) struct Growth {
    name: &'static str,
    before: usize,
    after: usize,
    /// How many tasks ended between the two.
    tasks: u64,
    /// The growth that does not count.
    margin: usize,
}

impl Growth {
    /// The growth of each resource.
    pub(crate) fn of_all(samples: &[Sample]) -> [Self; 4] {
        let of = |name, margin, read: fn(&Footprint) -> usize| {
            let third = samples.len().div_ceil(3);
            let median = |samples: &[Sample], read: &dyn Fn(&Sample) -> u64| {
                let mut values = samples.iter().map(read).collect::<Vec<_>>();
                values.sort_unstable();
                values[values.len() / 2]
            };
            let [first, last] = [&samples[..third], &samples[samples.len() - third..]];
            let held = |samples| median(samples, &|sample| read(&sample.footprint) as u64) as usize;
            let ended = |samples| median(samples, &|sample| sample.tasks);
            Self {
                name,
                before: held(first),
                after: held(last),
                tasks: ended(last) - ended(first),
                margin,
            }
        };
        [
            of("threads", 0, |footprint| footprint.threads),
            of("files", 0, |footprint| footprint.files),
            of("mappings", MAPPINGS, |footprint| footprint.mappings),
            of("bytes", MEMORY, |footprint| footprint.resident),
        ]
    }

    pub(crate) fn is_within_margin(&self) -> bool {
        self.after <= self.before + self.margin
    }
}

impl fmt::Display for Growth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            before,
            after,
            tasks,
            margin,
        } = self;
        write!(
            formatter,
            "{before} {name} at first, {after} in the end, after {tasks} more tasks; \
             the margin is {margin}"
        )
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            threads,
            files,
            mappings,
            resident,
        } = self;
        let mib = *resident as f64 / MIB as f64;
        write!(
            formatter,
            "{mib:6.1} MiB, {threads} threads, {files} files, {mappings} mappings"
        )
    }
}

/// A place for an instance has up to four mappings more after it was used for the first time, and a
/// few places are used only where very much happens at once.
const MAPPINGS: usize = 20;

/// The allocator keeps freed memory in pieces, and a place for an instance keeps the memory of the
/// largest one that it had. So a leak shows in a short soak if it is of some 300 bytes for each
/// task, and in one of ten minutes if it is of a few.
const MEMORY: usize = 8 * MIB;

/// How many tasks there are from the first sample to the last, at least. So a leak of one mapping in
/// a thousand tasks is twice the margin.
pub(crate) const ENOUGH_TASKS: u64 = 60_000;

#[test]
fn a_leak_of_one_in_a_thousand_tasks_is_found() {
    let samples = |leak: fn(&mut Footprint, usize)| {
        let samples = (0..15).map(|n| {
            let mut footprint = Footprint {
                threads: 20,
                files: 30,
                // Noise.
                mappings: 400 + 7 * n % 5,
                resident: 60 * MIB + MIB * (3 * n % 4),
            };
            let tasks = n as u64 * ENOUGH_TASKS / 14;
            leak(&mut footprint, tasks as usize / 1000);
            Sample { tasks, footprint }
        });
        samples.collect::<Vec<_>>()
    };
    let found = |leak| {
        let growth = Growth::of_all(&samples(leak));
        let found = growth.iter().filter(|growth| !growth.is_within_margin());
        found.map(|growth| growth.name).collect::<Vec<_>>()
    };
    assert!(found(|_, _| {}).is_empty());
    assert_eq!(found(|footprint, n| footprint.threads += n), ["threads"]);
    assert_eq!(found(|footprint, n| footprint.files += n), ["files"]);
    assert_eq!(found(|footprint, n| footprint.mappings += n), ["mappings"]);
    // The memory of an instance.
    assert_eq!(
        found(|footprint, n| footprint.resident += n * MIB),
        ["bytes"]
    );
}
