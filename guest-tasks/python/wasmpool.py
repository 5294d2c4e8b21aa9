"""The module `wasmpool` in a sandbox: what a function may use of it while it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from wit_world.imports import context

F = TypeVar("F", bound=Callable[..., Any])


def sandboxed(function: F | None = None, **_options: object) -> Any:
    """The function itself: what calls it is in a sandbox already."""
    return function if function is not None else lambda inner: inner


def report_progress(done: int, total: int | None = None) -> None:
    """Reports that `done` units of `total` are done. The future has the last report."""
    context.report_progress(done, total)


def is_stop_requested() -> bool:
    """Whether the call was cancelled or is out of time."""
    return context.is_stop_requested()


def time_left() -> float | None:
    """The seconds for which the call may still run; None if it has no timeout."""
    left = context.time_left()
    return None if left is None else left / 1e9
