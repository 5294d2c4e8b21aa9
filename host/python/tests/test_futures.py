"""Futures and the executor, point by point as the documentation of `concurrent.futures` has them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import re
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, CancelledError, as_completed, wait
from typing import Any, NoReturn

import pytest
import wasmpool
from wasmpool import InitializerFailed, SandboxFuture, SandboxPoolExecutor, TaskTimeout

PATIENCE = 30.0


def identity(value: Any) -> Any:
    return value


def fail(message: str) -> NoReturn:
    raise ValueError(message)


def spin() -> None:
    while True:
        pass


def nap() -> None:
    time.sleep(3600)


def one_or_nap(n: int) -> int:
    if not n:
        nap()
    return n


def explode() -> None:
    re.match(r"(a+)+$", "a" * 40 + "b")


def until(condition: Callable[[], bool]) -> None:
    """Waits for what comes soon."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


# Futures.


def test_a_future_is_one_of_the_standard_library(executor: SandboxPoolExecutor) -> None:
    future = executor.submit(identity, 5)
    assert isinstance(future, concurrent.futures.Future)
    assert isinstance(executor, concurrent.futures.Executor)
    assert future.result(timeout=PATIENCE) == 5
    assert future.done() and not future.running() and not future.cancelled()
    assert future.exception() is None


def test_keywords_are_passed(executor: SandboxPoolExecutor) -> None:
    assert executor.submit(identity, value=5).result() == 5
    assert executor.submit(dict, self=1, fn=2).result() == {"self": 1, "fn": 2}


def test_an_exception_has_the_remote_traceback_as_its_cause(executor: SandboxPoolExecutor) -> None:
    future = executor.submit(fail, "bad")
    with pytest.raises(ValueError, match=r"^bad$") as caught:
        future.result()
    assert future.exception() is caught.value
    cause = str(caught.value.__cause__)
    assert "raise ValueError(message)" in cause
    assert f'File "{__file__}", line {fail.__code__.co_firstlineno + 1}' in cause


def test_result_with_a_timeout_of_zero_disturbs_nothing(executor: SandboxPoolExecutor) -> None:
    future = executor.submit(time.sleep, 0.05)
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(timeout=0)
    assert future.result(timeout=PATIENCE) is None


@pytest.mark.parametrize("function", [spin, nap, explode])
def test_a_running_call_can_be_cancelled(function: Callable[[], None]) -> None:
    with SandboxPoolExecutor(1) as executor:
        future = executor.submit(function)
        until(future.running)
        assert future.cancel()
        assert future.cancelled() and future.done() and not future.running()
        assert future.cancel(), "a second cancel says the same"
        with pytest.raises(CancelledError):
            future.result()
        assert executor.submit(identity, 1).result(timeout=PATIENCE) == 1


def test_a_queued_call_that_is_cancelled_never_runs() -> None:
    with SandboxPoolExecutor(1) as executor:
        running = executor.submit(spin)
        queued = executor.submit(print, "ran")
        assert not queued.running()
        assert queued.cancel()
        running.cancel()
        executor.submit(identity, 1).result(timeout=PATIENCE)
        assert queued.cancelled() and queued.stdout == ""


def test_cancel_of_an_ended_call_is_false(executor: SandboxPoolExecutor) -> None:
    future = executor.submit(identity, 1)
    future.result()
    assert not future.cancel()
    assert future.result() == 1


def test_callbacks_run_once_in_order_on_one_thread(executor: SandboxPoolExecutor) -> None:
    calls: list[tuple[int, str]] = []
    done = threading.Event()

    def note(n: int) -> Callable[[SandboxFuture[Any]], None]:
        return lambda _: calls.append((n, threading.current_thread().name))

    future = executor.submit(time.sleep, 0.05)
    for n in range(3):
        future.add_done_callback(note(n))  # type: ignore[arg-type]
    future.add_done_callback(lambda _: done.set())
    assert done.wait(PATIENCE)
    assert calls == [(n, "wasmpool-delivery") for n in range(3)]
    future.add_done_callback(note(3))  # type: ignore[arg-type]
    assert calls[3] == (3, threading.current_thread().name), "at once where it has ended"


def test_a_callback_may_submit_and_shut_down() -> None:
    executor = SandboxPoolExecutor(1)
    results: list[concurrent.futures.Future[int]] = []
    done = threading.Event()

    def callback(_: object) -> None:
        results.append(executor.submit(identity, 2))
        executor.shutdown(wait=True)
        done.set()

    executor.submit(identity, 1).add_done_callback(callback)
    assert done.wait(PATIENCE)
    assert results[0].result(timeout=PATIENCE) == 2


def test_wait_and_as_completed(executor: SandboxPoolExecutor) -> None:
    futures = [executor.submit(identity, n) for n in range(20)]
    assert {future.result() for future in as_completed(futures, PATIENCE)} == set(range(20))
    assert wait(futures, PATIENCE).not_done == set()
    slow: SandboxFuture[Any] = executor.submit(nap)
    bad: SandboxFuture[Any] = executor.submit(fail, "bad")
    assert bad in wait([slow, bad], PATIENCE, FIRST_EXCEPTION).done
    assert wait([slow, bad], PATIENCE, FIRST_COMPLETED).not_done == {slow}
    slow.cancel()
    assert wait([slow, bad], PATIENCE).not_done == set(), "a cancelled one has ended"


def test_asyncio_waits_for_calls(executor: SandboxPoolExecutor) -> None:
    async def main() -> list[Any]:
        loop = asyncio.get_running_loop()
        one = loop.run_in_executor(executor, identity, 1)
        two = asyncio.wrap_future(executor.submit(identity, 2))
        spinning = executor.submit(spin)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(spinning), 0.05)
        assert spinning.cancelled(), "as asyncio cancels it"
        return [await one, await two]

    assert asyncio.run(main()) == [1, 2]


def test_output_and_report_are_on_the_future(executor: SandboxPoolExecutor) -> None:
    def speak() -> None:
        print("to stdout")
        print("to stderr", file=sys.stderr)

    future = executor.submit(speak)
    future.result()
    assert (future.stdout, future.stderr) == ("to stdout\n", "to stderr\n")
    assert future.report is not None
    assert future.report.peak_memory > 1 << 20
    assert 0 < future.report.computed <= future.report.ran


def test_progress_is_on_the_future(executor: SandboxPoolExecutor) -> None:
    def work() -> bool:
        wasmpool.report_progress(3, 5)
        return wasmpool.is_stop_requested()

    future = executor.submit(work)
    assert future.result() is False
    assert future.progress == (3, 5)


# Limits.


@pytest.mark.parametrize("function", [spin, nap, explode])
def test_a_timeout_stops_a_call_and_not_its_worker(function: Callable[[], None]) -> None:
    with SandboxPoolExecutor(1, timeout=0.2) as executor:
        future = executor.submit(function)
        with pytest.raises(TaskTimeout, match="ran longer than 200ms") as caught:
            future.result(timeout=PATIENCE)
        assert isinstance(caught.value, TimeoutError)
        assert executor.submit(identity, 1).result(timeout=PATIENCE) == 1


def test_options_are_for_some_calls(executor: SandboxPoolExecutor) -> None:
    quick = executor.options(timeout=0.1)
    with pytest.raises(TaskTimeout):
        quick.submit(spin).result(timeout=PATIENCE)
    assert quick.options(timeout=60).submit(identity, 1).result() == 1
    with pytest.raises(ValueError, match="`timeout` is 0"):
        executor.options(timeout=0)
    with pytest.raises(ValueError, match="isolation"):
        executor.options(isolation="process")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        executor.options(time=1)  # type: ignore[call-arg]


def test_the_queue_timeout_counts_the_wait(executor: SandboxPoolExecutor) -> None:
    spinning = [executor.submit(spin) for _ in range(2)]
    waiting = executor.options(queue_timeout=0.1).submit(identity, 1)
    with pytest.raises(TaskTimeout, match="queue"):
        waiting.result(timeout=PATIENCE)
    for future in spinning:
        future.cancel()


# map.


def test_map_is_in_order_for_any_chunksize(executor: SandboxPoolExecutor) -> None:
    for chunksize in (1, 2, 7, 30, 100):
        assert list(executor.map(identity, range(30), chunksize=chunksize)) == list(range(30))
    assert list(executor.map(pow, [2, 3, 4], [3, 2])) == [8, 9], "the shortest ends it"
    assert list(executor.map(identity, [])) == []
    with pytest.raises(ValueError):
        executor.map(identity, [1], chunksize=0)


@pytest.mark.parametrize("chunksize", [1, 4])
def test_map_raises_at_the_item_that_failed(executor: SandboxPoolExecutor, chunksize: int) -> None:
    results = executor.map(lambda n: 1 // (n - 2), range(8), chunksize=chunksize)
    assert [next(results), next(results)] == [-1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_map_times_out(executor: SandboxPoolExecutor) -> None:
    results = executor.map(one_or_nap, [1, 0], timeout=1)
    assert next(results) == 1
    with pytest.raises(concurrent.futures.TimeoutError):
        next(results)


def test_map_with_a_buffer_reads_no_more_than_that_ahead(executor: SandboxPoolExecutor) -> None:
    read = 0

    def endless() -> Any:
        nonlocal read
        while True:
            read += 1
            yield read

    results = executor.map(identity, endless(), buffersize=4)
    assert [next(results) for _ in range(10)] == list(range(1, 11))
    assert read <= 14
    results.close()  # type: ignore[attr-defined]
    with pytest.raises(ValueError):
        executor.map(identity, [1], buffersize=0)


# Shutdown.


def test_use_after_shutdown() -> None:
    executor = SandboxPoolExecutor(1)
    future = executor.submit(time.sleep, 0.05)
    executor.shutdown()
    assert future.done()
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        executor.submit(identity, 1)
    with pytest.raises(RuntimeError):
        executor.map(identity, [1])


def test_shutdown_without_waiting_lets_calls_end() -> None:
    executor = SandboxPoolExecutor(1)
    futures = [executor.submit(time.sleep, 0.01) for _ in range(3)]
    executor.shutdown(wait=False)
    assert [future.result(timeout=PATIENCE) for future in futures] == [None] * 3


def test_shutdown_can_cancel_what_has_not_started() -> None:
    executor = SandboxPoolExecutor(1)
    running = executor.submit(time.sleep, 0.2)
    until(running.running)
    queued = [executor.submit(identity, n) for n in range(5)]
    executor.shutdown(cancel_futures=True)
    assert running.result() is None
    assert all(future.cancelled() for future in queued)


def test_terminate_stops_what_runs() -> None:
    executor = SandboxPoolExecutor(1)
    futures = [executor.submit(spin) for _ in range(3)]
    executor.terminate()
    assert all(future.cancelled() for future in futures)


def test_an_executor_that_nobody_holds_ends_after_its_calls() -> None:
    executor = SandboxPoolExecutor(1)
    future = executor.submit(time.sleep, 0.05)
    delivery = weakref.ref(executor._delivery)
    del executor
    gc.collect()
    assert future.result(timeout=PATIENCE) is None
    del future

    def is_gone() -> bool:
        gc.collect()
        return delivery() is None

    until(is_gone)


def test_settings_are_checked() -> None:
    for settings in ({"max_workers": 0}, {"max_tasks_per_child": 0}, {"memory_limit": "64 apples"}):
        with pytest.raises(ValueError):
            SandboxPoolExecutor(**settings)
    with pytest.raises(TypeError):
        SandboxPoolExecutor(initializer=5)  # type: ignore[arg-type]


# Interpreters.

_log: list[str] = []


def remember(text: str) -> None:
    _log.append(text)


def recall() -> list[str]:
    return _log


def count() -> int:
    _log.append("")
    return len(_log)


@pytest.mark.parametrize("isolation", ["task", "worker"])
def test_the_initializer_runs_once_in_each_interpreter(isolation: Any) -> None:
    with SandboxPoolExecutor(
        1, isolation=isolation, initializer=remember, initargs=("ready",)
    ) as executor:
        for _ in range(3):
            assert executor.submit(identity, 1).result() == 1
        assert executor.submit(identity, 2).result() == 2


def test_a_failing_initializer_fails_calls_and_breaks_nothing() -> None:
    with SandboxPoolExecutor(1, initializer=fail, initargs=("no",)) as executor:
        for _ in range(3):
            with pytest.raises(InitializerFailed, match="no") as caught:
                executor.submit(identity, 1).result()
            assert isinstance(caught.value.__cause__, ValueError)


def test_max_tasks_per_child_is_exact() -> None:
    with SandboxPoolExecutor(1, isolation="worker", max_tasks_per_child=3) as executor:
        assert [executor.submit(count).result() for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]


def test_random_numbers_differ_from_interpreter_to_interpreter(
    executor: SandboxPoolExecutor,
) -> None:
    import random

    assert len({executor.submit(random.random).result() for _ in range(5)}) == 5


def test_a_forked_child_is_told_to_make_its_own(executor: SandboxPoolExecutor) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            executor.submit(identity, 1)
        except RuntimeError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as pipe:
        assert "belongs to the process that was forked" in pipe.read()
