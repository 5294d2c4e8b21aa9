//! The line on standard error that shows how far a run is.
//!
//! How much is left shows where it can be known: by the number of the inputs, or by the bytes of
//! the file that they are read from.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::tally::rate;

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many tasks.
    Tasks(u64),
    /// As many as there are in so many bytes.
    Bytes(u64),
    /// That of a stream, which shows at its end.
    Unknown,
}

pub(super) struct Progress {
    bar: ProgressBar,
    length: Length,
    /// How many tasks have ended. Written here, read where the line is drawn.
    n_tasks: Arc<AtomicU64>,
    /// Bytes of the file that the inputs take up whose tasks have ended.
    bytes: u64,
}

impl Progress {
    pub(super) fn hidden() -> Self {
        Self::on(ProgressDrawTarget::hidden(), Length::Unknown)
    }

    pub(super) fn on_stderr(length: Length) -> Self {
        Self::on(ProgressDrawTarget::stderr(), length)
    }

    fn on(target: ProgressDrawTarget, length: Length) -> Self {
        let (n_steps, template) = match length {
            Length::Tasks(n_tasks) => (
                Some(n_tasks),
                "{wide_bar} {human_pos}/{human_len} tasks ({rate}, {eta} left){msg}",
            ),
            Length::Bytes(bytes) => (
                Some(bytes),
                "{wide_bar} {tasks} tasks ({rate}, {eta} left){msg}",
            ),
            Length::Unknown => (None, "{spinner} {tasks} tasks ({rate}){msg}"),
        };
        let n_tasks = Arc::new(AtomicU64::new(0));
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        let style = style.with_key("tasks", {
            let n_tasks = Arc::clone(&n_tasks);
            move |_: &ProgressState, text: &mut dyn fmt::Write| {
                // Nobody hears of it if a terminal takes no text.
                let _ = write!(text, "{}", HumanCount(n_tasks.load(Ordering::Relaxed)));
            }
        });
        let style = style.with_key("rate", {
            let n_tasks = Arc::clone(&n_tasks);
            move |state: &ProgressState, text: &mut dyn fmt::Write| {
                let tasks_per_step = match state.pos() {
                    0 => 0.0,
                    n_steps => n_tasks.load(Ordering::Relaxed) as f64 / n_steps as f64,
                };
                let _ = text.write_str(&rate(state.per_sec() * tasks_per_step));
            }
        });
        Self {
            bar: ProgressBar::with_draw_target(n_steps, target).with_style(style),
            length,
            n_tasks,
            bytes: 0,
        }
    }

    /// The task of an input has ended that takes up so many bytes of the file.
    pub(super) fn advance(&mut self, bytes: u64, n_tasks: u64, n_failed: u64) {
        self.bytes += bytes;
        self.n_tasks.store(n_tasks, Ordering::Relaxed);
        if n_failed > 0 {
            self.bar.set_message(format!(", {n_failed} failed"));
        }
        self.bar.set_position(match self.length {
            Length::Bytes(_) => self.bytes,
            Length::Tasks(_) | Length::Unknown => n_tasks,
        });
    }

    /// An input that takes up so many bytes of the file needs no task.
    pub(super) fn skip(&self, bytes: u64) {
        match self.length {
            Length::Bytes(_) => self.bar.dec_length(bytes),
            Length::Tasks(_) => self.bar.dec_length(1),
            Length::Unknown => {}
        }
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;
    use std::thread;
    use std::time::{Duration, Instant};

    use indicatif::TermLike;

    use super::*;

    /// A terminal that keeps what was written.
    #[derive(Debug, Clone, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            120
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        /// What is seen is the newest line.
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The line of a run of which `steps` have been made, each of a failed task.
    fn line(length: Length, steps: &[u64]) -> (String, Duration) {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let mut progress = Progress::on(target, length);
        for (n_before, bytes) in (0..).zip(steps) {
            // Time that has passed: without any there is no rate.
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(2) {
                thread::yield_now();
            }
            progress.advance(*bytes, n_before + 1, n_before + 1);
        }
        progress.bar.force_draw();
        let line = screen.0.lock().unwrap().clone();
        (line, progress.bar.eta())
    }

    #[test]
    fn the_time_left_follows_from_the_bytes_of_the_file() {
        let (begun, much) = line(Length::Bytes(1_000_000_000), &[10, 20, 30]);
        assert!(begun.contains(" 3 tasks ("), "{begun}");
        assert!(begun.contains(" left), 3 failed"), "{begun}");
        // Sixty bytes have taken six milliseconds at the least.
        assert!(much > Duration::from_secs(3600), "{much:?}");
        let (_, none) = line(Length::Bytes(60), &[10, 20, 30]);
        assert_eq!(none, Duration::ZERO);
    }

    #[test]
    fn the_number_of_inputs_is_shown_where_it_is_known() {
        let (line, left) = line(Length::Tasks(1_000_000), &[0, 0]);
        assert!(line.contains(" 2/1,000,000 tasks ("), "{line}");
        assert!(line.contains(" left), 2 failed"), "{line}");
        assert!(left > Duration::from_secs(60), "{left:?}");
    }

    #[test]
    fn inputs_that_are_skipped_take_no_time() {
        let target = ProgressDrawTarget::hidden();
        let progress = Progress::on(target, Length::Tasks(10));
        (0..4).for_each(|_| progress.skip(5));
        assert_eq!(progress.bar.length(), Some(6));
        let target = ProgressDrawTarget::hidden();
        let progress = Progress::on(target, Length::Bytes(100));
        progress.skip(30);
        assert_eq!(progress.bar.length(), Some(70));
    }

    #[test]
    fn no_time_left_is_shown_of_a_stream() {
        let (line, _) = line(Length::Unknown, &[0, 0]);
        assert!(line.contains(" 2 tasks ("), "{line}");
        assert!(!line.contains("left"), "{line}");
    }

    #[test]
    fn the_rate_is_one_of_tasks_whatever_is_counted() {
        let [by_bytes, by_tasks] = [Length::Bytes(1_000_000), Length::Unknown].map(|length| {
            let (line, _) = line(length, &[50_000; 4]);
            line
        });
        // Four tasks in eight milliseconds or more: at most 500 in a second.
        for line in [by_bytes, by_tasks] {
            let (_, rest) = line.split_once(" tasks (").unwrap();
            let (number, _) = rest.split_once('/').unwrap();
            let number = number.split_whitespace().next().unwrap();
            assert!(number.parse::<f64>().unwrap() < 1_000.0, "{line}");
        }
    }
}
