//! One task over many inputs: outcomes in the order of the inputs, or of completion.

mod feed;
mod ordered;
mod stream;
mod unordered;

pub use ordered::Map;
pub use stream::MapStream;
pub use unordered::MapUnordered;
