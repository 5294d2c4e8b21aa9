//! Dictionaries, typed.

use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{MapError, decode, encode};
use super::handle::travels;
use crate::objects::{self as core, Object};

/// A dictionary that tasks and threads share: the `dict` of a `Manager` of `multiprocessing`. Made by
/// [`Pool::shared_map`](crate::Pool::shared_map).
///
/// Keys and values are any serde types. Keys are compared, and ordered, as they are encoded, in
/// MessagePack. Each function is one step: nobody sees half of it.
///
/// A handle that is cheap to clone: all clones are the same map.
///
/// # Errors
///
/// All functions that take or return keys and values fail if these cannot be encoded or decoded; those
/// that write, if the map would hold more bytes than it may.
pub struct Map<K, V> {
    core: core::Dictionary,
    entries: PhantomData<fn(K) -> V>,
}

impl<K, V> Map<K, V> {
    pub(super) fn of(core: core::Dictionary) -> Self {
        let entries = PhantomData;
        Self { core, entries }
    }

    fn object(&self) -> Object {
        Object::Dictionary(self.core.clone())
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all entries.
    pub fn clear(&self) {
        self.core.clear();
    }
}

#[expect(clippy::missing_errors_doc, reason = "the type documents them")]
impl<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> Map<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Result<Option<V>, MapError> {
        read(self.core.get(&encode(key)?))
    }

    /// Whether the key has a value.
    pub fn contains_key(&self, key: &K) -> Result<bool, MapError> {
        Ok(self.core.get(&encode(key)?).is_some())
    }

    /// Writes an entry, and returns the former value of its key.
    pub fn insert(&self, key: &K, value: &V) -> Result<Option<V>, MapError> {
        let former = self.core.insert(encode(key)?, encode(value)?);
        read(former.map_err(MapError::OverBudget)?)
    }

    /// Removes an entry, and returns its value.
    pub fn remove(&self, key: &K) -> Result<Option<V>, MapError> {
        read(self.core.remove(encode(key)?))
    }

    /// Replaces the value of a key by what `change` makes of it; `None` stands for no entry. Calls
    /// `change` again if another has changed the entry meanwhile. Returns the new value.
    pub fn update(
        &self,
        key: &K,
        mut change: impl FnMut(Option<V>) -> Option<V>,
    ) -> Result<Option<V>, MapError> {
        let key = encode(key)?;
        loop {
            let former = self.core.get(&key);
            let new = change(read(former.clone())?);
            let encoded = new.as_ref().map(encode).transpose()?;
            let exchanged = self
                .core
                .compare_exchange(key.clone(), former.as_deref(), encoded);
            if exchanged.map_err(MapError::OverBudget)? {
                return Ok(new);
            }
        }
    }

    /// All keys.
    pub fn keys(&self) -> Result<Vec<K>, MapError> {
        self.core.keys().iter().map(|key| decode(key)).collect()
    }
}

fn read<V: DeserializeOwned>(value: Option<Vec<u8>>) -> Result<Option<V>, MapError> {
    value.map(|value| decode(&value)).transpose()
}

travels!([K, V] Map<K, V>, "a dictionary", Object::Dictionary(core) => Self::of(core));

impl<K, V> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        Self::of(self.core.clone())
    }
}

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Map")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
