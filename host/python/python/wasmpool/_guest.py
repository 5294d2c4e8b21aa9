"""The interpreter that the package carries, and pools of it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ._wasmpool import Engine

_FOLDER = Path(__file__).parent / "guest"

logger = logging.getLogger("wasmpool")


def make_engine(**settings: Any) -> Engine:
    """A pool of interpreters. Takes some ten milliseconds.

    The code that came with the package is used if it fits this machine. Otherwise the interpreter is
    compiled, once for each user and machine, which takes some ten seconds; a warning says so.
    """
    code = _FOLDER / "python.cwasm"
    engine = Engine(guest=_FOLDER / "python.wasm", code=code if code.exists() else None, **settings)
    if engine.notice is not None:
        logger.warning("the sandbox's Python was compiled for this machine: %s", engine.notice)
    return engine
