"""Functions for code that may run in a sandbox: what they do outside of one.

The module `wasmpool` of the guest has them, too (`guest-tasks/python/wasmpool.py`).
"""

from __future__ import annotations


def report_progress(done: int, total: int | None = None) -> None:
    """In a sandbox: reports that `done` units of `total` are done; the future has the last report.

    Outside of one it does nothing.
    """


def is_stop_requested() -> bool:
    """In a sandbox: whether the call was cancelled or is out of time. Outside of one: False."""
    return False


def time_left() -> float | None:
    """In a sandbox: the seconds that the call may still run. None without a timeout, or outside."""
    return None


for _function in (report_progress, is_stop_requested, time_left):
    _function.__module__ = "wasmpool"
