//! A dictionary.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::travel::handle;
use super::{CreateError, InsertError, host, item};

/// A dictionary that several tasks read and write.
///
/// Each method is one step, except [`update`](Self::update), and none blocks. Keys are told apart,
/// and ordered, by their encoding in MessagePack.
///
/// # Panics
///
/// Methods that read panic if the map holds keys or values of other types, and those that take a key
/// without returning an [`InsertError`] if it cannot be encoded.
pub struct Map<K, V> {
    raw: host::Dictionary,
    entries: PhantomData<Entries<K, V>>,
}

/// It takes entries, and gives them out.
type Entries<K, V> = fn((K, V)) -> (K, V);

handle!(Map<K, V>, "a map", Dictionary => |raw| Self { raw, entries: PhantomData });

impl<K, V> Map<K, V> {
    /// Makes an empty map.
    ///
    /// # Errors
    ///
    /// If the host has not granted the right to start tasks, or allows no more objects.
    pub fn new() -> Result<Self, CreateError> {
        Ok(Self {
            raw: host::Dictionary::create()?,
            entries: PhantomData,
        })
    }

    /// The number of entries.
    pub fn len(&self) -> u32 {
        self.raw.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all entries.
    pub fn clear(&self) {
        self.raw.clear();
    }
}

impl<K: DeserializeOwned, V> Map<K, V> {
    /// All keys, in order.
    pub fn keys(&self) -> Vec<K> {
        let keys = self.raw.keys();
        keys.iter().map(|key| read("key", key)).collect()
    }
}

impl<K: Serialize, V> Map<K, V> {
    /// Whether there is an entry for the key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.raw.get(&encoded(key)).is_some()
    }
}

impl<K: Serialize, V: DeserializeOwned> Map<K, V> {
    /// The value of the key.
    pub fn get(&self, key: &K) -> Option<V> {
        let value = self.raw.get(&encoded(key))?;
        Some(read("value", &value))
    }

    /// Removes the entry of the key, and returns its value.
    pub fn remove(&self, key: &K) -> Option<V> {
        let value = self.raw.remove(&encoded(key))?;
        Some(read("value", &value))
    }
}

impl<K: Serialize, V: Serialize + DeserializeOwned> Map<K, V> {
    /// Writes an entry, and returns the former value of the key.
    ///
    /// # Errors
    ///
    /// If the key or the value cannot be encoded, or the host allows no more bytes.
    pub fn insert(&self, key: &K, value: &V) -> Result<Option<V>, InsertError> {
        let key = item::encode(key).map_err(InsertError::BadItem)?;
        let value = item::encode(value).map_err(InsertError::BadItem)?;
        let former = self.raw.insert(key, value)?;
        Ok(former.map(|former| read("value", &former)))
    }

    /// Replaces the value of the key by what `change` makes of it, and returns the new one. `None`
    /// stands for no entry, before and after.
    ///
    /// If another task changes the entry meanwhile, `change` is called again with the new value.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn update(
        &self,
        key: &K,
        mut change: impl FnMut(Option<V>) -> Option<V>,
    ) -> Result<Option<V>, InsertError> {
        let key = item::encode(key).map_err(InsertError::BadItem)?;
        loop {
            let before = self.raw.get(&key);
            let after = change(before.as_deref().map(|value| read("value", value)));
            let new = after.as_ref().map(item::encode).transpose();
            let new = new.map_err(InsertError::BadItem)?;
            if self.raw.compare_exchange(&key, before, new)? {
                return Ok(after);
            }
        }
    }
}

fn encoded(key: &impl Serialize) -> Vec<u8> {
    item::encode(key).unwrap_or_else(|problem| panic!("the key cannot be encoded: {problem}"))
}

fn read<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> T {
    item::decode(bytes).unwrap_or_else(|problem| panic!("a {what} of the map: {problem}"))
}
