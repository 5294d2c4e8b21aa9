"""`SandboxPoolExecutor`: an executor whose calls run in sandboxes."""

from __future__ import annotations

import concurrent.futures
import itertools
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from . import _closure
from ._delivery import Delivery, Pending
from ._future import SandboxFuture
from ._guest import make_engine
from ._host_functions import HostFunctions
from ._options import (
    Dirs,
    Functions,
    Isolation,
    OptionArguments,
    Options,
    Size,
    addresses,
    size,
)
from ._outcomes import Outcome, outcome_of_call, outcome_of_chunk
from ._requests import call_request, chunk_request, head_of, initializer_of
from ._scripts import RunResult, Scripts, Session
from ._wasmpool import Engine, Rights, TaskReference

if TYPE_CHECKING:
    from typing_extensions import Unpack

P = ParamSpec("P")
T = TypeVar("T")


class SandboxPoolExecutor(concurrent.futures.Executor):
    """Runs functions in sandboxes: Python interpreters in WebAssembly, on threads of this process.

    A `concurrent.futures.Executor`, whose futures can also cancel running calls. Functions travel as
    source, with what they refer to; results are data.

    >>> with SandboxPoolExecutor(2, timeout=60) as executor:
    ...     futures = [executor.submit(pow, 2, n) for n in range(4)]
    ...     [future.result() for future in futures]
    ...     list(executor.map(str.upper, ["a", "b"]))
    ...     executor.run("n + 1", n=4).value
    [1, 2, 4, 8]
    ['A', 'B']
    5
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        timeout: float | None = None,
        compute_timeout: float | None = None,
        queue_timeout: float | None = None,
        memory_limit: Size | None = None,
        isolation: Isolation = "task",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        max_tasks_per_child: int | None = None,
        dirs: Dirs | None = None,
        env: Mapping[str, str] | None = None,
        allow_net: Iterable[str] = (),
        functions: Functions | None = None,
        function_call_limit: int = 10_000,
        output_limit: Size = "64KiB",
        result_limit: Size = "64MiB",
        max_suspended: int = 32,
        max_sessions: int = 16,
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        if max_tasks_per_child is not None and max_tasks_per_child <= 0:
            raise ValueError("max_tasks_per_child must be >= 1")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        options = Options(
            timeout=timeout,
            compute_timeout=compute_timeout,
            queue_timeout=queue_timeout,
            memory_limit=None if memory_limit is None else size(memory_limit),
            isolation=isolation,
            dirs=dict(dirs or {}),
            env=dict(env or {}),
            allow_net=addresses(allow_net),
            functions=dict(functions or {}),
        )
        self._result_limit = size(result_limit)
        self._initializer = None
        if initializer is not None:
            self._initializer = initializer_of(initializer, initargs)
        engine = make_engine(
            workers=max_workers,
            warm=isolation == "worker",
            max_tasks=max_tasks_per_child,
            output_limit=size(output_limit),
            payload_limit=2 * self._result_limit + (32 << 20),
            max_suspended=max_suspended,
            max_sessions=max_sessions,
            rights=Rights(*options.rights()),
        )
        self._max_workers = engine.workers
        self._delivery = Delivery(engine, HostFunctions(engine, function_call_limit))
        self._calls = Calls(
            engine, self._delivery, options, options, self._result_limit, self._initializer
        )
        # An executor that nobody holds any more ends after its last call.
        weakref.finalize(self, self._delivery.close).atexit = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> SandboxFuture[T]:
        """Submits a call. Does not wait for it.

        Raises `NotPortable`, a `TypeError`, if the function or an argument cannot go into a sandbox,
        and `RuntimeError` after a shutdown.
        """
        return self._calls.submit(fn, *args, **kwargs)

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """The results of calls with the items of `iterables`, in order.

        `chunksize` calls go to one interpreter together, one after the other. With a `buffersize` the
        iterables are read as results are taken, so many calls ahead; otherwise at once. `timeout` is
        in seconds from this call, for the next result (`TimeoutError`). A call that fails raises its
        exception when its result is taken. What was not taken is cancelled when the iterator is closed.
        """
        return self._calls.map(
            fn, *iterables, timeout=timeout, chunksize=chunksize, buffersize=buffersize
        )

    def options(self, **options: Unpack[OptionArguments]) -> Calls:
        """The same executor with other limits and rights for some calls:
        `executor.options(timeout=1).submit(...)`. Keep it where it is used often.

        Rights that are given replace those of the executor. Calls with rights of their own run in fresh
        interpreters.
        """
        return self._calls.options(**options)

    def run(self, source: str, /, *, outputs: Iterable[str] = (), **inputs: Any) -> RunResult:
        """Runs source text in a fresh interpreter, with `inputs` as its names. Blocks until it ends.

        What the code does is in the result, also its error. `outputs` are names whose values the
        result has. Raises `NotPortable` if an input is no data.
        """
        return self._calls.run(source, outputs=outputs, **inputs)

    def session(self, **options: Unpack[OptionArguments]) -> Session:
        """An interpreter that keeps its names between runs, with these options for each of them.

        Rights are those of the executor. Raises `RuntimeError` if there are `max_sessions` of them.
        """
        return self._calls.options(**options).session()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accepts no more calls.

        Blocks until those that were accepted have ended, unless `wait` is false or it is called by a
        callback of a future. With `cancel_futures` calls that have not started are cancelled.
        """
        self._delivery.close()
        if cancel_futures:
            self._delivery.cancel_queued()
        if wait:
            self._delivery.join()

    def terminate(self) -> None:
        """Cancels all calls, also running ones, and shuts down. Blocks for milliseconds."""
        self._delivery.close()
        self._delivery.cancel_all()
        self._delivery.join()


class Calls:
    """Submits calls with certain options. Made by `SandboxPoolExecutor.options`."""

    def __init__(
        self,
        engine: Engine,
        delivery: Delivery,
        options: Options,
        of_executor: Options,
        result_limit: int,
        initializer: tuple[bytes, bytes, bytes, bytes] | None,
    ) -> None:
        self._engine = engine
        self._delivery = delivery
        self._options = options
        self._of_executor = of_executor
        self._result_limit = result_limit
        self._initializer = initializer
        self._provided = frozenset(options.functions)
        self._task = self._reference(1)
        self._heads: dict[bytes, bytes] = {}

    def _reference(self, chunksize: int) -> TaskReference:
        """The native half's form of the options. A chunk has the time of its calls together."""
        options = self._options

        def of_chunk(seconds: float | None) -> float | None:
            return None if seconds is None else seconds * chunksize

        rights = Rights(*options.rights()) if self._has_own_rights() else None
        return self._engine.task(
            timeout=of_chunk(options.timeout),
            compute_timeout=of_chunk(options.compute_timeout),
            queue_timeout=options.queue_timeout,
            memory_limit=options.memory_limit,
            fresh=options.isolation == "task",
            rights=rights,
        )

    def options(self, **options: Unpack[OptionArguments]) -> Calls:
        """As `SandboxPoolExecutor.options`, from these options on."""
        return Calls(
            self._engine,
            self._delivery,
            self._options.but(options),
            self._of_executor,
            self._result_limit,
            self._initializer,
        )

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> SandboxFuture[T]:
        """As `SandboxPoolExecutor.submit`."""
        return self.submit_program(_closure.program_of(fn, self._provided), fn, args, kwargs)

    def submit_program(
        self,
        program: _closure.Program,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> SandboxFuture[T]:
        """Submits a call of a function whose program is known."""
        request = _closure.request_of(program, (fn, args, kwargs), self._provided)
        encoded = call_request(self._head(program), request, self._result_limit)
        future: SandboxFuture[T] = SandboxFuture()
        pending = self._pending(future, partial(outcome_of_call, classes=request.classes))
        self._start(pending, self._task, encoded)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """As `SandboxPoolExecutor.map`."""
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        end = None if timeout is None else time.monotonic() + timeout
        program = _closure.program_of(fn, self._provided)
        head = self._head(program)
        task = self._task if chunksize == 1 else self._reference(chunksize)
        arguments = zip(*iterables, strict=False)

        def submit_next() -> SandboxFuture[list[Outcome]] | None:
            chunk = list(itertools.islice(arguments, chunksize))
            if not chunk:
                return None
            columns = [list(column) for column in zip(*chunk, strict=True)]
            request = _closure.request_of(program, (fn, columns), self._provided)
            future: SandboxFuture[list[Outcome]] = SandboxFuture()
            read = partial(outcome_of_chunk, classes=request.classes, n_in_chunk=len(chunk))
            pending = self._pending(future, read)
            self._start(pending, task, chunk_request(head, request, self._result_limit))
            return future

        # A chunk is in the buffer until its last result is taken.
        n_ahead = None if buffersize is None else -(-buffersize // chunksize)
        futures: deque[SandboxFuture[list[Outcome]]] = deque()
        try:
            for future in itertools.islice(iter(submit_next, None), n_ahead):
                assert future is not None
                futures.append(future)
        except BaseException:
            _cancel(futures)
            raise
        return _results(futures, submit_next, end)

    def run(self, source: str, /, *, outputs: Iterable[str] = (), **inputs: Any) -> RunResult:
        """As `SandboxPoolExecutor.run`."""
        scripts = Scripts(self._engine, self._delivery, self._options, self._task, self._result_limit)
        return scripts.run(source, outputs, inputs)

    def session(self) -> Session:
        """As `SandboxPoolExecutor.session`, with these options."""
        if self._has_own_rights():
            raise ValueError("a session has the rights of its executor: grant them there")
        return Session(self._engine, self._delivery, self._options, self._task, self._result_limit)

    def _has_own_rights(self) -> bool:
        return self._options.rights() != self._of_executor.rights()

    def _head(self, program: _closure.Program) -> bytes:
        head = self._heads.get(program.digest)
        if head is None:
            functions = list(self._options.functions)
            head = head_of(functions, self._initializer, program)
            if len(self._heads) >= 64:
                self._heads.clear()
            self._heads[program.digest] = head
        return head

    def _pending(self, future: SandboxFuture[Any], read: Callable[[bytes], Outcome]) -> Pending:
        return Pending(future, read, self._options.functions)

    def _start(self, pending: Pending, task: TaskReference, request: bytes) -> None:
        engine, is_tagged = self._engine, bool(pending.functions)
        self._delivery.submit(pending, lambda ticket: engine.submit(task, ticket, request, is_tagged))


def _results(
    futures: deque[SandboxFuture[list[Outcome]]],
    submit_next: Callable[[], SandboxFuture[list[Outcome]] | None],
    end: float | None,
) -> Iterator[Any]:
    try:
        while futures:
            remaining = None if end is None else max(0.0, end - time.monotonic())
            outcomes = futures[0].result(remaining)
            futures.popleft()
            following = submit_next()
            if following is not None:
                futures.append(following)
            # Taken from the end, so that a result is not held after it was taken.
            outcomes.reverse()
            while outcomes:
                yield outcomes.pop().result()
    finally:
        _cancel(futures)


def _cancel(futures: Iterable[SandboxFuture[Any]]) -> None:
    for future in futures:
        future.cancel()
