//! What a guest was refused, as the report of its task tells it.

/// How many are told. Who is refused more often has tried them all.
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

    /// Those since this was called last.
    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0)
    }
}
