//! What a guest was refused, for the report of its task.

/// How many distinct refusals a report lists.
const MAX_TOLD: usize = 16;

/// The first distinct refusals.
#[derive(Default)]
pub(crate) struct Refusals(Vec<String>);

impl Refusals {
    pub(crate) fn add(&mut self, what: String) {
        if self.0.len() < MAX_TOLD && !self.0.contains(&what) {
            self.0.push(what);
        }
    }

    pub(crate) fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// The refusals since the last call.
    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0)
    }
}
