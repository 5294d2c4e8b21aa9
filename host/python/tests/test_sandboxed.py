"""`@sandboxed` functions, here and in the processes of other engines."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import multiprocessing
import os
import pickle

import pytest
import wasmpool
from wasmpool import Exited, TaskTimeout, sandboxed


@dataclasses.dataclass
class Point:
    x: int


def helper(n: int) -> int:
    return n + 1


@sandboxed(timeout=60, memory_limit="64MiB")
def double(n: int) -> int:
    """Doubles."""
    return 2 * helper(n)


@wasmpool.sandboxed
def twice(n: int) -> int:
    return double(double(n))


@sandboxed(timeout=60)
def moved(point: Point, by: int) -> Point:
    return Point(point.x + by)


@sandboxed(timeout=0.5)
def hang() -> None:
    while True:
        pass


@sandboxed
def crash() -> None:
    os._exit(1)


def test_a_call_runs_in_a_sandbox_of_this_process() -> None:
    assert double(4) == 10
    assert twice(1) == double(double(1)), "a sandboxed function calls another in its own sandbox"
    assert double.submit(5).result() == 12
    assert (double.__name__, double.__doc__) == ("double", "Doubles.")
    assert moved(Point(1), by=2) == Point(3)


def test_limits_are_those_of_the_function() -> None:
    with pytest.raises(TaskTimeout):
        hang()
    with pytest.raises(Exited):
        crash()


def test_it_can_be_pickled_with_its_source() -> None:
    for _ in range(2):
        elsewhere = pickle.loads(pickle.dumps(double))
        assert elsewhere(4) == 10
        assert elsewhere.__name__ == "double"
        again = pickle.loads(pickle.dumps(elsewhere))
        assert again(4) == 10
    assert pickle.loads(pickle.dumps(moved))(Point(1), 2) == Point(3)


def test_it_runs_in_the_processes_of_a_pool() -> None:
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert list(pool.map(double, range(3))) == [2, 4, 6]
        with pytest.raises(TaskTimeout):
            pool.submit(hang).result()
        assert pool.submit(double, 1).result() == 4


def test_it_runs_in_a_forked_child() -> None:
    double(1)
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as pool:
        assert pool.map(double, range(3)) == [2, 4, 6]


def test_it_runs_under_dask() -> None:
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        good = client.map(double, range(20))
        hanging, crashing = client.submit(hang), client.submit(crash)
        assert client.gather(good) == [2 * (n + 1) for n in range(20)]
        assert isinstance(hanging.exception(), TaskTimeout)
        assert isinstance(crashing.exception(), Exited)
        assert client.submit(double, 100).result() == 202
