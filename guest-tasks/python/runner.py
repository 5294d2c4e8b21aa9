"""Serves requests: calls of the caller's functions, and scripts."""

from __future__ import annotations

import builtins
import os
import random
import sys
import traceback
from typing import Any

import programs
import scripts
from _values import Decoder, Encoder, RemoteError, Unencodable
from componentize_py_types import Err
from programs import Program
from wit_world.imports import host

MAX_TRACEBACK = 32 << 10
"""Characters of a traceback that are kept."""

MAX_PROGRAMS = 64
"""How many programs a warm interpreter keeps."""

_programs: dict[bytes, Program] = {}
_initialized: set[bytes] = set()
_is_new = True


def run(request: bytes) -> bytes:
    """Serves one request.

    The answer is a list of outcomes, each encoded by itself: 1 and a value, or 0 and a kind, an
    exception and a traceback; or 2 and the values of all calls of a chunk.
    """
    global _is_new
    if _is_new:
        # The snapshot's random numbers would be the same in each interpreter.
        random.seed(int.from_bytes(os.urandom(32)))
        _is_new = False
    kind, *operands = Decoder(request, {}, whole=True).decode()
    limit = operands.pop()
    try:
        outcomes = _KINDS[kind](limit, *operands)
    finally:
        _flush()
    return Encoder(_no_number, limit * 2).encode(outcomes)


Initializer = tuple[bytes, bytes, bytes, bytes]


def call(
    limit: int,
    functions: list[str],
    initializer: Initializer | None,
    digest: bytes,
    statements: bytes,
    more: bytes,
    encoded: bytes,
) -> list[bytes]:
    """Calls a function once."""
    program = Program()
    try:
        _prepare(functions, initializer)
        program = _program(digest, statements, more)
        function, args, keywords = program.value(encoded)
        return [_success(function(*args, **keywords), program, limit)]
    except BaseException as error:
        return [_failure(error, program, limit)]


def chunk(
    limit: int,
    functions: list[str],
    initializer: Initializer | None,
    digest: bytes,
    statements: bytes,
    more: bytes,
    encoded: bytes,
) -> list[bytes]:
    """Calls a function with each of several arguments, which come as columns.

    Gives an outcome for each; or where all are good, one for all of them, which costs less.
    """
    program = Program()
    try:
        _prepare(functions, initializer)
        program = _program(digest, statements, more)
        function, columns = program.value(encoded)
    except BaseException as error:
        # Who reads it knows how many calls there were.
        return [_failure(error, program, limit)]
    results: list[Any] = []
    failures: dict[int, bytes] = {}
    for args in zip(*columns, strict=True):
        try:
            results.append(function(*args))
        except BaseException as error:
            failures[len(results)] = _failure(error, program, limit)
            results.append(None)
    if not failures:
        try:
            return [b"\x02" + Encoder(program.number_of, limit).encode(results)]
        except Unencodable:
            pass
    outcomes = (
        failures.get(index) or _success(result, program, limit) for index, result in enumerate(results)
    )
    return list(outcomes)


class InitializerFailed(Exception):
    """The initializer has raised the cause of this exception."""


def _prepare(functions: list[str], initializer: Initializer | None) -> None:
    offer(functions)
    if initializer is None or initializer[0] in _initialized:
        return
    digest, statements, more, encoded = initializer
    try:
        function, args, keywords = _program(digest, statements, more).value(encoded)
        function(*args, **keywords)
    except BaseException as error:
        raise InitializerFailed from error
    _initialized.add(digest)


def script(
    limit: int, functions: list[str], source: str, inputs: bytes, outputs: list[str], keep: bool
) -> list[bytes]:
    """Runs source text, in names that a session keeps."""
    offer(functions)
    try:
        names = scripts.names(keep)
        names.update(Decoder(inputs, {}, whole=True).decode())
        value = scripts.execute(source, names)
        picked = {name: names[name] for name in outputs if name in names}
        return [_success((value, picked), Program(), limit)]
    except BaseException as error:
        return [_failure(error, Program(), limit)]


_KINDS = {"call": call, "chunk": chunk, "script": script}


def _program(digest: bytes, statements: bytes, more: bytes) -> Program:
    program = _programs.get(digest)
    if program is None:
        program = Program()
        program.extend(program.value(statements))
        if len(_programs) >= MAX_PROGRAMS:
            _programs.pop(next(iter(_programs)))
        _programs[digest] = program
    if more:
        program.extend(program.value(more))
    return program


def offer(functions: list[str]) -> None:
    """Makes functions of the host known by their names, wherever code looks for them."""
    for name in functions:
        if not isinstance(vars(builtins).get(name), HostFunction):
            setattr(builtins, name, HostFunction(name))


class HostFunction:
    """A function of the program around the sandbox."""

    def __init__(self, name: str) -> None:
        self.__name__ = self.__qualname__ = name

    def __call__(self, *args: object, **keywords: object) -> object:
        try:
            arguments = Encoder(_no_number, 1 << 30).encode((args, keywords))
        except Unencodable as error:
            raise TypeError(f"an argument of `{self.__name__}` cannot travel: {error}") from None
        try:
            result = host.call(self.__name__, arguments)
        except Err as error:
            raised = Decoder(error.value, {}, whole=True).decode()
            raise raised from None
        return Decoder(result, {}, whole=True).decode()

    def __repr__(self) -> str:
        return f"<function {self.__name__} of the host>"


def _no_number(_thing: object) -> None:
    return None


def _success(value: object, program: Program, limit: int) -> bytes:
    encoder = Encoder(program.number_of, limit)
    try:
        return b"\x01" + encoder.encode(value)
    except Unencodable as error:
        return _failure(TypeError(str(error)), program, limit, kind="result")


def _failure(error: BaseException, program: Program, limit: int, kind: str = "raised") -> bytes:
    if isinstance(error, InitializerFailed) and error.__cause__ is not None:
        error, kind, program = error.__cause__, "initializer", Program()
    text = "" if kind == "result" else _traceback(error)
    encoder = Encoder(program.number_of, limit)
    if isinstance(error, SystemExit):
        kind = "exited"
    elif not isinstance(error, Exception):
        error = RemoteError(*error.args).with_name(type(error).__name__)
    try:
        return b"\x00" + encoder.encode((kind, error, text))
    except Unencodable:
        short = RuntimeError(f"{type(error).__name__}, which is too large to be returned")
        return b"\x00" + encoder.encode((kind, short, text[-1000:]))


def _traceback(error: BaseException) -> str:
    programs.show_sources()
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in _OWN_FILES:
        trace = trace.tb_next
    try:
        lines = traceback.format_exception(type(error), error, trace)
        text = "".join(lines)
    except BaseException as problem:
        text = f"{type(error).__name__} (its traceback cannot be shown: {type(problem).__name__})"
    if len(text) > MAX_TRACEBACK:
        half = MAX_TRACEBACK // 2
        text = f"{text[:half]}\n  ...\n{text[-half:]}"
    return text


_OWN_FILES = {__file__, programs.__file__, scripts.__file__}


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            os.write(2, b"the output of this call is incomplete\n")
