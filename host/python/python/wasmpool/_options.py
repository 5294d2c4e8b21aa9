"""The options of calls: what is given once to the executor, or anew for some calls."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypedDict

Isolation = Literal["task", "worker"]
Size = int | str
Path = str | os.PathLike[str]
Dirs = Mapping[str, "Path | tuple[Path, Literal['ro', 'rw']]"]
Functions = Mapping[str, Callable[..., Any]]

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_UNITS |= {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


class OptionArguments(TypedDict, total=False):
    """The keywords of `SandboxPoolExecutor.options`."""

    timeout: float | None
    compute_timeout: float | None
    queue_timeout: float | None
    memory_limit: Size | None
    isolation: Isolation
    dirs: Dirs
    env: Mapping[str, str]
    allow_net: Iterable[str]
    functions: Functions


@dataclass(frozen=True)
class Options:
    """Limits and rights of calls."""

    timeout: float | None = None
    compute_timeout: float | None = None
    queue_timeout: float | None = None
    memory_limit: int | None = None
    isolation: Isolation = "task"
    dirs: Dirs = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    allow_net: tuple[str, ...] = ()
    functions: Functions = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("timeout", "compute_timeout", "queue_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise ValueError(f"`{name}` is {seconds!r}, and must be above 0, in seconds")
        if self.isolation not in ("task", "worker"):
            raise ValueError(f'`isolation` is {self.isolation!r}, and must be "task" or "worker"')
        for name, function in self.functions.items():
            if not name.isidentifier():
                raise ValueError(f"the function `{name}` has no name that Python code can call")
            if not callable(function):
                raise TypeError(f"the function `{name}` is a `{type(function).__name__}`")

    def but(self, given: OptionArguments) -> Options:
        """The same with other values for some."""
        values: dict[str, Any] = dict(given)
        if isinstance(values.get("memory_limit"), str):
            values["memory_limit"] = size(values["memory_limit"])
        if "allow_net" in values:
            values["allow_net"] = addresses(values["allow_net"])
        return replace(self, **values)

    def rights(self) -> tuple[list[tuple[str, str, bool]], list[tuple[str, str]], list[str], bool]:
        """The rights, as the native half takes them."""
        dirs = []
        for guest, host in self.dirs.items():
            path, access = host if isinstance(host, tuple) else (host, "ro")
            if access not in ("ro", "rw"):
                raise ValueError(f'the access to `{guest}` is {access!r}, and must be "ro" or "rw"')
            dirs.append((os.fspath(path), guest, access == "rw"))
        return dirs, list(self.env.items()), list(self.allow_net), bool(self.functions)


def size(value: Size) -> int:
    """A size in bytes: a number, or text such as `"64MiB"`."""
    if isinstance(value, int):
        if value <= 0:
            raise ValueError(f"{value} is no size: it must be above 0, in bytes")
        return value
    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", value)
    unit = _UNITS.get(match[2].upper()) if match else None
    if match is None or unit is None:
        raise ValueError(f'{value!r} is no size: write a number of bytes, or text such as "64MiB"')
    return int(float(match[1]) * unit)


def addresses(value: Iterable[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
