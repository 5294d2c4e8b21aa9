//! The modules that a node has loaded, by their hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use wasmpool::{Pool, TaskModule};

use crate::broker::Broker;

/// How many modules are kept in memory. The pool's cache on disk has the code of more.
const MAX_KEPT: usize = 64;

#[derive(Default)]
pub(super) struct Modules {
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Default)]
struct Kept {
    /// When it was last used: larger is later.
    used: u64,
    /// Loaded once, by whichever task is first.
    module: Arc<OnceCell<TaskModule>>,
}

impl Modules {
    /// The module with this hash: fetched, checked and compiled where that is necessary.
    pub(super) async fn load(
        &self,
        broker: &Broker,
        pool: &Pool,
        hash: &str,
    ) -> Result<TaskModule, String> {
        let cell = self.cell(hash);
        let loaded = cell.get_or_try_init(|| async {
            let wasm = broker.module(hash).await?;
            let loaded = pool.load_bytes_async(wasm).await;
            loaded.map_err(|error| error.to_string())
        });
        loaded.await.cloned()
    }

    fn cell(&self, hash: &str) -> Arc<OnceCell<TaskModule>> {
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let now = all.values().map(|kept| kept.used + 1).max().unwrap_or(0);
        if all.len() >= MAX_KEPT && !all.contains_key(hash) {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(oldest) = oldest.map(|(hash, _)| hash.clone()) {
                all.remove(&oldest);
            }
        }
        let kept = all.entry(hash.to_owned()).or_default();
        kept.used = now;
        Arc::clone(&kept.module)
    }
}
