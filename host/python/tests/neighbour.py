"""A module whose functions the tests use."""

from __future__ import annotations

BASE = 100
_count = 0


def triple(n: int) -> int:
    return _times(3, n)


def _times(factor: int, n: int) -> int:
    return factor * n


def count_up() -> int:
    global _count
    _count += 1
    return _count
