"""The calls that have not ended, and the threads that end them.

One thread settles the futures of an executor. It keeps the pool alive and not the executor, so that
an executor that nobody holds any more ends after its last call.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from . import _errors
from ._future import Report, SandboxFuture
from ._host_functions import HostFunctions
from ._options import Functions
from ._outcomes import Outcome
from ._wasmpool import Call

if TYPE_CHECKING:
    from ._wasmpool import Outcome as NativeOutcome


class NativePool(Protocol):
    """A pool of the native half."""

    def outcomes(self) -> list[NativeOutcome]: ...
    def stop_delivery(self) -> None: ...
    def shutdown(self) -> None: ...


@dataclass
class Pending:
    """A call that has not ended."""

    future: SandboxFuture[Any]
    read: Callable[[bytes], Outcome]
    """What makes an outcome of the answer."""
    functions: Functions = field(default_factory=dict)
    n_function_calls: int = 0


class Delivery:
    """The pool of an executor, its calls that have not ended, and its threads."""

    def __init__(self, pool: NativePool, host_functions: HostFunctions | None = None) -> None:
        self._pool = pool
        self.is_closed = False
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._pending: dict[int, Pending] = {}
        self._next_ticket = 1
        self._host_functions = host_functions
        self._thread = threading.Thread(target=self._run, name="wasmpool-delivery", daemon=True)
        self._thread.start()
        _open.add(self)

    def submit(self, pending: Pending, start: Callable[[int], Call]) -> None:
        """Submits a call with a ticket of its own. Its future ends once."""
        if os.getpid() != self._process:
            raise RuntimeError("the executor belongs to the process that was forked; make one here")
        if pending.functions and self._host_functions is not None:
            self._host_functions.start(self._pending.get)
        with self._lock:
            if self.is_closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            ticket = self._next_ticket
            self._next_ticket += 1
            self._pending[ticket] = pending
        try:
            pending.future._call = start(ticket)
        except BaseException:
            del self._pending[ticket]
            raise

    def close(self) -> None:
        """Accepts no more calls. The thread ends after those that were accepted."""
        with self._lock:
            if self.is_closed:
                return
            self.is_closed = True
        if os.getpid() == self._process:
            self._pool.stop_delivery()

    def cancel_queued(self) -> None:
        for pending in list(self._pending.values()):
            if not pending.future.running():
                pending.future.cancel()

    def cancel_all(self) -> None:
        for pending in list(self._pending.values()):
            pending.future.cancel()

    def join(self) -> None:
        """Waits until all calls have ended, except on the thread that ends them."""
        if threading.current_thread() is not self._thread and os.getpid() == self._process:
            self._thread.join()

    def _run(self) -> None:
        while not (self.is_closed and not self._pending):
            for ticket, answer, error, report in self._pool.outcomes():
                pending = self._pending.pop(ticket, None)
                if pending is not None:
                    self._settle(pending, answer, error, report)
                    # The future may be the last that holds a large result.
                    del pending
        if self._host_functions is not None:
            self._host_functions.stop()
        self._pool.shutdown()
        _open.discard(self)

    def _settle(
        self,
        pending: Pending,
        answer: bytes | None,
        error: tuple[str, str, int | None, str] | None,
        parts: tuple[Any, ...],
    ) -> None:
        future, report = pending.future, _report(parts)
        if future.cancelled():
            future._report = report
        elif error is not None or answer is None:
            kind, message, code, stderr = error or ("internal", "", None, "")
            future._settle(report, None, _errors.from_kind(kind, message, code, stderr))
        else:
            outcome = pending.read(answer)
            future._settle(report, outcome.value, outcome.error)


def _report(parts: tuple[Any, ...]) -> Report:
    queued, ran, computed, peak_memory, stdout, n_stdout, stderr, n_stderr, worker = parts
    return Report(
        queued,
        ran,
        computed,
        peak_memory,
        stdout.decode(errors="replace"),
        n_stdout,
        stderr.decode(errors="replace"),
        n_stderr,
        worker,
    )


_open: weakref.WeakSet[Delivery] = weakref.WeakSet()


@atexit.register
def _finish() -> None:
    """Lets the calls of executors that nobody has shut down come to their end, as CPython does."""
    for delivery in list(_open):
        delivery.close()
        delivery.join()
