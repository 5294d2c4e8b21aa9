"""Programs: functions, classes and constants of the caller, rebuilt from their source.

A program is a list of statements that the host's `_closure.py` has collected. Each gives an object
its number or a module one of its names.
"""

from __future__ import annotations
import __future__

import ast
import collections
import functools
import importlib
import linecache
import sys
import types
from typing import Any

from _values import Decoder

FUTURES = functools.reduce(
    lambda flags, name: flags | getattr(__future__, name).compiler_flag,
    __future__.all_feature_names,
    0,
)

sources: dict[str, list[str]] = {}
"""The lines that are known of the caller's files, for tracebacks."""


class Program:
    """The objects of a program by their numbers."""

    def __init__(self) -> None:
        self.objects: dict[int, Any] = {}
        self.numbers: dict[int, int] = {}

    def extend(self, statements: list[tuple[Any, ...]]) -> None:
        for kind, *operands in statements:
            _STATEMENTS[kind](self, *operands)

    def number_of(self, thing: object) -> int | None:
        """The number of a class that the caller knows."""
        return self.numbers.get(id(thing))

    def value(self, encoded: bytes) -> Any:
        return Decoder(encoded, self.objects, whole=True).decode()

    def define(self, number: int, thing: object) -> None:
        self.objects[number] = thing
        self.numbers[id(thing)] = number

    def import_module(self, number: int, name: str) -> None:
        self.define(number, importlib.import_module(name))

    def import_name(self, number: int, module: str, path: str) -> None:
        thing = importlib.import_module(module)
        for name in path.split("."):
            thing = getattr(thing, name)
        self.define(number, thing)

    def make_module(self, number: int, name: str) -> None:
        self.define(number, namespace(name))

    def execute(
        self,
        number: int,
        module: str,
        name: str,
        source: str,
        file: str,
        line: int,
        flags: int,
        free: tuple[str, ...],
        is_bound: bool,
    ) -> None:
        """Runs the source of a function or class, as the caller's module did."""
        names = vars(namespace(module))
        _remember(file, line, source)
        flags = flags & FUTURES
        if free or name == "<lambda>":
            # Its free variables are those of a function around it, which is called once.
            around = _around(source, name, line, free)
            code = compile(around, file, "exec", flags, True)
            exec(code, names)
            self.define(number, names.pop("__around__")(*[None] * len(free)))
            return
        hidden = names.get(name, _ABSENT)
        exec(compile("\n" * (line - 1) + source, file, "exec", flags, True), names)
        self.define(number, names[name])
        if is_bound:
            _bound[module, name] = names[name]
        elif hidden is _ABSENT:
            del names[name]
        else:
            names[name] = hidden

    def fill_cell(self, number: int, name: str, encoded: bytes) -> None:
        function = self.objects[number]
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        index = function.__code__.co_freevars.index(name)
        function.__closure__[index].cell_contents = self.value(encoded)

    def bind(self, module: str, name: str, encoded: bytes) -> None:
        """Gives a global name its value, unless code has set it since: an initializer, mostly."""
        names, key = vars(namespace(module)), (module, name)
        if name in names and names[name] is not _bound.get(key, _ABSENT):
            return
        names[name] = _bound[key] = self.value(encoded)

    def attribute(self, number: int, owner: int, name: str) -> None:
        self.define(number, getattr(self.objects[owner], name))

    def named_tuple(
        self, number: int, module: str, name: str, fields: list[str], defaults: bytes
    ) -> None:
        values = self.value(defaults)
        cls = collections.namedtuple(name, fields, defaults=values, module=module)
        self.define(number, cls)


_ABSENT = object()

_bound: dict[tuple[str, str], object] = {}
"""The values that statements have given to global names."""


def _around(source: str, name: str, line: int, free: tuple[str, ...]) -> ast.Module:
    """A function with these variables that returns what the source defines."""
    inner = ast.parse("\n" * (line - 1) + source).body
    result = inner.pop().value if name == "<lambda>" else ast.Name(name, ast.Load())
    tree = ast.parse(f"def __around__({', '.join(free)}): pass")
    tree.body[0].body = [*inner, ast.Return(result)]
    return ast.fix_missing_locations(tree)


def namespace(name: str) -> types.ModuleType:
    """The module of this name, into which functions of the caller's module of this name go."""
    module = _namespaces.get(name)
    if module is None:
        module = _namespaces[name] = types.ModuleType(name)
        # Dataclasses and others look up the module of a class.
        sys.modules[name] = module
    return module


_namespaces: dict[str, types.ModuleType] = {}


def _remember(file: str, line: int, source: str) -> None:
    new = source.split("\n")
    lines = sources.setdefault(file, [])
    lines.extend([""] * (line - 1 + len(new) - len(lines)))
    lines[line - 1 : line - 1 + len(new)] = new


def show_sources() -> None:
    """Lets tracebacks have the lines of the caller's files."""
    for file, lines in sources.items():
        text = [f"{line}\n" for line in lines]
        linecache.cache[file] = (sum(map(len, text)), None, text, file)


_STATEMENTS = {
    "import": Program.import_module,
    "from": Program.import_name,
    "module": Program.make_module,
    "source": Program.execute,
    "cell": Program.fill_cell,
    "bind": Program.bind,
    "attribute": Program.attribute,
    "namedtuple": Program.named_tuple,
}
