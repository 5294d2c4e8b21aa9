//! Ctrl-C: once to stop in order, twice to stop at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use crossbeam_channel::Receiver;

/// The exit code of a program that was interrupted, as shells give it.
const INTERRUPTED: i32 = 130;

/// The user's wish to stop.
pub(crate) struct Interrupt {
    /// Set once, by whoever will stop in order; read by the handler.
    is_heard: Arc<AtomicBool>,
    wish: Receiver<()>,
}

impl Interrupt {
    /// Takes over Ctrl-C, and the other signals that ask a program to end. Until
    /// [`hear`](Self::hear) is called they end the program at once.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let (sender, wish) = crossbeam_channel::bounded(1);
        let is_heard = Arc::new(AtomicBool::new(false));
        let mut was_asked = false;
        let somebody_hears = Arc::clone(&is_heard);
        ctrlc::set_handler(move || {
            if was_asked || !somebody_hears.load(Ordering::SeqCst) {
                std::process::exit(INTERRUPTED);
            }
            was_asked = true;
            // The first and only message has room.
            let _ = sender.try_send(());
        })
        .context("cannot take over Ctrl-C")?;
        Ok(Self { is_heard, wish })
    }

    /// A channel that gets one message when the user wants to stop. A second wish ends the
    /// program.
    pub(crate) fn hear(&self) -> &Receiver<()> {
        self.is_heard.store(true, Ordering::SeqCst);
        &self.wish
    }
}
