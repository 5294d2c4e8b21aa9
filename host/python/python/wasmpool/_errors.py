"""What a call in a sandbox may raise beside the exceptions of the function itself."""

from __future__ import annotations

import concurrent.futures
import sys


class NotPortable(TypeError):
    """Something that a function needs cannot go into a sandbox. The message names it, how the function
    comes to need it, and what to do."""


class SandboxError(Exception):
    """A call came to no result, for a reason outside of its function.

    `kind` is the reason in one word of the library (`"memory-limit"`), `stderr` the end of what the
    call has written to standard error.
    """

    def __init__(self, message: str, kind: str = "", stderr: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.stderr = stderr

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (str(self), self.kind, self.stderr)


if sys.version_info >= (3, 11):
    _Timeout = TimeoutError
else:

    class _Timeout(concurrent.futures.TimeoutError, TimeoutError):
        """Before Python 3.11 these were two."""


class TaskTimeout(SandboxError, _Timeout):
    """The call ran longer than its `timeout`, or waited longer than its `queue_timeout`."""


class MemoryLimitExceeded(SandboxError, MemoryError):
    """The call wanted more memory than its `memory_limit`."""


class Crashed(SandboxError):
    """The interpreter of the call crashed, or its stack was exhausted."""


class Exited(SandboxError):
    """The call has ended its interpreter, with `sys.exit` or `os._exit`. `code` is the exit code."""

    code: object = None


class BadResult(SandboxError, TypeError):
    """The result cannot travel, is too large, or is not a value at all."""


class InitializerFailed(SandboxError):
    """The `initializer` has raised an exception, which is the cause of this one."""


class SessionEnded(SandboxError):
    """An earlier run has taken the interpreter of the session with it."""


_CLASSES: dict[str, type[SandboxError]] = {
    "timed-out": TaskTimeout,
    "queue-timed-out": TaskTimeout,
    "memory-limit": MemoryLimitExceeded,
    "memory-budget": MemoryLimitExceeded,
    "trap": Crashed,
    "stack-exhausted": Crashed,
    "bad-result": BadResult,
    "output-limit": BadResult,
    "exited": Exited,
    "session-ended": SessionEnded,
}


def from_kind(kind: str, message: str, code: int | None, stderr: str) -> SandboxError:
    """The exception for a kind of error of the library."""
    error = _CLASSES.get(kind, SandboxError)(message, kind, stderr)
    if isinstance(error, Exited):
        error.code = code
    return error
