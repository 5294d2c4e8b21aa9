//! What the tasks of a module are expected to need of the memory budget, by what their calls have
//! wanted so far.

use std::sync::Arc;

use crate::sync::atomic::{AtomicUsize, Ordering};

/// Bytes, for each task of the module. Shared by the references to it with other rights.
#[derive(Clone)]
pub(super) struct MemoryNeeds(Arc<[AtomicUsize]>);

impl MemoryNeeds {
    /// Before the first call: what an instance has from the start.
    pub(super) fn new(n_tasks: usize, initial: usize) -> Self {
        Self((0..n_tasks).map(|_| AtomicUsize::new(initial)).collect())
    }

    pub(super) fn of(&self, task: usize) -> usize {
        self.0[task].load(Ordering::Relaxed)
    }

    /// A call has ended that wanted so many bytes. An outlier is forgotten after some calls.
    pub(super) fn learn(&self, task: usize, wanted: usize) {
        let former = self.of(task);
        let need = wanted.max(former - former / 8);
        // Of calls that end at the same time one may be missed: it is a guess anyway.
        self.0[task].store(need, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_follows_the_calls_up_at_once_and_down_slowly() {
        let needs = MemoryNeeds::new(2, 80);
        needs.learn(1, 800);
        assert_eq!((needs.of(0), needs.of(1)), (80, 800));
        needs.learn(1, 80);
        assert_eq!(needs.of(1), 700);
        (0..100).for_each(|_| needs.learn(1, 80));
        assert_eq!(needs.of(1), 80);
    }
}
