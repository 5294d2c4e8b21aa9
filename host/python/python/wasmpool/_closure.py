"""Collects what a function needs in a sandbox: its program.

A program is a list of statements, which `programs.py` of the guest executes. Functions and classes go
as source, with the global names and free variables that they need: other functions and classes,
constants, and modules of the standard library by name.
"""

from __future__ import annotations

import builtins
import collections
import hashlib
import inspect
import sys
import threading
import types
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import _source
from ._errors import NotPortable
from ._guest_modules import is_available
from ._values import Encoder, Unencodable

MAX_PROGRAM = 16 << 20
"""Bytes of a program, or of the arguments of a call."""

_PROVIDED = {"__name__", "__file__", "__doc__", "__builtins__", "__debug__", "__class__"}

Statement = tuple[Any, ...]


class Request(NamedTuple):
    """A call of a function: statements beyond those of its program, and the call itself."""

    more: bytes
    call: bytes
    classes: dict[int, object]


@dataclass
class Collected:
    """The objects that have a number, and what gives it to them."""

    numbers: dict[int, int] = field(default_factory=dict)
    kept: list[object] = field(default_factory=list)
    classes: dict[int, object] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)
    """Those of them that are complete."""
    bound: dict[tuple[str, str], int] = field(default_factory=dict)
    """The `id` of what a name of a module is bound to."""
    next_number: int = 0

    @classmethod
    def of_classes(cls, classes: dict[int, object]) -> Collected:
        """The classes of a program that was collected elsewhere."""
        collected = cls(classes=classes)
        for number, thing in classes.items():
            collected.add(number, thing)
        return collected

    def add(self, number: int, thing: object) -> None:
        self.numbers[id(thing)] = number
        # Nothing else gets its `id` while it is kept.
        self.kept.append(thing)
        self.next_number = max(self.next_number, number + 1)

    def copy(self) -> Collected:
        return Collected(
            dict(self.numbers),
            list(self.kept),
            dict(self.classes),
            set(self.done),
            dict(self.bound),
            self.next_number,
        )


class Program(NamedTuple):
    """What a function needs, encoded, with its digest."""

    digest: bytes
    statements: bytes
    collected: Collected


class Collector:
    """Collects functions and classes, and all that they refer to, into statements.

    `provided` are names that the sandbox has by itself, such as functions of the host.
    """

    def __init__(self, provided: frozenset[str], collected: Collected | None = None) -> None:
        self.collected = collected or Collected()
        self.statements: list[Statement] = []
        self._late: list[tuple[Statement, object, str]] = []
        self._provided = provided | _PROVIDED
        self._path: list[str] = []

    def encode(self, value: object) -> bytes:
        """A value, with the objects in it collected."""
        return Encoder(self._number, MAX_PROGRAM, whole=True).encode(value)

    def finish(self) -> bytes:
        """The statements, encoded; empty if there are none."""
        while self._late:
            statement, value, where = self._late.pop()
            self._say((*statement, self._encoded(value, where)))
        if not self.statements:
            return b""
        return Encoder(lambda _: None, MAX_PROGRAM).encode(self.statements)

    def _say(self, statement: Statement) -> None:
        self.statements.append(statement)

    def _number(self, thing: object) -> int | None:
        """The number of a function, class or module, which is collected first."""
        number = self.collected.numbers.get(id(thing))
        if number is not None:
            return number
        if isinstance(thing, types.ModuleType):
            return self._module(thing)
        if isinstance(thing, type):
            return self._class(thing)
        if isinstance(thing, types.FunctionType):
            return self._function(thing, thing)
        if isinstance(thing, _MADE_IN_C):
            number = self._of_library(thing)
            return self._refuse(thing, "is made in C") if number is None else number
        if self._is_stateless(thing):
            return self._of_library(thing)
        wrapped = inspect.unwrap(thing) if callable(thing) else None
        if isinstance(wrapped, types.FunctionType) and wrapped is not thing:
            return self._function(thing, wrapped)
        bases = [base for base in type(thing).__mro__ if _is_of_library(base.__module__)]
        reasons = (_UNPORTABLE.get(base.__name__) for base in bases)
        reason = next(filter(None, reasons), None)
        if reason is not None or inspect.isgenerator(thing) or inspect.iscoroutine(thing):
            self._refuse(thing, reason or "cannot be copied: pass a list")
        return None

    @staticmethod
    def _is_stateless(thing: object) -> bool:
        return type(thing).__module__ in ("typing", "operator", "types", "re", "string")

    def _new(self, thing: object) -> int:
        number = self.collected.next_number
        self.collected.add(number, thing)
        return number

    def _module(self, module: types.ModuleType) -> int:
        name = module.__name__
        if name != "__main__" and _is_of_library(name):
            if name != "wasmpool" and not is_available(name):
                self._refuse(module, "does not exist in sandboxes", name)
            number = self._new(module)
            self._say(("import", number, name))
        elif getattr(module, "__file__", "").endswith((".so", ".pyd")):
            self._refuse(module, "is an extension module, which the sandbox's Python lacks", name)
        else:
            number = self._new(module)
            self._say(("module", number, name))
        self.collected.done.add(number)
        return number

    def _of_library(self, thing: Any) -> int | None:
        """The number of what can be imported from the standard library."""
        owner = getattr(thing, "__self__", None)
        module = getattr(thing, "__module__", None)
        if module is None and hasattr(thing, "__objclass__"):
            module = thing.__objclass__.__module__
        elif module is None and owner is not None:
            module = owner.__name__ if isinstance(owner, types.ModuleType) else type(owner).__module__
        name = getattr(thing, "__qualname__", None) or getattr(thing, "__name__", None)
        if module is None or name is None or not _is_of_library(module):
            return None
        for path in (name, getattr(thing, "__name__", name)):
            found: Any = sys.modules.get(module)
            for part in path.split("."):
                found = getattr(found, part, None)
            if found is thing or (found == thing and callable(thing)):
                if not module.startswith("wasmpool") and not is_available(module):
                    self._refuse(thing, f"is of `{module}`, which does not exist in sandboxes")
                number = self._new(thing)
                self._say(("from", number, module, path))
                self.collected.done.add(number)
                return number
        return None

    def _class(self, cls: type) -> int:
        number = self._of_library(cls)
        if number is not None:
            return number
        if _is_plain_named_tuple(cls):
            number = self._new(cls)
            fields = list(cls._fields)  # type: ignore[attr-defined]
            defaults = tuple(cls._field_defaults.values())  # type: ignore[attr-defined]
            encoded = self._encoded(defaults, f"the defaults of `{cls.__qualname__}`")
            self._say(("namedtuple", number, cls.__module__, cls.__name__, fields, encoded))
        elif "." in cls.__qualname__ and "<locals>" not in cls.__qualname__.rpartition(".")[0]:
            number = self._inner(cls, *cls.__qualname__.rpartition(".")[::2])
        else:
            number = self._from_source(cls, cls, lambda: _source.of_class(cls))
        self.collected.classes[number] = cls
        self.collected.done.add(number)
        return number

    def _inner(self, thing: object, owner_name: str, name: str) -> int:
        """A class or function inside of a class, which is found through that class."""
        owner: Any = sys.modules.get(thing.__module__)
        for part in owner_name.split("."):
            owner = getattr(owner, part, None)
        if owner is None:
            self._refuse(thing, f"is in `{owner_name}`, which was not found")
        owner_number = self._number(owner)
        # The class may have collected it.
        number = self.collected.numbers.get(id(thing))
        if number is None:
            number = self._new(thing)
            self._say(("attribute", number, owner_number, name))
        return number

    def _function(self, thing: Any, function: types.FunctionType) -> int:
        """A function; `thing` is what its decorators have made of it."""
        number = self._of_library(thing)
        if number is not None:
            return number
        owner, _, name = function.__qualname__.rpartition(".")
        if owner and not owner.endswith("<locals>") and function.__name__ != "<lambda>":
            number = self._inner(thing, owner, name)
        else:
            number = self._from_source(thing, function, lambda: _source.of_function(function))
        self.collected.done.add(number)
        return number

    def _from_source(self, thing: Any, origin: Any, find: Any) -> int:
        try:
            piece: _source.Piece = find()
        except _source.NoSource as error:
            self._refuse(thing, f"has no source: {error}")
        number = self._new(thing)
        is_function = isinstance(origin, types.FunctionType)
        module = origin.__module__ or "__main__"
        names = origin.__globals__ if is_function else vars(sys.modules[module])
        cells = dict(inspect.getclosurevars(origin).nonlocals) if is_function else {}
        free = origin.__code__.co_freevars if is_function else ()
        if not is_function:
            names = {**names, **_captured(origin)}
        self._path.append(f"`{origin.__qualname__}`")
        self._names(module, names, piece, piece.names.at_definition)
        flags = origin.__code__.co_flags if is_function else _flags_of(names)
        is_bound = not free and names.get(piece.name) is thing
        place = piece.file, piece.line
        self._say(("source", number, module, piece.name, piece.text, *place, flags, free, is_bound))
        self.collected.done.add(number)
        if is_bound:
            self.collected.bound[module, piece.name] = id(thing)
        for name, value in cells.items():
            self._value(("cell", number, name), value, f"`{name}`")
        self._names(module, names, piece, piece.names.later)
        for name in sorted(piece.names.optional):
            self._optional(module, names, piece, name)
        self._path.pop()
        return number

    def _names(
        self, module: str, names: dict[str, Any], piece: _source.Piece, wanted: frozenset[str]
    ) -> None:
        for name in sorted(wanted):
            if name in self._provided:
                continue
            if name in names:
                self._name(module, name, names[name], piece.attributes.get(name))

    def _optional(self, module: str, names: dict[str, Any], piece: _source.Piece, name: str) -> None:
        """A name in annotations, without which the code runs too."""
        before = self.collected.copy(), list(self.statements), list(self._late), list(self._path)
        try:
            self._names(module, names, piece, frozenset([name]))
        except NotPortable:
            self.collected, self.statements, self._late, self._path = before

    def _name(self, module: str, name: str, value: Any, attributes: frozenset[str] | None) -> None:
        """Gives a global name of a module its value."""
        if getattr(builtins, name, None) is value:
            return
        key = (module, name)
        if self.collected.bound.get(key) == id(value):
            return
        is_own_module = isinstance(value, types.ModuleType) and not _is_of_library(value.__name__)
        if is_own_module:
            if attributes is None:
                self._refuse(value, "is used other than by its attributes", name)
                return
            self._number(value)
            for attribute in sorted(attributes):
                if hasattr(value, attribute):
                    part = getattr(value, attribute)
                    self._path.append(f"`{name}.{attribute}`")
                    self._name(value.__name__, attribute, part, None)
                    self._path.pop()
        elif isinstance(value, types.ModuleType) and attributes:
            # `import os.path` binds `os`; `path` is imported with it.
            for attribute in sorted(attributes):
                part = getattr(value, attribute, None)
                if isinstance(part, types.ModuleType) and _is_of_library(part.__name__):
                    self._number(part)
        self.collected.bound[key] = id(value)
        self.collected.kept.append(value)
        self._value(("bind", module, name), value, f"`{name}`")

    def _value(self, statement: Statement, value: object, where: str) -> None:
        """Says a statement that ends with a value, now or when the objects in it are complete."""
        number = self.collected.numbers.get(id(value))
        if number is not None and number not in self.collected.done:
            self._late.append((statement, value, where))
            return
        self._say((*statement, self._encoded(value, where)))

    def _encoded(self, value: object, where: str) -> bytes:
        self._path.append(where)
        try:
            return self.encode(value)
        except Unencodable as error:
            raise NotPortable(f"{' -> '.join(self._path)}: {error}") from None
        finally:
            self._path.pop()

    def _refuse(self, thing: object, reason: str, name: str | None = None) -> Any:
        shown = name or getattr(thing, "__qualname__", None) or type(thing).__name__
        path = " -> ".join(self._path)
        advice = _ADVICE.get(reason.partition(":")[0].partition(",")[0], "")
        raise NotPortable(f"{path}{': ' if path else ''}`{shown}` {reason}{advice}")


_MADE_IN_C = (
    types.BuiltinFunctionType,
    types.ClassMethodDescriptorType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
)

_UNPORTABLE = {
    "TextIOWrapper": "is an open file: read it before, or grant its folder with `dirs`",
    "BufferedReader": "is an open file: read it before, or grant its folder with `dirs`",
    "BufferedWriter": "is an open file: return what is to be written",
    "FileIO": "is an open file: read it before, or grant its folder with `dirs`",
    "lock": "is a lock: sandboxes share no memory, so there is nothing to guard",
    "RLock": "is a lock: sandboxes share no memory, so there is nothing to guard",
    "Condition": "is a lock: sandboxes share no memory, so there is nothing to guard",
    "Semaphore": "is a lock: sandboxes share no memory, so there is nothing to guard",
    "Event": "cannot be shared with a sandbox",
    "Thread": "is a thread, which stays in this process",
    "socket": "is a socket: give the sandbox a function of the host (`functions=`), or `allow_net`",
    "local": "is of one thread",
    "module": "is a module",
}

_ADVICE = {
    "is an extension module": ": call it in the host, with `functions=`",
    "is made in C": ": call it in the host, with `functions=`",
    "does not exist in sandboxes": ": call what needs it in the host, with `functions=`",
    "has no source": "; write it to a file",
}


def _is_of_library(module: str) -> bool:
    top = module.partition(".")[0]
    # The sandbox has a module `wasmpool` of its own.
    return top in sys.stdlib_module_names or top in ("builtins", "wasmpool")


def _is_plain_named_tuple(cls: type) -> bool:
    """Whether it was made by `collections.namedtuple`, which leaves no source."""
    return cls.__bases__ == (tuple,) and hasattr(cls, "_fields") and "__annotations__" not in vars(cls)


def _captured(cls: type) -> dict[str, Any]:
    """The free variables of the methods of a class inside of a function."""
    captured: dict[str, Any] = {}
    for value in vars(cls).values():
        function = inspect.unwrap(value) if callable(value) else None
        if isinstance(function, types.FunctionType):
            captured.update(inspect.getclosurevars(function).nonlocals)
    captured.pop("__class__", None)
    return captured


def _flags_of(names: dict[str, Any]) -> int:
    import __future__

    annotations = names.get("annotations")
    return annotations.compiler_flag if annotations is __future__.annotations else 0


MAX_KEPT = 1024
"""How many programs are kept, those that were used last."""

_programs: collections.OrderedDict[tuple[int, frozenset[str]], tuple[object, Program]]
_programs = collections.OrderedDict()
_lock = threading.Lock()


def program_of(function: Any, provided: frozenset[str] = frozenset()) -> Program:
    """The program of a function. It is collected once for each function.

    Raises `NotPortable` if something that the function needs cannot travel.
    """
    function = getattr(function, "__func__", function)
    key = (id(function), provided)
    with _lock:
        known = _programs.get(key)
        if known is not None:
            _programs.move_to_end(key)
            return known[1]
    program = _collect(function, provided)
    with _lock:
        # The function is kept with it, so that no other gets its `id`.
        _programs[key] = function, program
        while len(_programs) > MAX_KEPT:
            _programs.popitem(last=False)
    return program


def _collect(function: Any, provided: frozenset[str]) -> Program:
    if not callable(function):
        raise NotPortable(f"a `{type(function).__name__}` cannot be called")
    collector = Collector(provided)
    try:
        collector.encode(function)
    except Unencodable as error:
        raise NotPortable(str(error)) from None
    statements = collector.finish()
    digest = hashlib.blake2b(statements, digest_size=16).digest()
    return Program(digest, statements, collector.collected)


class _Unknown(Exception):
    """An object that the program does not have."""


def request_of(
    program: Program, what: tuple[Any, ...], provided: frozenset[str] = frozenset()
) -> Request:
    """A call of a function that has this program: the function and its arguments."""
    numbers = program.collected.numbers

    def known(thing: object) -> int | None:
        number = numbers.get(id(thing))
        if number is None and (callable(thing) or isinstance(thing, types.ModuleType)):
            raise _Unknown
        return number

    # Most calls pass plain data, and need no more objects.
    try:
        call = Encoder(known, MAX_PROGRAM, whole=True).encode(what)
        return Request(b"", call, program.collected.classes)
    except (Unencodable, _Unknown):
        pass
    collector = Collector(provided, program.collected.copy())
    try:
        call = collector.encode(what)
    except Unencodable as error:
        raise NotPortable(f"an argument cannot travel: {error}") from None
    return Request(collector.finish(), call, collector.collected.classes)
