"""The native half of the package: a pool of interpreters that passes bytes."""

from pathlib import Path

Outcome = tuple[
    int,
    bytes | None,
    tuple[str, str, int | None, str] | None,
    tuple[float, float, float, int, bytes, int, bytes, int, int | None],
]

class Rights:
    def __new__(
        cls,
        dirs: list[tuple[str, str, bool]],
        env: list[tuple[str, str]],
        net: list[str],
        functions: bool,
    ) -> Rights: ...

class TaskReference: ...

class Call:
    def cancel(self) -> bool: ...
    def is_running(self) -> bool: ...
    def progress(self) -> tuple[int, int | None] | None: ...

class SessionHandle:
    def close(self) -> None: ...
    def restart(self) -> None: ...

class HostCallRequest:
    @property
    def name(self) -> str: ...
    @property
    def arguments(self) -> bytes: ...
    @property
    def ticket(self) -> int: ...
    @property
    def is_stopping(self) -> bool: ...
    def reply(self, is_result: bool, encoded: bytes) -> None: ...

class Engine:
    def __new__(
        cls,
        *,
        workers: int | None,
        warm: bool,
        max_tasks: int | None,
        output_limit: int,
        payload_limit: int,
        max_suspended: int,
        max_sessions: int,
        rights: Rights,
        guest: Path,
        code: Path | None,
    ) -> Engine: ...
    @property
    def workers(self) -> int: ...
    @property
    def notice(self) -> str | None: ...
    def task(
        self,
        *,
        timeout: float | None,
        compute_timeout: float | None,
        queue_timeout: float | None,
        memory_limit: int | None,
        fresh: bool,
        rights: Rights | None,
    ) -> TaskReference: ...
    def submit(self, task: TaskReference, ticket: int, request: bytes, tagged: bool) -> Call: ...
    def submit_to(
        self, session: SessionHandle, task: TaskReference, ticket: int, request: bytes
    ) -> Call: ...
    def session(self) -> SessionHandle: ...
    def outcomes(self) -> list[Outcome]: ...
    def stop_delivery(self) -> None: ...
    def host_call(self, timeout: float) -> HostCallRequest | None: ...
    def shutdown(self) -> None: ...

class ModuleTask: ...

class LoadedModule:
    def tasks(self) -> list[tuple[str, list[str], str, str | None]]: ...
    def task(
        self,
        name: str,
        *,
        timeout: float | None,
        compute_timeout: float | None,
        queue_timeout: float | None,
        memory_limit: int | None,
    ) -> ModuleTask: ...

class ModulePool:
    def __new__(
        cls,
        *,
        workers: int | None,
        warm: bool,
        output_limit: int,
        payload_limit: int,
        max_suspended: int,
    ) -> ModulePool: ...
    @property
    def workers(self) -> int: ...
    def load(self, path: str, rights: Rights) -> LoadedModule: ...
    def submit(self, task: ModuleTask, ticket: int, json: str) -> Call: ...
    def run(
        self,
        module: LoadedModule,
        ticket: int,
        args: list[str],
        env: list[tuple[str, str]],
        stdin: bytes,
        *,
        timeout: float | None,
        memory_limit: int | None,
    ) -> Call: ...
    def outcomes(self) -> list[Outcome]: ...
    def stop_delivery(self) -> None: ...
    def shutdown(self) -> None: ...

def compile_guest(guest: bytes) -> bytes: ...
