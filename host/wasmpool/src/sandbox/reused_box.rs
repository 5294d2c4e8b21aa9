//! Boxes for the futures of calls, whose memory is used again by the next one on the same thread.
//!
//! wasmtime's future of a call has more than a kilobyte, and what it is a part of is moved several
//! times before it is first polled. In a box it is moved once, and an allocation for each call would
//! cost more than that saves.

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

/// What a box has at least. Futures of calls are not much smaller, and seldom larger.
const SIZE: usize = 2048;

/// As much as futures need, and allocators give anyway.
const ALIGN: usize = 16;

thread_local! {
    /// The memory of the box that this thread has dropped last.
    static SPARE: Cell<Option<Memory>> = const { Cell::new(None) };
}

/// Memory for one future, which is not in use.
struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

/// A future in memory of its own.
pub(super) struct ReusedBox<F> {
    future: NonNull<F>,
    /// `None` when it was given back.
    memory: Option<Memory>,
}

// SAFETY: the box owns its future and its memory, as a `Box` does.
#[allow(unsafe_code)]
unsafe impl<F: Send> Send for ReusedBox<F> {}

#[allow(unsafe_code)]
impl Memory {
    /// Memory for a value of type `T`.
    fn of<T>() -> Self {
        let layout = Layout::new::<T>();
        if let Some(spare) = SPARE.take()
            && spare.layout.size() >= layout.size()
            && spare.layout.align() >= layout.align()
        {
            return spare;
        }
        let (size, align) = (layout.size().max(SIZE), layout.align().max(ALIGN));
        let layout = Layout::from_size_align(size, align).expect("little more than its own layout");
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc::alloc(layout) });
        let start = start.unwrap_or_else(|| alloc::handle_alloc_error(layout));
        Self { start, layout }
    }
}

#[allow(unsafe_code)]
impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was allocated with this layout, and nobody else has it.
        unsafe { alloc::dealloc(self.start.as_ptr(), self.layout) };
    }
}

#[allow(unsafe_code)]
impl<F> ReusedBox<F> {
    pub(super) fn new(future: F) -> Self {
        let memory = Memory::of::<F>();
        let place = memory.start.cast::<F>();
        // SAFETY: the memory has the size and the alignment that `F` needs, and is not in use.
        unsafe { place.write(future) };
        Self {
            future: place,
            memory: Some(memory),
        }
    }

    /// The future, where it stays until it is dropped.
    pub(super) fn as_mut(&mut self) -> Pin<&mut F> {
        // SAFETY: the future is there until the box is dropped, and is not moved before.
        unsafe { Pin::new_unchecked(self.future.as_mut()) }
    }
}

impl<F: Future> Future for ReusedBox<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        (*self).as_mut().poll(context)
    }
}

#[allow(unsafe_code)]
impl<F> Drop for ReusedBox<F> {
    fn drop(&mut self) {
        // SAFETY: the future is there, and nobody uses it afterwards.
        unsafe { self.future.drop_in_place() };
        // An earlier spare is freed. A thread that ends has none any more.
        let memory = self.memory.take();
        let _ = SPARE.try_with(|spare| spare.set(memory));
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::task::Waker;

    use super::*;
    use crate::sync::Arc;

    fn poll<F: Future>(boxed: &mut ReusedBox<F>) -> Poll<F::Output> {
        let mut context = Context::from_waker(Waker::noop());
        boxed.as_mut().poll(&mut context)
    }

    #[test]
    fn a_future_in_a_reused_box_runs_and_is_dropped_once() {
        let token = Arc::new(());
        for _ in 0..3 {
            let held = Arc::clone(&token);
            let mut finished = ReusedBox::new(async move {
                ready(()).await;
                Arc::strong_count(&held)
            });
            assert_eq!(poll(&mut finished), Poll::Ready(2));
            let held = Arc::clone(&token);
            let mut waiting = ReusedBox::new(async move {
                pending::<()>().await;
                drop(held);
            });
            assert!(poll(&mut waiting).is_pending());
            drop((waiting, finished));
            assert_eq!(Arc::strong_count(&token), 1);
        }
    }

    #[test]
    fn futures_of_any_size_and_alignment_fit() {
        #[repr(align(128))]
        struct Aligned(u8);
        for _ in 0..3 {
            let large = [7_u8; 10_000];
            let mut large =
                ReusedBox::new(async move { large.iter().map(|&n| u32::from(n)).sum::<u32>() });
            let aligned = Aligned(1);
            let mut aligned = ReusedBox::new(async move {
                assert!((&raw const aligned).is_aligned());
                aligned.0
            });
            assert_eq!(poll(&mut large), Poll::Ready(70_000));
            assert_eq!(poll(&mut aligned), Poll::Ready(1));
        }
        let mut on_another_thread = ReusedBox::new(async { 2 });
        let thread = std::thread::spawn(move || poll(&mut on_another_thread));
        assert_eq!(thread.join().unwrap(), Poll::Ready(2));
    }
}
