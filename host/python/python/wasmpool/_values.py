"""Values as bytes: what crosses the border between a program and its sandboxes.

Both sides have this file. It knows no pickles, imports nothing that a message names, and calls no
code of a class that it rebuilds. It does not know how functions and classes travel: those are
*objects* with a number, which the two sides agree on elsewhere.
"""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import json
import pathlib
import re
import statistics
import struct
import types
import uuid
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

MAX_DEPTH = 100
"""How deep values may be nested, on the way in and on the way out."""

MAX_ALIKE = 64
"""How many keys of a dictionary or set that came from a guest may have the same hash."""

MAX_BITS = 8192
"""How large the numerator and the denominator of a fraction may be that came from a guest."""

_PACKED = 8
"""From this length on, lists of small integers or of floats are packed."""

_U32 = struct.Struct("<I")
_I64 = struct.Struct("<q")
_F64 = struct.Struct("<d")
_COMPLEX = struct.Struct("<dd")
_FITS_I64 = range(-(1 << 63), 1 << 63)


class Unencodable(TypeError):
    """A value that cannot cross the border. `path` says where it is in what was given."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []

    def inside(self, step: str) -> None:
        self.path.insert(0, step)

    def __str__(self) -> str:
        return f"{self.reason} (at `{''.join(self.path)}`)" if self.path else self.reason


class TooLarge(Unencodable):
    """An encoded value that is larger than the limit."""


class Malformed(ValueError):
    """Bytes that are not an encoded value, or one that this side does not accept."""


class RemoteError(Exception):
    """An exception of a class that this program does not know by its function.

    `type_name` is the name of the class in the sandbox, and the arguments are those of the exception.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.type_name = "Exception"

    def with_name(self, type_name: str) -> RemoteError:
        self.type_name = type_name
        return self

    def __str__(self) -> str:
        return f"{self.type_name}: {super().__str__()}"


def _known_exceptions() -> dict[str, type[BaseException]]:
    known: dict[str, type[BaseException]] = {
        name: value
        for name, value in vars(builtins).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    for value in vars(decimal).values():
        if isinstance(value, type) and issubclass(value, decimal.DecimalException):
            known[f"decimal.{value.__name__}"] = value
    known["json.decoder.JSONDecodeError"] = json.JSONDecodeError
    known["statistics.StatisticsError"] = statistics.StatisticsError
    known["dataclasses.FrozenInstanceError"] = dataclasses.FrozenInstanceError
    # Python 3.13 has given it another name.
    known["re.PatternError"] = known["re.error"] = re.error
    known["struct.error"] = struct.error
    return known


KNOWN_EXCEPTIONS = _known_exceptions()
"""Exceptions that need no class of the caller, by their full names without `builtins`."""

Reference = Callable[[object], "int | None"]
"""The number of a function, class or module; None if it has none. May refuse with `Unencodable`."""


class Encoder:
    """Writes values. `reference` gives the numbers of objects; `limit` bounds the bytes.

    With `whole` also what only a trusted side may send is written: functions, classes, modules,
    partials, bound methods and instances of any class.
    """

    def __init__(self, reference: Reference, limit: int, *, whole: bool = False) -> None:
        self._reference = reference
        self._limit = limit
        self._whole = whole
        self._out = bytearray()
        self._depth = 0

    def encode(self, value: object) -> bytes:
        self._out = bytearray()
        self._depth = 0
        self._value(value)
        return bytes(self._out)

    def _value(self, value: object) -> None:
        write = _WRITERS.get(type(value))
        if write is not None:
            write(self, value)
        else:
            self._other(value)

    def _raw(self, tag: bytes, data: bytes) -> None:
        if len(self._out) + len(data) > self._limit:
            raise TooLarge(f"the encoded value is larger than {self._limit} bytes")
        self._out += tag
        self._out += _U32.pack(len(data))
        self._out += data

    def _none(self, _value: None) -> None:
        self._out += b"N"

    def _bool(self, value: bool) -> None:
        self._out += b"T" if value else b"F"

    def _int(self, value: int) -> None:
        if -128 <= value < 128:
            self._out += b"j"
            self._out.append(value & 255)
        elif value in _FITS_I64:
            self._out += b"i"
            self._out += _I64.pack(value)
        else:
            self._raw(b"I", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))

    def _float(self, value: float) -> None:
        self._out += b"d"
        self._out += _F64.pack(value)

    def _complex(self, value: complex) -> None:
        self._out += b"c"
        self._out += _COMPLEX.pack(value.real, value.imag)

    def _str(self, value: str) -> None:
        self._raw(b"s", value.encode("utf-8", "surrogatepass"))

    def _bytes(self, value: bytes) -> None:
        self._raw(b"b", value)

    def _bytearray(self, value: bytearray) -> None:
        self._raw(b"y", bytes(value))

    def _count(self, tag: bytes, count: int) -> None:
        if len(self._out) > self._limit:
            raise TooLarge(f"the encoded value is larger than {self._limit} bytes")
        self._out += tag
        self._out += _U32.pack(count)

    def _enter(self) -> None:
        if self._depth >= MAX_DEPTH:
            raise Unencodable(f"it is nested deeper than {MAX_DEPTH} levels, or contains itself")
        self._depth += 1

    def _items(self, values: Iterable[object]) -> None:
        self._enter()
        index = 0
        try:
            for value in values:
                self._value(value)
                index += 1
        except Unencodable as error:
            error.inside(f"[{index}]")
            raise
        self._depth -= 1

    def _list(self, value: list[Any]) -> None:
        if len(value) >= _PACKED:
            kinds = set(map(type, value))
            if kinds == {int}:
                try:
                    return self._raw(b"q", array("q", value).tobytes())
                except OverflowError:
                    pass
            elif kinds == {float}:
                return self._raw(b"f", array("d", value).tobytes())
        self._count(b"l", len(value))
        self._items(value)

    def _tuple(self, value: tuple[object, ...]) -> None:
        self._count(b"t", len(value))
        self._items(value)

    def _set(self, value: set[object]) -> None:
        self._count(b"S", len(value))
        self._items(value)

    def _frozenset(self, value: frozenset[object]) -> None:
        self._count(b"Z", len(value))
        self._items(value)

    def _dict(self, value: dict[object, object]) -> None:
        self._count(b"D", len(value))
        self._enter()
        for key, item in value.items():
            try:
                self._value(key)
                self._value(item)
            except Unencodable as error:
                error.inside(f"[{key!r:.40}]")
                raise
        self._depth -= 1

    def _plain(self, tag: bytes, *parts: object) -> None:
        """A value that is made of simpler ones."""
        self._out += tag
        self._enter()
        for part in parts:
            self._value(part)
        self._depth -= 1

    def _date(self, value: datetime.date) -> None:
        self._plain(b"1", value.toordinal())

    def _time(self, value: datetime.time) -> None:
        self._plain(b"2", value.replace(tzinfo=None).isoformat(), value.fold, self._zone(value))

    def _datetime(self, value: datetime.datetime) -> None:
        naive = value.replace(tzinfo=None).isoformat()
        self._plain(b"3", naive, value.fold, self._zone(value))

    @staticmethod
    def _zone(value: datetime.time | datetime.datetime) -> datetime.timezone | None:
        zone = value.tzinfo
        if zone is None or type(zone) is datetime.timezone:
            return zone
        raise Unencodable(
            f"a time in the zone `{zone}`: only times without a zone or with a fixed offset can "
            "travel; use `astimezone(datetime.timezone.utc)`"
        )

    def _timedelta(self, value: datetime.timedelta) -> None:
        self._plain(b"4", value.days, value.seconds, value.microseconds)

    def _timezone(self, value: datetime.timezone) -> None:
        self._plain(b"5", value.utcoffset(None))

    def _decimal(self, value: decimal.Decimal) -> None:
        self._plain(b"6", str(value))

    def _fraction(self, value: fractions.Fraction) -> None:
        self._plain(b"7", value.numerator, value.denominator)

    def _uuid(self, value: uuid.UUID) -> None:
        self._plain(b"8", value.bytes)

    def _path(self, value: pathlib.PurePath) -> None:
        self._plain(b"9", isinstance(value, pathlib.Path), value.as_posix())

    def _range(self, value: range) -> None:
        self._plain(b"0", value.start, value.stop, value.step)

    def _other(self, value: object) -> None:
        if isinstance(value, BaseException):
            return self._exception(value)
        if self._whole and self._as_object(value):
            return None
        cls = type(value)
        if isinstance(value, enum.Enum):
            self._instance(b"E", cls, _name_of_member(value))
        elif isinstance(value, tuple) and hasattr(cls, "_fields"):
            self._instance(b"n", cls, tuple(value))
        elif dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value)]
            state = {name: getattr(value, name) for name in names if hasattr(value, name)}
            self._instance(b"a", cls, state)
        elif self._whole:
            self._any_instance(value)
        else:
            self._refuse(value)

    def _instance(self, tag: bytes, cls: type, state: object) -> None:
        number = self._reference(cls)
        if number is None:
            raise Unencodable(
                f"the class `{cls.__qualname__}` is unknown to the caller: a function can return "
                "instances of classes that it or its arguments refer to"
            )
        self._plain(tag, number, state)

    def _as_object(self, value: object) -> bool:
        if isinstance(value, functools.partial):
            self._plain(b"P", value.func, value.args, value.keywords)
        elif isinstance(value, types.MethodType):
            self._plain(b"M", value.__self__, value.__func__.__name__)
        else:
            number = self._reference(value)
            if number is None:
                return False
            self._plain(b"R", number)
        return True

    def _any_instance(self, value: object) -> None:
        cls = type(value)
        if cls.__module__ == "builtins" or (
            hasattr(cls, "__getstate__")
            and (
                cls.__reduce_ex__ is not object.__reduce_ex__ or cls.__reduce__ is not object.__reduce__
            )
        ):
            self._refuse(value)
        state = dict(getattr(value, "__dict__", {}))
        for base in cls.__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in [slots] if isinstance(slots, str) else slots:
                if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                    state[name] = getattr(value, name)
        try:
            self._instance(b"O", cls, state)
        except Unencodable as error:
            error.inside(f"<{cls.__qualname__}>")
            raise

    def _exception(self, value: BaseException) -> None:
        cls = type(value)
        name = full_name(cls)
        kind: object = name
        if name not in KNOWN_EXCEPTIONS:
            number = self._reference(cls)
            kind = name if number is None else number
        self._plain(b"X", kind, name)
        self._enter()
        self._count(b"t", len(value.args))
        self._enter()
        for part in value.args:
            self._value_or_text(part)
        self._depth -= 1
        attributes = vars(value)
        self._count(b"D", len(attributes))
        self._enter()
        for attribute, part in attributes.items():
            self._value(attribute)
            self._value_or_text(part)
        self._depth -= 2

    def _value_or_text(self, part: object) -> None:
        """A part of an exception, or its text where it cannot travel."""
        length, depth = len(self._out), self._depth
        try:
            self._value(part)
        except Unencodable:
            del self._out[length:]
            self._depth = depth
            self._str(_text_of(part))

    def _refuse(self, value: object) -> NoReturn:
        raise Unencodable(f"a `{full_name(type(value))}` cannot travel")


def full_name(cls: type) -> str:
    """The name of a class with its module, except for built-in ones."""
    module = cls.__module__
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"


def _name_of_member(member: enum.Enum) -> str:
    if not isinstance(member, enum.Flag):
        return member.name
    # Before Python 3.11 a combination has no name.
    parts = (part for part in type(member) if part.value and part in member)
    return "|".join(str(part.name) for part in parts)


def _text_of(value: object) -> str:
    try:
        return repr(value)[:1000]
    except Exception:
        return f"<{type(value).__name__}>"


_WRITERS: dict[type, Callable[[Encoder, Any], None]] = {
    type(None): Encoder._none,
    bool: Encoder._bool,
    int: Encoder._int,
    float: Encoder._float,
    complex: Encoder._complex,
    str: Encoder._str,
    bytes: Encoder._bytes,
    bytearray: Encoder._bytearray,
    list: Encoder._list,
    tuple: Encoder._tuple,
    set: Encoder._set,
    frozenset: Encoder._frozenset,
    dict: Encoder._dict,
    datetime.date: Encoder._date,
    datetime.time: Encoder._time,
    datetime.datetime: Encoder._datetime,
    datetime.timedelta: Encoder._timedelta,
    datetime.timezone: Encoder._timezone,
    decimal.Decimal: Encoder._decimal,
    fractions.Fraction: Encoder._fraction,
    uuid.UUID: Encoder._uuid,
    pathlib.PurePosixPath: Encoder._path,
    pathlib.PosixPath: Encoder._path,
    range: Encoder._range,
}


class Decoder:
    """Reads values. Raises `Malformed` and nothing else, whatever the bytes are.

    `objects` are the objects by number. What is not `whole` is data alone: instances of enums, named
    tuples, dataclasses and exceptions whose classes are among the objects. No method of them is
    called, but for the hashes of keys. What it allocates is bounded by the bytes that are there:
    at most some 50 bytes for each.
    """

    def __init__(self, data: bytes, objects: Mapping[int, object], *, whole: bool = False) -> None:
        self._data = data
        self._at = 0
        self._depth = 0
        self._objects = objects
        self._whole = whole

    def decode(self) -> Any:
        """The one value that the bytes are."""
        try:
            value = self._value()
        except Malformed:
            raise
        except Exception as error:
            raise Malformed(f"not a value: {error}") from error
        if self._at != len(self._data):
            raise Malformed("there are bytes after the value")
        return value

    def _value(self) -> Any:
        at = self._at
        if at >= len(self._data):
            raise Malformed("the bytes end within a value")
        read = _READERS.get(self._data[at])
        if read is None:
            raise Malformed(f"unknown tag {self._data[at]}")
        self._at = at + 1
        return read(self)

    def _take(self, size: int) -> bytes:
        at = self._at
        if size > len(self._data) - at:
            raise Malformed("the bytes end within a value")
        self._at = at + size
        return self._data[at : at + size]

    def _raw(self) -> bytes:
        return self._take(_U32.unpack(self._take(4))[0])

    def _none(self) -> None:
        return None

    def _true(self) -> bool:
        return True

    def _false(self) -> bool:
        return False

    def _small(self) -> int:
        byte = self._take(1)[0]
        return byte - 256 if byte > 127 else byte

    def _int(self) -> int:
        number: int = _I64.unpack(self._take(8))[0]
        return number

    def _large(self) -> int:
        return int.from_bytes(self._raw(), "little", signed=True)

    def _float(self) -> float:
        number: float = _F64.unpack(self._take(8))[0]
        return number

    def _complex(self) -> complex:
        return complex(*_COMPLEX.unpack(self._take(16)))

    def _str(self) -> str:
        return self._raw().decode("utf-8", "surrogatepass")

    def _bytearray(self) -> bytearray:
        return bytearray(self._raw())

    def _packed(self, code: str) -> list[Any]:
        numbers = array(code)
        numbers.frombytes(self._raw())
        return numbers.tolist()

    def _ints(self) -> list[int]:
        return self._packed("q")

    def _floats(self) -> list[float]:
        return self._packed("d")

    def _items(self, per_item: int = 1) -> Iterator[Any]:
        count = _U32.unpack(self._take(4))[0]
        if count > (len(self._data) - self._at) // per_item:
            raise Malformed("the bytes end within a value")
        self._enter()
        for _ in range(count):
            yield self._value()
        self._depth -= 1

    def _enter(self) -> None:
        if self._depth >= MAX_DEPTH:
            raise Malformed(f"values are nested deeper than {MAX_DEPTH} levels")
        self._depth += 1

    def _list(self) -> list[Any]:
        return list(self._items())

    def _tuple(self) -> tuple[Any, ...]:
        return tuple(self._items())

    def _set(self) -> set[Any]:
        return set(self._unlike(list(self._items())))

    def _frozenset(self) -> frozenset[Any]:
        return frozenset(self._unlike(list(self._items())))

    def _dict(self) -> dict[Any, Any]:
        count = _U32.unpack(self._take(4))[0]
        if count > (len(self._data) - self._at) // 2:
            raise Malformed("the bytes end within a value")
        self._enter()
        value = self._value
        pairs = [(value(), value()) for _ in range(count)]
        self._depth -= 1
        self._unlike([key for key, _ in pairs])
        return dict(pairs)

    def _unlike(self, keys: list[Any]) -> list[Any]:
        """Refuses keys that were made to have the same hash: a table of them takes forever."""
        if len(keys) > MAX_ALIKE and not self._whole:
            alike = Counter(map(hash, keys)).most_common(1)[0][1]
            if alike > MAX_ALIKE:
                raise Malformed(f"{alike} keys have the same hash")
        return keys

    def _part(self, *kinds: type) -> Any:
        """A part of a value that is made of simpler ones, of one of these types."""
        self._enter()
        part = self._value()
        self._depth -= 1
        if kinds and type(part) not in kinds:
            raise Malformed(f"unexpected {type(part).__name__}")
        return part

    def _date(self) -> datetime.date:
        return datetime.date.fromordinal(self._part(int))

    def _time(self) -> datetime.time:
        value = datetime.time.fromisoformat(self._part(str))
        return value.replace(fold=self._part(int), tzinfo=self._zone())

    def _datetime(self) -> datetime.datetime:
        value = datetime.datetime.fromisoformat(self._part(str))
        return value.replace(fold=self._part(int), tzinfo=self._zone())

    def _zone(self) -> datetime.timezone | None:
        zone: datetime.timezone | None = self._part(type(None), datetime.timezone)
        return zone

    def _timedelta(self) -> datetime.timedelta:
        days, seconds, microseconds = (self._part(int) for _ in range(3))
        return datetime.timedelta(days, seconds, microseconds)

    def _timezone(self) -> datetime.timezone:
        return datetime.timezone(self._part(datetime.timedelta))

    def _decimal(self) -> decimal.Decimal:
        return decimal.Decimal(self._part(str))

    def _fraction(self) -> fractions.Fraction:
        numerator, denominator = self._part(int), self._part(int)
        # Reducing it takes time that grows with the square of the length.
        if not self._whole and max(numerator.bit_length(), denominator.bit_length()) > MAX_BITS:
            raise Malformed(f"a fraction of numbers with more than {MAX_BITS} bits")
        return fractions.Fraction(numerator, denominator)

    def _uuid(self) -> uuid.UUID:
        return uuid.UUID(bytes=self._part(bytes))

    def _path(self) -> pathlib.PurePath:
        is_concrete, text = self._part(bool), self._part(str)
        return pathlib.Path(text) if is_concrete else pathlib.PurePosixPath(text)

    def _range(self) -> range:
        start, stop, step = (self._part(int) for _ in range(3))
        return range(start, stop, step)

    def _object(self) -> object:
        if not self._whole:
            raise Malformed("a function, class or module is no result")
        return self._numbered()

    def _numbered(self) -> Any:
        number = self._part(int)
        try:
            return self._objects[number]
        except KeyError:
            raise Malformed(f"there is no object {number}") from None

    def _class(self) -> type:
        cls = self._numbered()
        if not isinstance(cls, type):
            raise Malformed("an instance of what is no class")
        return cls

    def _enum(self) -> enum.Enum:
        cls, name = self._class(), self._part(str)
        if not issubclass(cls, enum.Enum):
            raise Malformed(f"`{cls.__qualname__}` is no enum")
        try:
            if not issubclass(cls, enum.Flag):
                return cls.__members__[name]
            flags = [cls.__members__[part] for part in name.split("|") if part]
            return functools.reduce(lambda one, other: one | other, flags, cls(0))
        except KeyError:
            raise Malformed(f"`{cls.__qualname__}` has no member `{name}`") from None

    def _named_tuple(self) -> tuple[object, ...]:
        cls, values = self._class(), self._part(tuple)
        fields = getattr(cls, "_fields", None)
        if not issubclass(cls, tuple) or fields is None or len(fields) != len(values):
            raise Malformed(f"`{cls.__qualname__}` is no named tuple of {len(values)} fields")
        return tuple.__new__(cls, values)

    def _dataclass(self) -> object:
        cls, state = self._class(), self._part(dict)
        if not dataclasses.is_dataclass(cls):
            raise Malformed(f"`{cls.__qualname__}` is no dataclass")
        names = {field.name for field in dataclasses.fields(cls)}
        if not state.keys() <= names:
            raise Malformed(f"`{cls.__qualname__}` has other fields")
        return self._filled(cls, state)

    def _any_instance(self) -> object:
        if not self._whole:
            raise Malformed("an instance of a class that is no dataclass is no result")
        return self._filled(self._class(), self._part(dict))

    @staticmethod
    def _filled(cls: type, state: dict[str, object]) -> object:
        instance: object = object.__new__(cls)
        for name, part in state.items():
            object.__setattr__(instance, name, part)
        return instance

    def _partial(self) -> object:
        function, args, keywords = self._part(), self._part(tuple), self._part(dict)
        if not self._whole:
            raise Malformed("a function is no result")
        return functools.partial(function, *args, **keywords)

    def _method(self) -> object:
        instance, name = self._part(), self._part(str)
        if not self._whole:
            raise Malformed("a method is no result")
        return getattr(instance, name)

    def _exception(self) -> BaseException:
        kind, name = self._part(str, int), self._part(str)
        args, attributes = self._part(tuple), self._part(dict)
        if isinstance(kind, str):
            error = _known_exception(kind, args)
        else:
            error = self._own_exception(kind, args)
        if error is None:
            error = RemoteError(*args).with_name(name[:200])
        for attribute, part in attributes.items():
            # A method of the class is not replaced.
            if type(attribute) is str and not callable(getattr(type(error), attribute, None)):
                vars(error)[attribute] = part
        return error

    def _own_exception(self, number: int, args: tuple[object, ...]) -> BaseException:
        cls = self._objects.get(number)
        if not (isinstance(cls, type) and issubclass(cls, Exception)):
            raise Malformed("an exception of what is no class of exceptions")
        return _made(cls, args)


def _known_exception(name: str, args: tuple[object, ...]) -> BaseException | None:
    cls = KNOWN_EXCEPTIONS.get(name)
    if cls is None:
        return None
    try:
        return cls(*args)
    except Exception:
        # A class that wants other arguments than it keeps.
        return _made(cls, args)


def _made(cls: type[BaseException], args: tuple[object, ...]) -> BaseException:
    """An exception, without a call of its own `__new__` or `__init__`."""
    base = next(base for base in cls.__mro__ if base.__module__ == "builtins")
    new: Callable[..., BaseException] = base.__new__
    error = new(cls, *args)
    error.args = args
    return error


_READERS: dict[int, Callable[[Decoder], Any]] = {
    ord(tag): read
    for tag, read in {
        "N": Decoder._none,
        "T": Decoder._true,
        "F": Decoder._false,
        "j": Decoder._small,
        "i": Decoder._int,
        "I": Decoder._large,
        "d": Decoder._float,
        "c": Decoder._complex,
        "s": Decoder._str,
        "b": Decoder._raw,
        "y": Decoder._bytearray,
        "l": Decoder._list,
        "q": Decoder._ints,
        "f": Decoder._floats,
        "t": Decoder._tuple,
        "S": Decoder._set,
        "Z": Decoder._frozenset,
        "D": Decoder._dict,
        "1": Decoder._date,
        "2": Decoder._time,
        "3": Decoder._datetime,
        "4": Decoder._timedelta,
        "5": Decoder._timezone,
        "6": Decoder._decimal,
        "7": Decoder._fraction,
        "8": Decoder._uuid,
        "9": Decoder._path,
        "0": Decoder._range,
        "R": Decoder._object,
        "E": Decoder._enum,
        "n": Decoder._named_tuple,
        "a": Decoder._dataclass,
        "O": Decoder._any_instance,
        "P": Decoder._partial,
        "M": Decoder._method,
        "X": Decoder._exception,
    }.items()
}
