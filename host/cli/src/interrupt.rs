//! Ctrl-C: the first stops the run in order, the second exits at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use crossbeam_channel::Receiver;

/// The exit code of an interrupted program, as shells report it.
const INTERRUPTED: i32 = 130;

/// The user's request to stop.
pub(crate) struct Interrupt {
    /// Set once, by `hear`, when the run can stop in order; read by the handler.
    is_heard: Arc<AtomicBool>,
    wish: Receiver<()>,
}

impl Interrupt {
    /// Handles Ctrl-C and the other signals that ask a program to end. Until [`hear`](Self::hear)
    /// is called they exit the program at once.
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
            // The channel has room for the only message.
            let _ = sender.try_send(());
        })
        .context(
            "cannot take over Ctrl-C, which takes a thread and two descriptors (`ulimit -u`, \
             `ulimit -n`)",
        )?;
        Ok(Self { is_heard, wish })
    }

    /// A channel that gets one message at the first request to stop. A second request exits the
    /// program.
    pub(crate) fn hear(&self) -> &Receiver<()> {
        self.is_heard.store(true, Ordering::SeqCst);
        &self.wish
    }
}
