//! From command line flags to the settings of a pool.

use bytesize::ByteSize;
use wasmpool::{BuildError, PoolBuilder};

use crate::args::{CacheArgs, LimitsArgs, PoolArgs, RightsArgs};
use crate::ending::Problem;

/// Sets the given limits. Pools, nodes and options of tasks have settings of the same names.
macro_rules! with_limits {
    ($settings:expr, $limits:expr) => {{
        let (mut settings, limits): (_, &$crate::args::LimitsArgs) = ($settings, $limits);
        if let Some(timeout) = limits.timeout {
            settings = settings.task_timeout(timeout);
        }
        if let Some(timeout) = limits.compute_timeout {
            settings = settings.compute_timeout(timeout);
        }
        if let Some(size) = limits.memory {
            settings = settings.memory_limit($crate::pool::bytes(size));
        }
        if let Some(size) = limits.output_limit {
            settings = settings.program_output_limit($crate::pool::bytes(size));
        }
        if let Some(fuel) = limits.fuel {
            settings = settings.fuel_limit(fuel);
        }
        settings
    }};
}
#[cfg(feature = "cluster")]
pub(crate) use with_limits;

/// Sets what a pool has, what its tasks may use, and that they are deterministic if that is a right
/// of theirs.
pub(crate) fn with_settings(
    mut builder: PoolBuilder,
    pool: &PoolArgs,
    limits: &LimitsArgs,
    rights: &RightsArgs,
) -> PoolBuilder {
    if let Some(workers) = pool.workers {
        builder = builder.workers(workers);
    }
    if let Some(size) = pool.memory_budget {
        builder = builder.memory_budget(bytes(size));
    }
    if let Some(size) = pool.payload {
        builder = builder.payload_limit(bytes(size));
    }
    if rights.deterministic.is_some() {
        // Times differ between runs: a deterministic run reports its fuel instead.
        builder = builder.deterministic_numbers().fuel_limit(u64::MAX);
    }
    with_limits!(builder, limits)
}

/// Sets where compiled modules are kept, and how long loading may take.
pub(crate) fn with_cache(mut builder: PoolBuilder, args: &CacheArgs) -> PoolBuilder {
    if let Some(timeout) = args.load_timeout {
        builder = builder.load_timeout(timeout);
    }
    if let Some(limit) = args.cache_limit {
        builder = builder.cache_limit(limit.as_u64());
    }
    match &args.cache_folder {
        _ if args.no_cache => builder.no_cache(),
        Some(folder) => builder.cache_folder(folder),
        None => builder,
    }
}

/// Classifies the error of building a pool: usage or environment.
pub(crate) fn problem(error: BuildError) -> Problem {
    let is_usage = matches!(error, BuildError::Setting { .. });
    let hint = match error {
        BuildError::Thread { .. } => Some("with fewer `--workers` the pool takes fewer threads"),
        _ => None,
    };
    let error = anyhow::Error::new(error);
    let error = match hint {
        Some(hint) => error.context(hint),
        None => error,
    };
    match is_usage {
        true => Problem::Usage(error),
        false => Problem::Unusable(error),
    }
}

/// A size as typed, in bytes. More than this machine can address is as much as it can.
pub(crate) fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
