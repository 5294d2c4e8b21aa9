"""Source text that is run as it is, for its output, its last expression and its names."""

from __future__ import annotations

import ast
import itertools
from typing import Any

import programs

_kept: dict[str, Any] = {}
_serial = itertools.count(1)


def names(keep: bool) -> dict[str, Any]:
    """The global names of a script: those of the session, or new ones."""
    fresh = vars(programs.namespace("__main__"))
    fresh.setdefault("__builtins__", __builtins__)
    if not keep:
        return dict(fresh, __name__="__main__")
    _kept.setdefault("__name__", "__main__")
    return _kept


def execute(source: str, names: dict[str, Any]) -> Any:
    """Runs the source. Returns the value of its last statement, if that is an expression."""
    file = f"<script-{next(_serial)}>"
    programs._remember(file, 1, source)
    module = compile(source, file, "exec", ast.PyCF_ONLY_AST, True)
    last = None
    if module.body and isinstance(module.body[-1], ast.Expr):
        last = ast.Expression(module.body.pop().value)
    exec(compile(module, file, "exec", 0, True), names)
    if last is None:
        return None
    return eval(compile(last, file, "eval", 0, True), names)
