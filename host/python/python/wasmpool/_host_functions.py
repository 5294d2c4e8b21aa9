"""Functions of this program that sandboxed code calls."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._values import Decoder, Encoder, Malformed, Unencodable
from ._wasmpool import Engine, HostCallRequest

if TYPE_CHECKING:
    from ._delivery import Pending

N_THREADS = 8
"""How many of the functions run at once, beside `async` ones."""

MAX_RESULT = 64 << 20
"""Bytes of what a function returns."""


class HostFunctions:
    """The threads that run functions for the sandboxes of one executor.

    They start with the first call that has functions.
    """

    def __init__(self, engine: Engine, call_limit: int) -> None:
        self._engine = engine
        self._call_limit = call_limit
        self._lock = threading.Lock()
        self._is_stopping = False
        self._dispatcher: threading.Thread | None = None
        self._threads: concurrent.futures.ThreadPoolExecutor | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, find: Callable[[int], Pending | None]) -> None:
        """Starts the threads, once. `find` gives the call of a ticket."""
        with self._lock:
            if self._dispatcher is not None:
                return
            self._find = find
            self._threads = concurrent.futures.ThreadPoolExecutor(N_THREADS, "wasmpool-function")
            self._dispatcher = threading.Thread(
                target=self._dispatch, name="wasmpool-functions", daemon=True
            )
            self._dispatcher.start()

    def stop(self) -> None:
        """Ends the threads. No sandbox runs any more."""
        self._is_stopping = True
        if self._threads is not None:
            self._threads.shutdown(wait=False)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _dispatch(self) -> None:
        assert self._threads is not None
        while not self._is_stopping:
            request = self._engine.host_call(0.2)
            if request is not None:
                try:
                    self._threads.submit(self._serve, request)
                except RuntimeError:
                    # The threads have ended, and the sandbox with them.
                    return

    def _serve(self, request: HostCallRequest) -> None:
        if request.is_stopping:
            return
        try:
            function, args, keywords = self._call_of(request)
            result = function(*args, **keywords)
        except Exception as error:
            return _raise_in_sandbox(request, error)
        if not inspect.isawaitable(result):
            return _return_to_sandbox(request, result)

        async def finish() -> None:
            try:
                value = await result
            except Exception as error:
                _raise_in_sandbox(request, error)
            else:
                _return_to_sandbox(request, value)

        asyncio.run_coroutine_threadsafe(finish(), self._event_loop())

    def _call_of(
        self, request: HostCallRequest
    ) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
        pending = self._find(request.ticket)
        function = None if pending is None else pending.functions.get(request.name)
        if pending is None or function is None:
            raise NameError(f"the host has no function `{request.name}`")
        pending.n_function_calls += 1
        if pending.n_function_calls > self._call_limit:
            raise RuntimeError(f"more than {self._call_limit} calls of functions of the host")
        try:
            args, keywords = Decoder(request.arguments, {}).decode()
        except (Malformed, TypeError, ValueError) as error:
            raise TypeError(f"the arguments of `{request.name}` cannot be read: {error}") from None
        if type(args) is not tuple or type(keywords) is not dict:
            raise TypeError(f"the arguments of `{request.name}` cannot be read")
        return function, args, keywords

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                name = "wasmpool-async-functions"
                args = (self._loop,)
                threading.Thread(target=_run_loop, args=args, name=name, daemon=True).start()
            return self._loop


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        # Functions whose sandboxes were stopped meanwhile.
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def _return_to_sandbox(request: HostCallRequest, result: object) -> None:
    try:
        encoded = Encoder(_no_number, MAX_RESULT).encode(result)
    except Unencodable as error:
        problem = TypeError(f"the result of `{request.name}` cannot go into the sandbox: {error}")
        return _raise_in_sandbox(request, problem)
    request.reply(True, encoded)


def _raise_in_sandbox(request: HostCallRequest, error: Exception) -> None:
    try:
        encoded = Encoder(_no_number, MAX_RESULT).encode(error)
    except Unencodable:
        encoded = Encoder(_no_number, MAX_RESULT).encode(RuntimeError(type(error).__name__))
    request.reply(False, encoded)


def _no_number(_thing: object) -> None:
    return None
