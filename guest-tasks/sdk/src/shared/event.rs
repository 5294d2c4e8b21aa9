//! A flag that tasks wait for.

use std::time::Duration;

use super::travel::handle;
use super::{CreateError, WaitError, host};

/// A flag that tasks wait for. It stays set until it is cleared.
pub struct Event {
    raw: host::Event,
}

handle!(Event, "an event", Event => |raw| Self { raw });

impl Event {
    /// Makes an event that is not set.
    ///
    /// # Errors
    ///
    /// If the host has not granted the right to start tasks, or allows no more objects.
    pub fn new() -> Result<Self, CreateError> {
        let raw = host::Event::create()?;
        Ok(Self { raw })
    }

    /// Sets the event, and wakes all who wait for it. Does not block.
    pub fn set(&self) {
        self.raw.set();
    }

    /// Clears the event. Does not block.
    pub fn clear(&self) {
        self.raw.clear();
    }

    /// Whether the event is set.
    pub fn is_set(&self) -> bool {
        self.raw.is_set()
    }

    /// Blocks until the event is set.
    ///
    /// # Errors
    ///
    /// If the task cannot wait.
    pub fn wait(&self) -> Result<(), WaitError> {
        // Without a timeout it ends with the event.
        while !self.raw.wait(None)? {}
        Ok(())
    }

    /// Blocks until the event is set, or for `timeout`. Returns whether it was set.
    ///
    /// # Errors
    ///
    /// If the task cannot wait.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool, WaitError> {
        self.raw.wait(Some(timeout))
    }
}
