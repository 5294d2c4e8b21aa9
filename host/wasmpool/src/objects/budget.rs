//! How many objects there may be, and how many bytes in them.

use crate::sync::Arc;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// What an item of a queue or an entry of a dictionary takes besides its own bytes.
const PER_ITEM: usize = 64;

/// A bound for the objects that belong together: those of one task with all that come from it, or a
/// single one of the embedding program.
pub(crate) struct ObjectBudget {
    max_objects: usize,
    max_bytes: usize,
    n_objects: AtomicUsize,
    n_bytes: AtomicUsize,
    /// What a message says of the bound for bytes.
    of_bytes: &'static str,
}

/// What one object takes of its budget. Given back when the object is dropped.
pub(super) struct Charge {
    budget: Arc<ObjectBudget>,
    bytes: usize,
}

impl ObjectBudget {
    /// A bound for all the objects of one task and those that come from it.
    pub(crate) fn of_family(max_objects: usize, max_bytes: usize) -> Self {
        Self {
            max_objects,
            max_bytes,
            n_objects: AtomicUsize::new(0),
            n_bytes: AtomicUsize::new(0),
            of_bytes: "that all objects of a task and of those that come from it may hold \
                       (`ChildLimits::object_bytes`)",
        }
    }

    /// A bound for one object of the embedding program, or for the two directions of a pipe.
    pub(crate) fn of_program(max_objects: usize, max_bytes: usize) -> Self {
        Self {
            of_bytes: "that the object may hold (`PoolBuilder::object_limit`)",
            ..Self::of_family(max_objects, max_bytes)
        }
    }

    /// Counts an object in.
    pub(super) fn object(self: &Arc<Self>) -> Result<Charge, String> {
        if !add(&self.n_objects, 1, self.max_objects) {
            return Err(format!(
                "there are {} shared objects already, of this task and those that it comes from \
                 (`ChildLimits::objects`)",
                self.max_objects
            ));
        }
        Ok(Charge {
            budget: Arc::clone(self),
            bytes: 0,
        })
    }
}

impl Charge {
    /// Counts bytes in.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), String> {
        let ObjectBudget {
            max_bytes,
            of_bytes,
            ..
        } = *self.budget;
        if !add(&self.budget.n_bytes, bytes, max_bytes) {
            return Err(format!(
                "{bytes} bytes more are over the {max_bytes} {of_bytes}"
            ));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// How many bytes are counted in.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts bytes out.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.budget.n_bytes.fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.give_back(self.bytes);
        self.budget.n_objects.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What an item of so many bytes takes.
pub(super) fn item(bytes: usize) -> usize {
    bytes + PER_ITEM
}

/// Adds, unless the sum is over the limit.
fn add(count: &AtomicUsize, more: usize, limit: usize) -> bool {
    let within = |now: usize| now.checked_add(more).filter(|sum| *sum <= limit);
    let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
    count.fetch_update(set, fetch, within).is_ok()
}
