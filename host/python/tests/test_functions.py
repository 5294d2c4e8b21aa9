"""Functions travel as source, with what they refer to; what cannot travel is refused by name."""

from __future__ import annotations

import collections
import ctypes
import dataclasses
import enum
import functools
import math
import os.path
import socket
import threading
import typing
from collections.abc import Callable
from typing import Any

import neighbour
import pytest
from neighbour import triple
from wasmpool import BadResult, NotPortable, SandboxPoolExecutor

FACTORS = [2, 3, 5]
Pair = collections.namedtuple("Pair", "first second")


class Color(enum.Enum):
    RED = 1
    GREEN = 2


class Row(typing.NamedTuple):
    key: int
    text: str = ""


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.5
    tags: list[str] = dataclasses.field(default_factory=list)

    def norm(self) -> float:
        return math.hypot(self.x, self.y)


class Counter:
    def __init__(self, start: int) -> None:
        self.start = start

    def plus(self, n: int) -> int:
        return self.start + n

    @classmethod
    def from_start(cls, start: int) -> int:
        return cls(start).plus(1)

    @staticmethod
    def same(n: int) -> int:
        return n


def double(n: int) -> int:
    return 2 * n + len(FACTORS)


def refers_to_much(n: int) -> tuple[Any, ...]:
    return double(n), Point(n), Row(n), Pair(1, 2), Color.RED, os.path.join("a", "b")


@functools.cache
def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def is_even(n: int) -> bool:
    return n == 0 or is_odd(n - 1)


def is_odd(n: int) -> bool:
    return n != 0 and is_even(n - 1)


def of_other_module(n: int) -> int:
    return triple(n) + neighbour.triple(n) + neighbour.BASE


def annotated(lock: threading.Lock | None = None, at: socket.socket | None = None) -> bool:
    return lock is None and at is None


def adder(k: int) -> Callable[[int], int]:
    text = """
not indented"""

    def add(n: int) -> int:
        return (
            n
            + k
            + len(text)
            + len("""
x""")
        )

    return add


def factorial_from(base: int) -> Callable[[int], int]:
    def factorial(n: int) -> int:
        return base if n == 0 else n * factorial(n - 1)

    return factorial


def class_in_function() -> Callable[[int], Any]:
    @dataclasses.dataclass
    class Local:
        value: int

    return lambda n: Local(n)


NAMES_OF_GOOD_CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "a top-level function": (refers_to_much, (3,)),
    "a decorated function": (fibonacci, (30,)),
    "functions that call each other": (is_even, (10,)),
    "functions and constants of another module": (of_other_module, (2,)),
    "a nested function with free variables": (adder(5), (1,)),
    "a nested function that calls itself": (factorial_from(2), (4,)),
    "a lambda": (lambda n: n + len(FACTORS), (4,)),
    "a bound method": (Counter(5).plus, (1,)),
    "a class method": (Counter.from_start, (1,)),
    "a static method": (Counter.same, (1,)),
    "a method with its instance as an argument": (Point.norm, (Point(3, 4.0),)),
    "a partial": (functools.partial(double, 4), ()),
    "a partial of a partial": (functools.partial(functools.partial(pow, 2), 3), ()),
    "a function of the standard library": (math.sqrt, (4,)),
    "a built-in function": (sum, ([1, 2],)),
    "a method of a built-in type": (str.upper, ("a",)),
    "a class": (Point, (1, 2.0)),
    "functions as arguments": (lambda f, n: [f(i) for i in range(n)], (double, 3)),
    "annotations that cannot travel": (annotated, ()),
}


@pytest.mark.parametrize("name", NAMES_OF_GOOD_CALLS)
def test_a_call_gives_what_it_gives_here(executor: SandboxPoolExecutor, name: str) -> None:
    function, args = NAMES_OF_GOOD_CALLS[name]
    assert executor.submit(function, *args).result() == function(*args)


def test_a_class_inside_of_a_function_comes_back_as_that_class(
    executor: SandboxPoolExecutor,
) -> None:
    make = class_in_function()
    result = executor.submit(make, 4).result()
    assert type(result).__qualname__ == "class_in_function.<locals>.Local"
    assert result.value == 4


def test_two_lambdas_in_a_line_are_told_apart(executor: SandboxPoolExecutor) -> None:
    one, two = (lambda n: n + 1), (lambda n: n * 10)
    assert [executor.submit(f, 5).result() for f in (one, two)] == [6, 50]


def test_globals_do_not_leak_from_call_to_call(executor: SandboxPoolExecutor) -> None:
    def leak() -> int:
        import builtins

        builtins.leaked = getattr(builtins, "leaked", 0) + 1  # type: ignore[attr-defined]
        return builtins.leaked  # type: ignore[attr-defined, no-any-return]

    assert [executor.submit(leak).result() for _ in range(20)] == [1] * 20


def test_a_function_is_defined_once_in_a_warm_interpreter(warm: SandboxPoolExecutor) -> None:
    assert [warm.submit(neighbour.count_up).result() for _ in range(3)] == [1, 2, 3]


lock = threading.Lock()
numbers = (n for n in range(3))


def with_lock() -> None:
    with lock:
        pass


def with_generator() -> list[int]:
    return list(numbers)


def with_socket() -> str:
    return socket.gethostname()


def with_ctypes() -> Any:
    return ctypes.c_int


def indirectly() -> None:
    with_lock()


REFUSED: dict[str, tuple[Callable[..., Any], tuple[Any, ...], str]] = {
    "a lock": (with_lock, (), r"`with_lock` -> `lock`.*is a lock: sandboxes share no memory"),
    "what a function that is called needs": (indirectly, (), r"`indirectly` -> `with_lock`.*lock"),
    "a generator": (with_generator, (), r"`numbers`.*pass a list"),
    "a module that does not exist": (with_socket, (), r"`socket` does not exist in sandboxes"),
    "an extension module": (with_ctypes, (), r"`ctypes` does not exist in sandboxes"),
    "a lock as an argument": (double, (lock,), r"is a lock"),
    "a thread as an argument": (double, (threading.current_thread(),), r"thread"),
    "code without source": (eval("lambda: 1"), (), r"has no source"),
    "what is no function": (typing.cast(Any, 5), (), r"`int` cannot be called"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_travel_is_refused_at_submit(executor: SandboxPoolExecutor, name: str) -> None:
    function, args, message = REFUSED[name]
    with pytest.raises(NotPortable, match=message):
        executor.submit(function, *args)


def test_an_open_file_is_refused(executor: SandboxPoolExecutor) -> None:
    with open(__file__) as file, pytest.raises(NotPortable, match="is an open file"):
        executor.submit(double, typing.cast(Any, file))


@pytest.mark.parametrize("make", [object, lambda: double, lambda: math, lambda: iter([])])
def test_a_result_that_is_no_data_fails_its_call(
    executor: SandboxPoolExecutor, make: Callable[[], Any]
) -> None:
    with pytest.raises(BadResult, match="cannot travel"):
        executor.submit(make).result()


def test_a_refusal_costs_the_executor_nothing(executor: SandboxPoolExecutor) -> None:
    for _ in range(3):
        with pytest.raises(NotPortable):
            executor.submit(with_lock)
    assert executor.submit(double, 1).result() == 5
