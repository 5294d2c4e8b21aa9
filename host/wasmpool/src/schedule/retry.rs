//! Whether and when a task is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{TaskErrorKind, TrapCode};

/// The longest wait before an attempt.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Tries a task that has failed again: for tasks that trap or time out for temporary reasons.
///
/// It is safe as far as the sandbox goes: an attempt that was stopped or trapped has left
/// nothing behind, since its instance is gone. All attempts are one task: its
/// future ends with the last one's outcome, and the report says how many there were. Between
/// two attempts the task is queued again, also during the backoff: it takes a place in the
/// queue, even if that is full, can be cancelled there, and has no queue timeout any more. A pool
/// that is closed, or shuts down gracefully, still makes the attempts that are left, without a
/// wait; any other shutdown ends them.
///
/// A task whose thread had to be given up ([`PoolStats::stuck`](crate::PoolStats::stuck)) is not
/// tried again, whatever its kind of error: the blocked thread has its arguments.
///
/// ```
/// use std::time::Duration;
/// use wasmpool::{Retry, TaskErrorKind, TaskOptions};
///
/// let options = TaskOptions::new().retry(
///     Retry::times(3)
///         .on([TaskErrorKind::TimedOut, TaskErrorKind::MemoryLimit])
///         .backoff(Duration::from_millis(100)),
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    retries: u32,
    /// A bit for each kind, by its index.
    #[serde(with = "names_of_kinds")]
    kinds: u32,
    backoff: Duration,
}

impl Retry {
    /// Up to `retries` more attempts after the first, without a wait, for tasks that
    /// [trap](TaskErrorKind::Trap) or [run too long](TaskErrorKind::TimedOut).
    pub fn times(retries: u32) -> Self {
        Self {
            retries,
            kinds: bit(TaskErrorKind::TimedOut) | bit(TaskErrorKind::Trap(TrapCode::Other)),
            backoff: Duration::ZERO,
        }
    }

    /// For these kinds of errors, and no others. Any trap stands for all traps, and any exit for
    /// all exits.
    ///
    /// Kinds that say that nobody wants the task any more, or that it cannot succeed, are never
    /// tried again: [`Cancelled`](TaskErrorKind::Cancelled),
    /// [`ShutDown`](TaskErrorKind::ShutDown), [`QueueTimedOut`](TaskErrorKind::QueueTimedOut),
    /// [`BadArguments`](TaskErrorKind::BadArguments),
    /// [`UnknownTask`](TaskErrorKind::UnknownTask),
    /// [`InitializerFailed`](TaskErrorKind::InitializerFailed),
    /// [`SessionEnded`](TaskErrorKind::SessionEnded),
    /// [`NotGranted`](TaskErrorKind::NotGranted).
    pub fn on(mut self, kinds: impl IntoIterator<Item = TaskErrorKind>) -> Self {
        let is_final = |kind: &TaskErrorKind| {
            matches!(
                kind,
                TaskErrorKind::Cancelled
                    | TaskErrorKind::ShutDown
                    | TaskErrorKind::QueueTimedOut
                    | TaskErrorKind::BadArguments
                    | TaskErrorKind::UnknownTask
                    | TaskErrorKind::InitializerFailed
                    | TaskErrorKind::SessionEnded
                    | TaskErrorKind::NotGranted
            )
        };
        let kinds = kinds.into_iter().filter(|kind| !is_final(kind));
        self.kinds = kinds.fold(0, |kinds, kind| kinds | bit(kind));
        self
    }

    /// Waits this long before the second attempt, twice as long before the third, and so on, up
    /// to a minute. The worker serves other tasks meanwhile. Default: no wait.
    pub fn backoff(mut self, first: Duration) -> Self {
        self.backoff = first;
        self
    }

    /// How long to wait before the attempt after number `attempt`, which ended with `kind`;
    /// `None` if there is no further attempt.
    pub(crate) fn after(&self, attempt: u32, kind: TaskErrorKind) -> Option<Duration> {
        if attempt > self.retries || self.kinds & bit(kind) == 0 {
            return None;
        }
        let factor = 2_u32.saturating_pow(attempt - 1);
        Some(self.backoff.saturating_mul(factor).min(MAX_BACKOFF))
    }
}

fn bit(kind: TaskErrorKind) -> u32 {
    1 << kind.index()
}

/// A set of kinds, written as their names.
mod names_of_kinds {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::error::TaskErrorKind;

    pub(super) fn serialize<S: Serializer>(kinds: &u32, serializer: S) -> Result<S::Ok, S::Error> {
        let names = TaskErrorKind::NAMES.iter().enumerate();
        serializer.collect_seq(names.filter_map(|(index, name)| {
            let is_in = kinds >> index & 1 == 1;
            is_in.then_some(name)
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        names.iter().try_fold(0, |kinds, name| {
            let index = TaskErrorKind::NAMES.iter().position(|known| known == name);
            let index = index.ok_or_else(|| {
                D::Error::custom(format!(
                    "`{name}` is no kind of error; they are {:?}",
                    TaskErrorKind::NAMES
                ))
            })?;
            Ok(kinds | 1 << index)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let retry = Retry::times(40).backoff(Duration::from_millis(100));
        let after = |attempt| retry.after(attempt, TaskErrorKind::TimedOut).unwrap();
        assert_eq!(
            [1, 2, 3, 11, 40].map(|n| after(n).as_millis()),
            [100, 200, 400, 60_000, 60_000]
        );
        assert_eq!(retry.after(41, TaskErrorKind::TimedOut), None);
    }

    #[test]
    fn only_the_chosen_kinds_are_tried_again() {
        let trap = TaskErrorKind::Trap(TrapCode::Unreachable);
        let by_default = Retry::times(1);
        assert_eq!(by_default.after(1, trap), Some(Duration::ZERO));
        assert_eq!(by_default.after(1, TaskErrorKind::Failed), None);
        let chosen = by_default.on([TaskErrorKind::Failed, TaskErrorKind::Cancelled]);
        assert_eq!(chosen.after(1, TaskErrorKind::Failed), Some(Duration::ZERO));
        assert_eq!(chosen.after(1, trap), None);
        assert_eq!(chosen.after(1, TaskErrorKind::Cancelled), None);
    }
}
