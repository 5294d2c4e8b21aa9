"""Source text that runs in a sandbox: generated code, cells of a notebook, rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._delivery import Delivery, Pending
from ._errors import NotPortable
from ._future import Report, SandboxFuture
from ._options import Options
from ._outcomes import outcome_of_call
from ._requests import LIMIT, script_request
from ._values import Encoder, Unencodable
from ._wasmpool import Engine, SessionHandle, TaskReference

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class RunResult:
    """What a run of source text has come to."""

    value: Any = None
    """The value of the last statement, if that is an expression."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    """The values of the names that were asked for, as far as the code has set them."""

    error: BaseException | None = None
    """What the code has raised, or why it was stopped; None if it ran to its end."""

    stdout: str = ""
    stderr: str = ""

    report: Report | None = None

    @property
    def traceback(self) -> str:
        """The traceback of the error, with the lines of the source; empty without one."""
        text = getattr(getattr(self.error, "__cause__", None), "text", "")
        return str(text) or ("" if self.error is None else f"{self.error}\n")

    def check(self) -> RunResult:
        """Raises the error, if there is one; otherwise returns this result."""
        if self.error is not None:
            raise self.error
        return self


class Scripts:
    """Runs source text with certain options, in fresh interpreters or in that of a session."""

    def __init__(
        self,
        engine: Engine,
        delivery: Delivery,
        options: Options,
        task: TaskReference,
        result_limit: int,
        session: SessionHandle | None = None,
    ) -> None:
        self._engine = engine
        self._delivery = delivery
        self._options = options
        self._task = task
        self._result_limit = result_limit
        self._session = session

    def run(self, source: str, outputs: Iterable[str], inputs: Mapping[str, Any]) -> RunResult:
        """Blocks until the source has run, or was stopped."""
        future: SandboxFuture[Any] = SandboxFuture()
        self._start(future, source, list(outputs), inputs)
        try:
            error = future.exception()
        except BaseException:
            # An interrupt from the keyboard, or a cancel from elsewhere.
            future.cancel()
            raise
        value, picked = future.result() if error is None else (None, {})
        return RunResult(value, picked, error, future.stdout, future.stderr, future.report)

    def _start(
        self,
        future: SandboxFuture[Any],
        source: str,
        outputs: list[str],
        inputs: Mapping[str, Any],
    ) -> None:
        functions = self._options.functions
        try:
            encoded = Encoder(lambda _: None, LIMIT).encode(dict(inputs))
        except Unencodable as error:
            raise NotPortable(f"an input cannot travel: {error}") from None
        keep = self._session is not None
        request = script_request(list(functions), source, encoded, outputs, keep, self._result_limit)
        engine, session, task = self._engine, self._session, self._task
        pending = Pending(future, partial(outcome_of_call, classes={}), functions)
        if session is None:
            self._delivery.submit(
                pending, lambda ticket: engine.submit(task, ticket, request, bool(functions))
            )
        else:
            self._delivery.submit(
                pending, lambda ticket: engine.submit_to(session, task, ticket, request)
            )


class Session:
    """An interpreter that keeps its names between runs. Made by `SandboxPoolExecutor.session`.

    Its runs go one after the other. A run that is stopped or crashes takes the interpreter with it:
    later ones have the error `SessionEnded`, until `restart`. An exception does not. A session holds
    memory, and one of the executor's `max_sessions` places, until it is closed.
    """

    def __init__(
        self,
        engine: Engine,
        delivery: Delivery,
        options: Options,
        task: TaskReference,
        result_limit: int,
    ) -> None:
        self._handle = engine.session()
        self._scripts = Scripts(engine, delivery, options, task, result_limit, self._handle)

    def run(self, source: str, /, *, outputs: Iterable[str] = (), **inputs: Any) -> RunResult:
        """As `SandboxPoolExecutor.run`, in the names that the runs before have left."""
        return self._scripts.run(source, outputs, inputs)

    def restart(self) -> None:
        """Begins anew, without any names. Raises `RuntimeError` if the session has not ended."""
        self._handle.restart()

    def close(self) -> None:
        """Ends the session after the runs that were begun. Does not block."""
        self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
