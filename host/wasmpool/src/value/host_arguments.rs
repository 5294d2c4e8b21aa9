//! What a host function takes as its arguments.

use serde::de::DeserializeOwned;

/// The arguments of a host function: a tuple with one element for each parameter, up to eight, or a
/// `Vec` if their number or their types are known only at run time.
///
/// The elements are of any type that is [`DeserializeOwned`]. `()` means no arguments.
pub trait HostArguments: DeserializeOwned + sealed::Sealed + 'static {
    /// The number of arguments, where the type fixes it.
    const ARITY: Option<usize>;
}

mod sealed {
    /// Seals the set of argument types: each must decode from an array.
    pub trait Sealed {}
}

macro_rules! tuple_arguments {
    ($arity:literal: $($element:ident),*) => {
        impl<$($element: DeserializeOwned + 'static),*> sealed::Sealed for ($($element,)*) {}
        impl<$($element: DeserializeOwned + 'static),*> HostArguments for ($($element,)*) {
            const ARITY: Option<usize> = Some($arity);
        }
    };
}
tuple_arguments!(0:);
tuple_arguments!(1: A);
tuple_arguments!(2: A, B);
tuple_arguments!(3: A, B, C);
tuple_arguments!(4: A, B, C, D);
tuple_arguments!(5: A, B, C, D, E);
tuple_arguments!(6: A, B, C, D, E, F);
tuple_arguments!(7: A, B, C, D, E, F, G);
tuple_arguments!(8: A, B, C, D, E, F, G, H);

impl<T: DeserializeOwned + 'static> sealed::Sealed for Vec<T> {}
impl<T: DeserializeOwned + 'static> HostArguments for Vec<T> {
    const ARITY: Option<usize> = None;
}
