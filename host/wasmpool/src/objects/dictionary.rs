//! Dictionaries of encoded keys and values.

use std::collections::BTreeMap;

use super::budget::{self, Charge, ObjectBudget};
use crate::sync::{Arc, Mutex, lock};

/// A dictionary, ordered by its keys. Every function is one step for all others.
#[derive(Clone)]
pub(crate) struct Dictionary(Arc<Mutex<Entries>>);

struct Entries {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
    charge: Charge,
}

impl Entries {
    /// Replaces a value, or removes it, and returns the former one.
    fn replace(&mut self, key: Vec<u8>, new: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, String> {
        let taken = |value: &Vec<u8>| budget::item(key.len() + value.len());
        let before = self.entries.get(&key).map_or(0, taken);
        let after = new.as_ref().map_or(0, taken);
        match after.checked_sub(before) {
            Some(more) => self.charge.take(more)?,
            None => self.charge.give_back(before - after),
        }
        Ok(match new {
            Some(value) => self.entries.insert(key, value),
            None => self.entries.remove(&key),
        })
    }
}

impl Dictionary {
    pub(crate) fn new(budget: &Arc<ObjectBudget>) -> Result<Self, String> {
        Ok(Self(Arc::new(Mutex::new(Entries {
            entries: BTreeMap::new(),
            charge: budget.object()?,
        }))))
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        lock(&self.0).entries.get(key).cloned()
    }

    /// Writes an entry, and returns its former value. Fails over the budget.
    pub(crate) fn insert(&self, key: Vec<u8>, value: Vec<u8>) -> Result<Option<Vec<u8>>, String> {
        lock(&self.0).replace(key, Some(value))
    }

    pub(crate) fn remove(&self, key: Vec<u8>) -> Option<Vec<u8>> {
        let removed = lock(&self.0).replace(key, None);
        removed.expect("less fits whatever the budget")
    }

    /// Replaces the value of a key if it is `expected`, and says whether it did. Fails over the
    /// budget.
    pub(crate) fn compare_exchange(
        &self,
        key: Vec<u8>,
        expected: Option<&[u8]>,
        new: Option<Vec<u8>>,
    ) -> Result<bool, String> {
        let mut entries = lock(&self.0);
        if entries.entries.get(&key).map(Vec::as_slice) != expected {
            return Ok(false);
        }
        entries.replace(key, new).map(|_| true)
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.0).entries.len()
    }

    /// All keys, in order.
    pub(crate) fn keys(&self) -> Vec<Vec<u8>> {
        lock(&self.0).entries.keys().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        let mut entries = lock(&self.0);
        let Entries { entries, charge } = &mut *entries;
        charge.give_back(charge.bytes());
        entries.clear();
    }
}
