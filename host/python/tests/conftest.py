"""What the tests have in common: executors that live as long as a module of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from wasmpool import SandboxPoolExecutor


@pytest.fixture(scope="module")
def executor() -> Iterator[SandboxPoolExecutor]:
    """Two workers, a fresh interpreter for each call, and a timeout that no good call meets."""
    with SandboxPoolExecutor(2, timeout=60) as executor:
        yield executor


@pytest.fixture(scope="module")
def warm() -> Iterator[SandboxPoolExecutor]:
    """One worker that keeps its interpreter."""
    with SandboxPoolExecutor(1, isolation="worker", timeout=60) as executor:
        yield executor
