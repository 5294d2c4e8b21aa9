"""Sandboxed code that misbehaves costs its own call and nothing else."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from wasmpool import (
    BadResult,
    Crashed,
    Exited,
    MemoryLimitExceeded,
    SandboxError,
    SandboxPoolExecutor,
)
from wasmpool._outcomes import outcome_of


def good(n: int) -> int:
    return n + 1


def leave() -> None:
    sys.exit(3)


def leave_hard() -> None:
    os._exit(4)


def recurse() -> int:
    return 1 + recurse()


def fill_memory() -> int:
    blocks = []
    while True:
        blocks.append(bytearray(1 << 20))


def flood() -> None:
    for _ in range(3000):
        print("x" * 1000)


def leak() -> None:
    import builtins

    builtins.good = builtins.len = None  # type: ignore[assignment, attr-defined]
    sys.modules.clear()


def break_streams() -> None:
    sys.stdout = sys.stderr = None


ENDS: dict[str, tuple[Callable[[], Any], type[BaseException] | None]] = {
    "exit": (leave, Exited),
    "hard exit": (leave_hard, Exited),
    "recursion": (recurse, RecursionError),
    "memory": (fill_memory, MemoryError),
    "flood": (flood, None),
    "leak": (leak, Crashed),
    "streams": (break_streams, None),
}


@pytest.mark.parametrize("isolation", ["task", "worker"])
@pytest.mark.parametrize("name", ENDS)
def test_it_costs_only_itself(name: str, isolation: Any) -> None:
    function, error = ENDS[name]
    if isolation == "worker" and name == "leak":
        isolation = "task"
    with SandboxPoolExecutor(1, isolation=isolation, memory_limit="64MiB", timeout=60) as executor:
        for n in range(3):
            future = executor.submit(function)
            if error is None:
                future.result()
            else:
                with pytest.raises(error):
                    future.result()
            assert executor.submit(good, n).result() == n + 1


def test_sys_exit_keeps_its_code(executor: SandboxPoolExecutor) -> None:
    error = executor.submit(leave).exception()
    assert isinstance(error, Exited) and error.code == 3


def test_the_memory_limit_is_one_of_memory_errors(executor: SandboxPoolExecutor) -> None:
    limited = executor.options(memory_limit="64MiB")
    error = limited.submit(lambda: len(bytearray(100 << 20))).exception()
    assert isinstance(error, MemoryLimitExceeded | MemoryError)


def test_a_flood_of_output_is_cut(executor: SandboxPoolExecutor) -> None:
    future = executor.submit(flood)
    future.result()
    assert future.report is not None
    assert future.report.stdout_bytes == 3000 * 1001
    assert len(future.stdout) == 64 << 10


def test_a_result_over_the_limit_fails_its_call() -> None:
    with SandboxPoolExecutor(1, result_limit="1MiB") as executor:
        with pytest.raises(BadResult, match="larger"):
            executor.submit(lambda: bytes(2 << 20)).result()
        assert len(executor.submit(lambda: bytes(1 << 19)).result()) == 1 << 19


ANSWERS = [
    b"",
    b"\1",
    b"\0",
    b"\2N",
    b"\1?",
    b"\1Rj\0",
    b"\0N",
    b"\0t\3\0\0\0NNN",
    b"\0t\3\0\0\0s\1\0\0\0xNs\1\0\0\0x",
    b"\1l\xff\xff\xff\xff",
    None,
    5,
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_any_bytes_are_an_outcome(answer: object) -> None:
    assert isinstance(outcome_of(answer, {}).error, BadResult)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"N",
        b"l\0\0\0\0",
        b"l\1\0\0\0N",
        b"l\1\0\0\0b\0\0\0\0",
        b"l\xff\xff\xff\xff",
        b"l\1\0\0\0" * 5000,
    ],
)
def test_an_interpreter_may_answer_with_any_bytes(data: bytes) -> None:
    with SandboxPoolExecutor(1, isolation="worker") as executor:
        answered = executor.run(
            "import runner\n"
            "def forged(request, data=data): return data\n"
            "runner.run.__code__ = forged.__code__\n"
            "runner.run.__defaults__ = (data,)",
            data=data,
        )
        assert answered.error is None
        for _ in range(3):
            error = executor.submit(good, 1).exception()
            assert isinstance(error, BadResult), error
        assert threading.active_count() < 50


def test_a_forged_class_is_not_rebuilt(executor: SandboxPoolExecutor) -> None:
    def forge() -> Any:
        cls = type("SandboxPoolExecutor", (), {"__module__": "wasmpool"})
        return cls()

    with pytest.raises(BadResult):
        executor.submit(forge).result()


def test_a_crash_is_named() -> None:
    with SandboxPoolExecutor(1, memory_limit="64MiB") as executor:
        # Deeper than the stack of WebAssembly: without Python's own check.
        deep = "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return [f(n + 1)]\nf(0)"
        result = executor.run(deep)
        assert isinstance(result.error, Crashed | MemoryError | RecursionError | SandboxError)
        assert executor.submit(good, 1).result() == 2
