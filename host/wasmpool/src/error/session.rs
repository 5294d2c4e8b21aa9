//! Why a session could not be begun.

/// Why a session could not be begun, or begun anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The pool has as many sessions as it may have.
    #[error(
        "the pool has all of its {max} sessions: end one, or raise `PoolBuilder::max_sessions`"
    )]
    #[non_exhaustive]
    TooMany {
        /// How many it may have.
        max: usize,
    },
    /// The pool has been shut down.
    #[error("the pool is shut down")]
    ShutDown,
    /// The module was loaded by another pool.
    #[error("the module belongs to another pool; load it with this one")]
    ForeignModule,
    /// The module has several memories or more than 8 tables. A pool reserves no places for
    /// sessions of that size.
    #[error("the module has several memories or more than 8 tables, too many for a session")]
    TooLarge,
}
