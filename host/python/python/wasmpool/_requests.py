"""The requests that the guest's `runner.py` serves, as bytes.

What is the same for many calls is encoded once, as a head.
"""

from __future__ import annotations

import struct
from typing import Any

from . import _closure
from ._values import Encoder

LIMIT = 1 << 31
"""Bytes of a request. The pool has a limit of its own, on the payload."""


def head_of(
    functions: list[str],
    initializer: tuple[bytes, bytes, bytes, bytes] | None,
    program: _closure.Program,
) -> bytes:
    """What the calls of one function have in common."""
    return _joined(functions, initializer, program.digest, program.statements)


def call_request(head: bytes, request: _closure.Request, result_limit: int) -> bytes:
    """One call. `result_limit` is in bytes."""
    return b"".join((_TUPLE_OF_8, _CALL, head, _joined(request.more, request.call, result_limit)))


def chunk_request(head: bytes, request: _closure.Request, result_limit: int) -> bytes:
    """Several calls in one interpreter; `result_limit` is for each result, or for all together."""
    return b"".join((_TUPLE_OF_8, _CHUNK, head, _joined(request.more, request.call, result_limit)))


def script_request(
    functions: list[str],
    source: str,
    inputs: bytes,
    outputs: list[str],
    keep: bool,
    result_limit: int,
) -> bytes:
    """A run of source text; with `keep` in the names that the runs before have left."""
    return _encoded(("script", functions, source, inputs, outputs, keep, result_limit))


def initializer_of(function: Any, args: tuple[Any, ...]) -> tuple[bytes, bytes, bytes, bytes]:
    """A call that goes along with others, for interpreters that are new."""
    program = _closure.program_of(function)
    request = _closure.request_of(program, (function, args, {}))
    return program.digest, program.statements, request.more, request.call


def _encoded(value: object) -> bytes:
    return Encoder(_no_number, LIMIT).encode(value)


def _joined(*values: object) -> bytes:
    return b"".join(map(_encoded, values))


def _no_number(_thing: object) -> None:
    return None


_TUPLE_OF_8 = b"t" + struct.pack("<I", 8)
_CALL, _CHUNK = _encoded("call"), _encoded("chunk")
