//! The library's types can be sent to and shared with other threads.

use wasmpool::*;

fn is_send<T: Send>() {}
fn is_send_and_sync<T: Send + Sync>() {}

#[test]
fn public_types_are_send_and_sync() {
    is_send_and_sync::<Pool>();
    is_send_and_sync::<PoolBuilder>();
    is_send_and_sync::<PoolStats>();
    is_send_and_sync::<Allocation>();
    is_send_and_sync::<TaskModule>();
    is_send_and_sync::<TaskInfo>();
    is_send_and_sync::<Task<(u64,), Vec<u64>>>();
    is_send_and_sync::<TaskOptions>();
    is_send_and_sync::<Capabilities>();
    is_send_and_sync::<HostFunctions>();
    is_send_and_sync::<HostFunctionInfo>();
    is_send_and_sync::<HostCall>();
    is_send_and_sync::<Session>();
    is_send_and_sync::<Signature>();
    is_send_and_sync::<Type>();
    is_send_and_sync::<Uncallable>();
    is_send_and_sync::<Retry>();
    is_send_and_sync::<TaskReport>();
    is_send_and_sync::<Captured>();
    is_send_and_sync::<Value>();
    is_send_and_sync::<Output>();
    is_send_and_sync::<TaskEvents>();
    is_send_and_sync::<TaskEvent>();
    is_send_and_sync::<Waited<TaskFuture<u64>>>();
    is_send_and_sync::<CutShort>();
    is_send_and_sync::<CacheState>();
    is_send::<LoadFuture>();
    is_send_and_sync::<TimedOut>();
    is_send_and_sync::<BuildError>();
    is_send_and_sync::<GrantError>();
    is_send_and_sync::<HostFunctionError>();
    is_send_and_sync::<LoadError>();
    is_send_and_sync::<TaskRefError>();
    is_send_and_sync::<SubmitError<(u64,)>>();
    is_send_and_sync::<SessionError>();
    is_send_and_sync::<TaskError>();
    is_send_and_sync::<ArgumentError>();
    is_send_and_sync::<WaveError>();
}

/// The result type need not be `Send`: it is decoded on the thread that reads it.
#[test]
fn futures_are_send_and_sync_whatever_their_result_is() {
    type Local = std::rc::Rc<std::cell::Cell<u64>>;
    is_send_and_sync::<TaskFuture<Local>>();
    is_send_and_sync::<Task<(u64,), Local>>();
    is_send_and_sync::<AsCompleted<TaskFuture<Local>, Local>>();
    is_send::<Map<'_, (u64,), Local, std::ops::Range<u64>>>();
    is_send::<MapStream<'_, (u64,), Local, std::ops::Range<u64>>>();
    is_send::<MapUnordered<'_, (u64,), Local, std::ops::Range<u64>>>();
    is_send_and_sync::<Child>();
    is_send_and_sync::<Command>();
}
