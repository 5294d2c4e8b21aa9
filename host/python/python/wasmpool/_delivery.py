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
from dataclasses import dataclass
from typing import Any

from . import _errors
from ._errors import BadResult, Exited, InitializerFailed
from ._future import Report, SandboxFuture
from ._host_functions import HostFunctions
from ._options import Functions
from ._values import Decoder, Malformed
from ._wasmpool import Call, Engine


class RemoteTraceback(Exception):
    """The traceback of an exception in a sandbox, which is its cause."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


@dataclass(frozen=True)
class Outcome:
    """How one call has ended: with a value or with an exception."""

    value: Any = None
    error: BaseException | None = None

    def result(self) -> Any:
        if self.error is None:
            return self.value
        try:
            raise self.error
        finally:
            # The exception would hold this frame, and the frame the exception.
            del self


@dataclass
class Pending:
    """A call that has not ended."""

    future: SandboxFuture[Any]
    classes: dict[int, object]
    functions: Functions
    n_in_chunk: int | None = None
    n_function_calls: int = 0


class Delivery:
    """The pool of an executor, its calls that have not ended, and its threads."""

    def __init__(self, engine: Engine, result_limit: int, function_call_limit: int) -> None:
        self.engine = engine
        self.result_limit = result_limit
        self.is_closed = False
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._pending: dict[int, Pending] = {}
        self._next_ticket = 1
        self._host_functions = HostFunctions(engine, self._pending.get, function_call_limit)
        self._thread = threading.Thread(target=self._run, name="wasmpool-delivery", daemon=True)
        self._thread.start()
        _open.add(self)

    def submit(self, pending: Pending, start: Callable[[int], Call]) -> None:
        """Submits a call with a ticket of its own. Its future ends once."""
        if os.getpid() != self._process:
            raise RuntimeError("the executor belongs to the process that was forked; make one here")
        if pending.functions:
            self._host_functions.start()
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
            self.engine.stop_delivery()

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
            for ticket, answer, error, report in self.engine.outcomes():
                pending = self._pending.pop(ticket, None)
                if pending is not None:
                    self._settle(pending, answer, error, report)
                    # The future may be the last that holds a large result.
                    del pending
        self._host_functions.stop()
        self.engine.shutdown(False)
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
        elif pending.n_in_chunk is not None:
            outcomes = _outcomes_of_chunk(answer, pending.classes, pending.n_in_chunk)
            future._settle(report, outcomes, None)
        else:
            outcome = _outcome_of_call(answer, pending.classes)
            future._settle(report, outcome.value, outcome.error)


def _outcome_of_call(answer: bytes, classes: dict[int, object]) -> Outcome:
    parts = _parts(answer)
    return outcome_of(parts[0] if len(parts) == 1 else None, classes)


def _outcomes_of_chunk(answer: bytes, classes: dict[int, object], n_in_chunk: int) -> list[Outcome]:
    parts = _parts(answer)
    if len(parts) == n_in_chunk > 1:
        return [outcome_of(part, classes) for part in parts]
    outcome = outcome_of(parts[0] if len(parts) == 1 else None, classes, is_chunk=True)
    if outcome.error is not None:
        return [outcome] * n_in_chunk
    values = outcome.value
    if type(values) is not list or len(values) != n_in_chunk:
        return [Outcome(error=_not_a_value("it is of another length"))] * n_in_chunk
    return [Outcome(value) for value in values]


def _parts(answer: bytes) -> list[object]:
    """The outcomes in an answer; none if it is anything else."""
    try:
        parts = Decoder(answer, {}).decode()
    except Malformed:
        return []
    return parts if type(parts) is list else []


def outcome_of(encoded: object, classes: dict[int, object], *, is_chunk: bool = False) -> Outcome:
    """The outcome that a sandbox has answered with, whatever it has answered with.

    That of a chunk is the list of its values, or one failure.
    """
    good = b"\2" if is_chunk else b"\1"
    try:
        if type(encoded) is not bytes or encoded[:1] not in (b"\0", b"\1", b"\2"):
            raise Malformed("it is no outcome")
        value = Decoder(encoded[1:], classes).decode()
        if encoded[:1] == b"\0":
            return Outcome(error=_raised(value))
        if encoded[:1] == good:
            return Outcome(value)
        # A chunk of one.
        if is_chunk:
            return Outcome([value])
        raise Malformed("it is the outcome of a chunk")
    except Malformed as problem:
        return Outcome(error=_not_a_value(str(problem)))


def _not_a_value(problem: str) -> BadResult:
    return BadResult(f"the sandbox's answer is not a value: {problem}", "bad-result")


def _raised(value: Any) -> BaseException:
    """The exception of a call that has raised one."""
    if type(value) is not tuple or list(map(type, value[::2])) != [str, str] or len(value) != 3:
        raise Malformed("it is no exception")
    kind, text = value[0], value[2]
    error: BaseException = value[1]
    if not isinstance(error, BaseException):
        raise Malformed("it is no exception")
    cause: BaseException | None = RemoteTraceback(text) if text else None
    if kind == "result":
        return BadResult(f"the result cannot travel: {error}", "bad-result")
    if kind == "exited":
        exited = Exited(f"the function has called `sys.exit`: {error.args!r}", "exited")
        exited.code = error.args[0] if error.args else 0
        error = exited
    elif kind == "initializer":
        error.__cause__ = cause
        cause = error
        error = InitializerFailed(f"the initializer has failed: {error!s:.500}", "initializer-failed")
    error.__cause__ = cause
    return error


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
