"""`@sandboxed`: functions whose calls run in the sandbox of whichever process calls them."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from . import _closure
from ._executor import Calls, SandboxPoolExecutor
from ._future import SandboxFuture
from ._options import OptionArguments

if TYPE_CHECKING:
    from typing_extensions import Unpack

P = ParamSpec("P")
T = TypeVar("T")


class Sandboxed(Generic[P, T]):
    """A function whose calls run in sandboxes. Made by `sandboxed`.

    It can be pickled: it takes its source along, and not its name.
    """

    __wrapped__: Callable[P, T]

    def __init__(self, function: Callable[P, T], options: OptionArguments) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._options = options
        self._program: _closure.Program | None = None
        self._calls: tuple[int, Calls] | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the function in a sandbox. Blocks until the call has ended."""
        future = self.submit(*args, **kwargs)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> SandboxFuture[T]:
        """Begins a call in a sandbox. Does not wait for it."""
        return self._in_this_process().submit_program(self._own_program(), self._function, args, kwargs)

    def _own_program(self) -> _closure.Program:
        # Collected with the first call: what the function refers to may be defined after it.
        if self._program is None:
            self._program = _closure.program_of(self._function, self._names())
        return self._program

    def _names(self) -> frozenset[str]:
        return frozenset(self._options.get("functions", ()))

    def _in_this_process(self) -> Calls:
        known = self._calls
        if known is None or known[0] != os.getpid():
            known = self._calls = os.getpid(), _executor().options(**self._options)
        return known[1]

    def __reduce__(self) -> tuple[Any, ...]:
        program = self._own_program()
        number = program.collected.numbers[id(self._function)]
        parts = program.digest, program.statements, number, program.collected.classes
        return _rebuilt, (self.__name__, self.__doc__, parts, self._options)

    if TYPE_CHECKING:
        __name__: str


class _Elsewhere:
    """Stands for a function whose source was pickled."""

    def __init__(self, name: str, doc: str | None) -> None:
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc

    def __call__(self, *_args: object) -> None:
        raise TypeError(f"`{self.__name__}` runs in sandboxes alone")


def _rebuilt(
    name: str,
    doc: str | None,
    parts: tuple[bytes, bytes, int, dict[int, object]],
    options: OptionArguments,
) -> Sandboxed[..., Any]:
    digest, statements, number, classes = parts
    function = _Elsewhere(name, doc)
    collected = _closure.Collected.of_classes(classes)
    collected.add(number, function)
    sandboxed: Sandboxed[..., Any] = Sandboxed(function, options)
    sandboxed._program = _closure.Program(digest, statements, collected)
    return sandboxed


@overload
def sandboxed(function: Callable[P, T], /) -> Sandboxed[P, T]: ...
@overload
def sandboxed(
    **options: Unpack[OptionArguments],
) -> Callable[[Callable[P, T]], Sandboxed[P, T]]: ...
def sandboxed(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Has the calls of a function run in a sandbox of the process that calls it.

    The options are those of `SandboxPoolExecutor.options`. All such functions of a process share one
    pool, which is made with the first call and has a worker for each processor. What is picklable
    stays so: a process pool, Dask, Ray or Celery may take the function elsewhere.
    """
    if function is not None:
        return Sandboxed(function, OptionArguments())
    return lambda inner: Sandboxed(inner, cast(OptionArguments, options))


# Where the guest has it, too.
sandboxed.__module__ = "wasmpool"

_lock = threading.Lock()
_of_process: tuple[int, SandboxPoolExecutor] | None = None


def _executor() -> SandboxPoolExecutor:
    global _of_process
    with _lock:
        if _of_process is None or _of_process[0] != os.getpid():
            _of_process = os.getpid(), SandboxPoolExecutor()
        return _of_process[1]


def _forget_lock() -> None:
    """A child of a fork may have the lock in the hands of a thread that it lacks."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_lock)
