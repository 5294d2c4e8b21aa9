"""Futures of calls in sandboxes."""

from __future__ import annotations

import concurrent.futures
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from ._wasmpool import Call

T = TypeVar("T")


@dataclass(frozen=True)
class Report:
    """What a call has used, and its output. Times are in seconds."""

    queued: float
    """From its submission to its start."""

    ran: float
    """From its start to its end."""

    computed: float
    """How much of `ran` it computed; the rest it waited."""

    peak_memory: int
    """Bytes of its interpreter's memory, at most."""

    stdout: str
    """The last of what it printed, up to the `output_limit`."""

    stdout_bytes: int
    """How many bytes it printed in all."""

    stderr: str
    stderr_bytes: int

    worker: int | None
    """The index of the worker that ran it; None if it never started."""


class SandboxFuture(concurrent.futures.Future[T]):
    """A `concurrent.futures.Future` that can also cancel a running call.

    It is never made by callers.
    """

    def __init__(self) -> None:
        super().__init__()
        self._call: Call | None = None
        self._report: Report | None = None
        # Whoever takes the one element settles the future: taking it is atomic.
        self._right_to_settle = [None]
        self._is_cancelling = False

    def cancel(self) -> bool:
        """Cancels the call, queued or running, and stops its interpreter. Does not block.

        Returns whether the call is cancelled, now or earlier; False if it has ended otherwise.
        """
        if not self._may_settle():
            return self._is_cancelling
        self._is_cancelling = True
        if self._call is not None:
            self._call.cancel()
        # The base class has the future pending until it is settled, so that this succeeds.
        super().cancel()
        self.set_running_or_notify_cancel()
        return True

    def running(self) -> bool:
        """Whether the call has started and not ended."""
        return not self.done() and self._call is not None and self._call.is_running()

    @property
    def progress(self) -> tuple[int, int | None] | None:
        """What the call has reported last with `wasmpool.report_progress`: `(done, total)`."""
        return None if self._call is None else self._call.progress()

    @property
    def report(self) -> Report | None:
        """What the call has used, and its output; None until it has ended."""
        return self._report

    @property
    def stdout(self) -> str:
        """What the call has printed; empty until it has ended."""
        return "" if self._report is None else self._report.stdout

    @property
    def stderr(self) -> str:
        """What the call has written to standard error; empty until it has ended."""
        return "" if self._report is None else self._report.stderr

    def _may_settle(self) -> bool:
        try:
            self._right_to_settle.pop()
        except IndexError:
            return False
        return True

    def _settle(self, report: Report, result: T | None, error: BaseException | None) -> None:
        """Ends the future, unless it was cancelled."""
        self._report = report
        if not self._may_settle():
            return
        self.set_running_or_notify_cancel()
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(result)  # type: ignore[arg-type]
