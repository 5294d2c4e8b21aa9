"""Values as bytes: whatever goes in comes out, and no bytes do harm."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import random
import typing
import uuid
from typing import Any

import pytest
from wasmpool import RemoteError, SandboxPoolExecutor
from wasmpool._values import MAX_DEPTH, Decoder, Encoder, Malformed, TooLarge, Unencodable


class Level(enum.IntEnum):
    LOW = 1


class Bits(enum.Flag):
    A = 1
    B = 2


class Named(typing.NamedTuple):
    a: int


@dataclasses.dataclass
class Record:
    a: int
    b: list[int] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        raise AssertionError("decoding calls no code of the class")


class Broken(Exception):
    def __init__(self, code: int, what: str) -> None:
        super().__init__(f"{code}: {what}")
        self.code = code


CLASSES = {0: Level, 1: Named, 2: Record, 3: Broken, 4: Bits}
NUMBERS = {id(cls): number for number, cls in CLASSES.items()}

UTC = datetime.timezone.utc
VALUES: list[Any] = [
    None,
    True,
    False,
    *[
        sign * (1 << bits) + delta
        for bits in (0, 7, 8, 63, 64, 5000)
        for sign in (1, -1)
        for delta in (-1, 0, 1)
    ],
    0.1,
    float("inf"),
    1 + 2j,
    "",
    "ä\U0001f600\ud800",
    b"\0",
    bytearray(b"x"),
    [],
    list(range(100)),
    [2**70] * 10,
    [0.5] * 10,
    [True] * 10,
    [1, 2.0, "3"] * 10,
    (),
    (1, (2,)),
    {1, "a"},
    frozenset({1}),
    {},
    {"a": 1, 2: [3], (4,): None},
    datetime.date(1, 1, 1),
    datetime.time(1, 2, 3, 4, fold=1),
    datetime.datetime(2020, 1, 1),
    datetime.datetime(2020, 1, 1, tzinfo=UTC),
    datetime.timedelta(-1, 5, 7),
    datetime.timezone(datetime.timedelta(hours=-3)),
    decimal.Decimal("-1.10"),
    decimal.Decimal("1E+999999"),
    fractions.Fraction(-1, 3),
    uuid.UUID(int=5),
    pathlib.Path("/a/b"),
    pathlib.PurePosixPath("x"),
    range(1, 10, 2),
    Level.LOW,
    Bits.A | Bits.B,
    Named(5),
]


def encoded(value: object) -> bytes:
    return Encoder(lambda cls: NUMBERS.get(id(cls)), 1 << 20).encode(value)


def decoded(data: bytes) -> Any:
    return Decoder(data, CLASSES).decode()


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value!r:.30}")
def test_a_value_comes_out_as_it_went_in(value: Any) -> None:
    result = decoded(encoded(value))
    assert result == value
    assert type(result) is type(value)


def test_values_make_the_round_trip_through_a_sandbox(executor: SandboxPoolExecutor) -> None:
    plain = [value for value in VALUES if not isinstance(value, enum.Enum | Named)]
    assert executor.submit(lambda *values: values, *plain).result() == tuple(plain)


def test_a_dataclass_is_rebuilt_without_its_code() -> None:
    record = object.__new__(Record)
    record.a, record.b = 1, [2]
    assert decoded(encoded(record)) == record


def test_an_exception_is_rebuilt_without_its_code() -> None:
    error = decoded(encoded(Broken(7, "bad")))
    assert type(error) is Broken
    assert error.args == ("7: bad",)
    assert error.code == 7


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x", 1),
        KeyError("k"),
        FileNotFoundError(2, "no"),
        UnicodeDecodeError("u", b"a", 0, 1, "r"),
    ],
)
def test_built_in_exceptions_keep_their_arguments(error: Exception) -> None:
    result = decoded(encoded(error))
    assert type(result) is type(error)
    assert result.args == error.args


def test_an_exception_of_an_unknown_class_is_a_remote_error() -> None:
    class Unknown(Exception):
        pass

    error = decoded(encoded(Unknown("x")))
    assert type(error) is RemoteError
    assert "Unknown: x" in str(error)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), GeneratorExit()])
def test_exceptions_that_end_a_program_are_not_rebuilt(error: BaseException) -> None:
    assert type(decoded(encoded(error))) is RemoteError


def test_a_list_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(Unencodable, match="contains itself"):
        encoded(endless)


def test_values_that_grow_as_they_are_written_are_refused() -> None:
    value: list[Any] = []
    for _ in range(60):
        value = [value, value]
    with pytest.raises(TooLarge):
        encoded(value)


def test_nested_exceptions_take_no_time_that_doubles() -> None:
    error = ValueError()
    for _ in range(MAX_DEPTH * 2):
        error = ValueError(error)
    assert type(decoded(encoded(error))) is ValueError


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "an unknown tag": b"?",
    "two values": b"NN",
    "a list of more than there is": b"l\xff\xff\xff\xff",
    "a text of more than there is": b"s\xff\xff\xff\xffabc",
    "no text": b"s\1\0\0\0\xff",
    "nesting without end": b"l\1\0\0\0" * 10_000 + b"N",
    "tuples in sets without end": (b"t\1\0\0\0" + b"Z\1\0\0\0") * 10_000 + b"N",
    "dates nested without end": b"1" * 10_000,
    "a list in a set": b"S\1\0\0\0l\0\0\0\0",
    "a list as a key": b"D\1\0\0\0l\0\0\0\0N",
    "a date that does not exist": b"1j\0",
    "a time that is no text": b"2N",
    "a fraction over zero": b"7j\1j\0",
    "a decimal that is no number": b"6s\1\0\0\0x",
    "packed numbers that are cut": b"q\7\0\0\0abcdefg",
    "a range without a step": b"0j\0j\1j\0",
    "a function": b"Rj\0",
    "a class": b"Rj\2",
    "a partial": b"PRj\2t\0\0\0\0D\0\0\0\0",
    "a method": b"MNs\1\0\0\0x",
    "an instance of any class": b"Oj\2D\0\0\0\0",
    "a class that is not there": b"aj\x63D\0\0\0\0",
    "a dataclass with other fields": b"aj\2" + b"D\1\0\0\0s\1\0\0\0zN",
    "a dataclass with a method": b"aj\2" + b"D\1\0\0\0s\x0d\0\0\0__post_init__N",
    "an enum as a dataclass": b"aj\0D\0\0\0\0",
    "a dataclass as an enum": b"Ej\2s\1\0\0\0A",
    "a member that does not exist": b"Ej\0s\7\0\0\0__new__",
    "a named tuple with too many fields": b"nj\1t\2\0\0\0NN",
    "a dataclass as an exception": b"Xj\2s\1\0\0\0xt\0\0\0\0D\0\0\0\0",
    "an exception of a negative number": b"Xj\xffs\1\0\0\0xt\0\0\0\0D\0\0\0\0",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_malformed(name: str) -> None:
    with pytest.raises(Malformed):
        decoded(HOSTILE[name])


def test_a_fraction_that_takes_long_to_reduce_is_malformed() -> None:
    with pytest.raises(Malformed, match="bits"):
        decoded(encoded(fractions.Fraction(3**20_000, 7)))


def test_keys_with_one_hash_are_malformed() -> None:
    prime = (1 << 61) - 1
    keys = {n * prime: None for n in range(1, 100)}
    with pytest.raises(Malformed, match="same hash"):
        decoded(encoded(keys))
    with pytest.raises(Malformed, match="same hash"):
        decoded(encoded(set(keys)))


def test_attributes_of_an_exception_replace_no_method() -> None:
    error = ValueError("x")
    vars(error)["with_traceback"] = 5
    vars(error)["code"] = 5
    result = decoded(encoded(error))
    assert callable(result.with_traceback)
    assert result.code == 5


def test_random_bytes_are_values_or_malformed() -> None:
    source = random.Random(1)
    good = [encoded(value) for value in VALUES]
    for _ in range(20_000):
        data = bytearray(source.choice(good) + source.choice(good))
        for _ in range(source.randrange(1, 8)):
            data[source.randrange(len(data))] = source.choice(
                b"NTFjiIdcsbylqftSZD0123456789REnaOPMX\0\1\2\xff"
            )
        with contextlib.suppress(Malformed):
            decoded(bytes(data))


def test_what_is_decoded_is_bounded_by_the_bytes() -> None:
    import tracemalloc

    data = b"l" + (20_000).to_bytes(4, "little") + b"S\0\0\0\0" * 20_000
    tracemalloc.start()
    value = decoded(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(value) == 20_000
    assert peak < 60 * len(data)
