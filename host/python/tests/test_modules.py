"""Modules of any language."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from wasmpool import Module, Pool, TaskTimeout

GUESTS = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).parents[3] / "target")) / "guests"


@dataclasses.dataclass
class Point:
    x: float
    y: float


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(2, timeout=60, memory_limit="64MiB") as pool:
        yield pool


@pytest.fixture(scope="module")
def factorizer(pool: Pool) -> Module:
    return pool.load(GUESTS / "factorizer.wasm")


def test_a_task_is_called(factorizer: Module) -> None:
    factorize = factorizer.task("factorize")
    assert factorize(360) == [2, 2, 2, 3, 3, 5]
    assert factorize.submit(77).result() == [7, 11]
    assert list(factorize.map(range(2, 40), buffersize=4))[:3] == [[2], [3], [2, 2]]
    assert "factorize" in [task.name for task in factorizer.tasks]


def test_a_task_is_stopped(factorizer: Module) -> None:
    prime = (1 << 61) - 1
    with pytest.raises(TaskTimeout):
        factorizer.task("factorize", timeout=0.1)(prime)
    future = factorizer.task("factorize").submit(prime)
    assert future.cancel() and future.cancelled()


def test_typed_functions_take_dataclasses_and_dictionaries(pool: Pool) -> None:
    area = pool.load(GUESTS / "shapes.wasm").task("area")
    assert area({"circle": 0.5}) == pytest.approx(0.785398)
    assert area({"rect": (2, 3)}) == 6
    triangle = [Point(0, 0), {"x": 4, "y": 0}, Point(0, 3)]
    assert area({"polygon": triangle}) == 6
    with pytest.raises(TypeError, match="expected f64"):
        area({"rect": [2, "a"]})
    with pytest.raises(Exception, match="too-few-corners"):
        area({"polygon": []})
    with pytest.raises(TypeError, match="no JSON form"):
        area(object())


def test_the_result_can_be_made_into_something(factorizer: Module) -> None:
    assert factorizer.task("factorize", returns=tuple)(12) == (2, 2, 3)


def test_a_program_is_run(pool: Pool) -> None:
    programs = pool.load(GUESTS / "programs.wasm")
    done = programs.run("count", "to be").result()
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.split() == [b"1", b"2", b"5"]


def test_what_is_not_there_is_named(pool: Pool, factorizer: Module, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="factorise"):
        factorizer.task("factorise")
    with pytest.raises(ValueError):
        pool.load(tmp_path / "none.wasm")
    with pytest.raises(ValueError):
        factorizer.run().result()
