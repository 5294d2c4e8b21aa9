"""`Pool`: modules of any language, with the futures of the standard library.

Arguments and results are those of the library's JSON form: records are dictionaries.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import itertools
import json
import math
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._delivery import Delivery, Pending
from ._future import SandboxFuture
from ._options import Dirs, Isolation, Options, Size, addresses, size
from ._outcomes import Outcome
from ._wasmpool import LoadedModule, ModulePool, Rights
from ._wasmpool import ModuleTask as NativeTask

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclasses.dataclass(frozen=True)
class TaskInfo:
    """A task as its module describes it."""

    name: str
    params: list[str]
    doc: str
    signature: str | None
    """Its types, if it is an exported function."""


@dataclasses.dataclass(frozen=True)
class Completed:
    """A program that has exited."""

    returncode: int
    stdout: bytes
    stderr: bytes


class Pool:
    """A pool of sandboxes for WebAssembly modules.

    The limits are those of `SandboxPoolExecutor`, and the memory limit is that of the library, 256 MiB.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        timeout: float | None = None,
        memory_limit: Size | None = None,
        isolation: Isolation = "task",
        output_limit: Size = "64KiB",
        payload_limit: Size = "128MiB",
        max_suspended: int = 32,
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        limit = None if memory_limit is None else size(memory_limit)
        self._options = Options(timeout=timeout, memory_limit=limit, isolation=isolation)
        self._native = ModulePool(
            workers=max_workers,
            warm=isolation == "worker",
            output_limit=size(output_limit),
            payload_limit=size(payload_limit),
            max_suspended=max_suspended,
        )
        self._delivery = Delivery(self._native)
        weakref.finalize(self, self._delivery.close).atexit = False

    def load(
        self,
        path: str | os.PathLike[str],
        *,
        dirs: Dirs | None = None,
        env: Mapping[str, str] | None = None,
        allow_net: Iterable[str] = (),
    ) -> Module:
        """Loads a module: a component, or a program for WASI. Blocks while it is compiled, some
        seconds for each ten megabytes, unless an earlier process has done that.

        Raises `ValueError` if it is no module that this pool can run.
        """
        rights = Options(dirs=dirs or {}, env=env or {}, allow_net=addresses(allow_net)).rights()
        return Module(self, self._native.load(os.fspath(path), Rights(*rights)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As `SandboxPoolExecutor.shutdown`."""
        self._delivery.close()
        if cancel_futures:
            self._delivery.cancel_queued()
        if wait:
            self._delivery.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()


class Module:
    """A module that a pool has loaded."""

    def __init__(self, pool: Pool, native: LoadedModule) -> None:
        self._pool = pool
        self._native = native

    @property
    def tasks(self) -> list[TaskInfo]:
        """Its tasks and its exported functions."""
        return [TaskInfo(*parts) for parts in self._native.tasks()]

    def task(
        self,
        name: str,
        *,
        timeout: float | None = None,
        memory_limit: Size | None = None,
        returns: Callable[..., Any] | None = None,
    ) -> ModuleTask:
        """A task by its name, which may be short, with limits of its own.

        `returns` makes the result out of its JSON form: a dataclass for a record, or any function.
        Raises `KeyError` if there is no such task.
        """
        options = self._pool._options
        limit = options.memory_limit if memory_limit is None else size(memory_limit)
        native = self._native.task(
            name,
            timeout=options.timeout if timeout is None else timeout,
            compute_timeout=None,
            queue_timeout=None,
            memory_limit=limit,
        )
        return ModuleTask(self._pool, native, returns)

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        memory_limit: Size | None = None,
    ) -> SandboxFuture[Completed]:
        """Runs the module's program. Does not wait for it. An exit code other than 0 is no error.

        Raises `ValueError` if the module is no program.
        """
        pool, options = self._pool, self._pool._options
        future: SandboxFuture[Completed] = SandboxFuture()
        start = partial(
            pool._native.run,
            args=list(args),
            env=list((env or {}).items()),
            stdin=stdin,
            timeout=options.timeout if timeout is None else timeout,
            memory_limit=options.memory_limit if memory_limit is None else size(memory_limit),
        )
        pool._delivery.submit(Pending(future, _completed), lambda ticket: start(self._native, ticket))
        return future


class ModuleTask:
    """A task of a module."""

    def __init__(self, pool: Pool, native: NativeTask, returns: Callable[..., Any] | None) -> None:
        self._pool = pool
        self._native = native
        self._returns = returns

    def __call__(self, *args: Any) -> Any:
        """Calls it, and blocks until the call has ended."""
        future = self.submit(*args)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def submit(self, *args: Any) -> SandboxFuture[Any]:
        """Submits a call. Does not wait for it. Raises `TypeError` if the arguments do not fit."""
        text = json.dumps([_json_form(arg) for arg in args])
        future: SandboxFuture[Any] = SandboxFuture()
        native = self._pool._native
        self._pool._delivery.submit(
            Pending(future, self._outcome), lambda ticket: native.submit(self._native, ticket, text)
        )
        return future

    def map(
        self,
        *iterables: Iterable[Any],
        timeout: float | None = None,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """As `SandboxPoolExecutor.map`, without chunks."""
        end = None if timeout is None else time.monotonic() + timeout
        arguments = zip(*iterables, strict=False)
        futures = deque(self.submit(*args) for args in itertools.islice(arguments, buffersize))
        return _results(futures, (self.submit(*args) for args in arguments), end)

    def _outcome(self, answer: bytes) -> Outcome:
        try:
            value = json.loads(answer)
            return Outcome(value if self._returns is None else _made(self._returns, value))
        except Exception as error:
            return Outcome(error=error)


def _results(
    futures: deque[SandboxFuture[Any]], following: Iterator[SandboxFuture[Any]], end: float | None
) -> Iterator[Any]:
    try:
        while futures:
            remaining = None if end is None else max(0.0, end - time.monotonic())
            result = futures[0].result(remaining)
            futures.popleft()
            futures.extend(itertools.islice(following, 1))
            yield result
    finally:
        for future in futures:
            future.cancel()


def _made(returns: Callable[..., Any], value: Any) -> Any:
    if dataclasses.is_dataclass(returns) and isinstance(value, dict):
        return returns(**{name.replace("-", "_"): part for name, part in value.items()})
    return returns(value)


def _json_form(value: Any) -> Any:
    """The JSON form of a Python value, as the library's `json_form` has it."""
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _NOT_FINITE[str(value)]
    if isinstance(value, bytes | bytearray):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): _json_form(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json_form(part) for part in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: _json_form(getattr(value, field.name)) for field in fields}
    raise TypeError(f"a `{type(value).__name__}` has no JSON form")


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _completed(answer: bytes) -> Outcome:
    code = int.from_bytes(answer[:8], "little", signed=True)
    end = 16 + int.from_bytes(answer[8:16], "little")
    return Outcome(Completed(code, answer[16:end], answer[end:]))
