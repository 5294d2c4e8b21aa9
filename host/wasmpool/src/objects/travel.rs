//! How objects travel with arguments and results: as a list beside the bytes, in which a handle is
//! the number of its object's place.
//!
//! A handle is serialized wherever it lies in the arguments, so it finds the list through its
//! thread.

use std::cell::RefCell;
use std::thread::LocalKey;

use super::Object;
use crate::sync::Arc;

/// Objects that go along with arguments or a result. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Handed(Option<Arc<Vec<Object>>>);

thread_local! {
    /// The objects of what is encoded on this thread now.
    static LEAVING: RefCell<Option<Vec<Object>>> = const { RefCell::new(None) };
    /// The objects that came with what is decoded on this thread now.
    static ARRIVED: RefCell<Option<Handed>> = const { RefCell::new(None) };
}

impl Handed {
    pub(crate) fn new(objects: Vec<Object>) -> Self {
        Self((!objects.is_empty()).then(|| Arc::new(objects)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn get(&self, place: u32) -> Option<&Object> {
        let place = usize::try_from(place).ok()?;
        self.0.as_ref()?.get(place)
    }
}

/// Sets what this thread encodes or decodes while `run` runs. Returns what became of it.
fn with<T, R>(
    of_thread: &'static LocalKey<RefCell<Option<T>>>,
    value: T,
    run: impl FnOnce() -> R,
) -> (R, Option<T>) {
    /// Puts back what there was before, also after a panic of somebody else's code.
    struct Restore<T: 'static>(&'static LocalKey<RefCell<Option<T>>>, Option<T>);
    impl<T> Drop for Restore<T> {
        fn drop(&mut self) {
            self.0.set(self.1.take());
        }
    }

    let _restore = Restore(of_thread, of_thread.replace(Some(value)));
    let result = run();
    (result, of_thread.take())
}

/// Calls `encode`, and collects the objects whose handles it serializes.
pub(crate) fn collecting<R>(encode: impl FnOnce() -> R) -> (R, Handed) {
    let (encoded, objects) = with(&LEAVING, Vec::new(), encode);
    (encoded, Handed::new(objects.unwrap_or_default()))
}

/// Adds an object to those that go along with what is being encoded, and returns its place.
pub(crate) fn hand_over(object: Object) -> Result<u32, &'static str> {
    LEAVING.with_borrow_mut(|leaving| {
        let leaving = leaving.as_mut().ok_or(
            "a shared object travels only as an argument of a task, not as an item or value",
        )?;
        let place = u32::try_from(leaving.len()).map_err(|_| "there are too many objects")?;
        leaving.push(object);
        Ok(place)
    })
}

/// Calls `decode`, which may deserialize handles of these objects.
pub(crate) fn receiving<R>(handed: &Handed, decode: impl FnOnce() -> R) -> R {
    if handed.is_empty() {
        return decode();
    }
    with(&ARRIVED, handed.clone(), decode).0
}

/// The object at a place among those that came with what is being decoded.
pub(crate) fn received(place: u32) -> Option<Object> {
    ARRIVED.with_borrow(|arrived| arrived.as_ref()?.get(place).cloned())
}
