//! A counter of permits.

use std::fmt;
use std::time::Duration;

use super::travel::handle;
use super::{CreateError, WaitError, host};

/// A counter of permits: so many tasks do something at once.
pub struct Semaphore {
    raw: host::Semaphore,
}

handle!(Semaphore, "a semaphore", Semaphore => |raw| Self { raw });

impl Semaphore {
    /// Makes a semaphore with so many permits; 0 is allowed.
    ///
    /// # Errors
    ///
    /// If the host has not granted the right to start tasks, or allows no more objects.
    pub fn new(permits: u32) -> Result<Self, CreateError> {
        let raw = host::Semaphore::create(permits)?;
        Ok(Self { raw })
    }

    /// Takes a permit. Blocks while there is none.
    ///
    /// # Errors
    ///
    /// If the task cannot wait.
    pub fn acquire(&self) -> Result<Permit, WaitError> {
        loop {
            // Without a timeout it ends with a permit.
            if let Some(hold) = self.raw.acquire(None)? {
                return Ok(Permit { hold });
            }
        }
    }

    /// Takes a permit if there is one. Does not block.
    pub fn try_acquire(&self) -> Option<Permit> {
        // What does not wait needs no place for it.
        let hold = self.raw.acquire(Some(Duration::ZERO)).ok()??;
        Some(Permit { hold })
    }

    /// Takes a permit. Blocks while there is none, for `timeout` at most: then it returns `None`.
    ///
    /// # Errors
    ///
    /// If the task cannot wait.
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<Option<Permit>, WaitError> {
        let hold = self.raw.acquire(Some(timeout))?;
        Ok(hold.map(|hold| Permit { hold }))
    }

    /// Adds permits. Does not block.
    pub fn release(&self, permits: u32) {
        self.raw.release(permits);
    }

    /// The number of permits that can be taken now.
    pub fn available(&self) -> u32 {
        self.raw.available()
    }
}

/// A permit that is held. Given back when this is dropped, and when the call of the task ends.
#[must_use = "the permit is given back at once if it is not kept"]
pub struct Permit {
    hold: host::Hold,
}

impl Permit {
    /// Uses the permit up: it is not given back.
    pub fn forget(self) {
        self.hold.forget();
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Permit").finish_non_exhaustive()
    }
}
