"""How calls of interpreters have ended: what is made of their answers, whatever they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._errors import BadResult, Exited, InitializerFailed
from ._values import Decoder, Malformed


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


def outcome_of_call(answer: bytes, classes: dict[int, object]) -> Outcome:
    """The outcome of one call."""
    parts = _parts(answer)
    return outcome_of(parts[0] if len(parts) == 1 else None, classes)


def outcome_of_chunk(answer: bytes, classes: dict[int, object], n_in_chunk: int) -> Outcome:
    """The list of the outcomes of a chunk."""
    return Outcome(_outcomes_of_chunk(answer, classes, n_in_chunk))


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
