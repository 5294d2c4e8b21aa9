"""`concurrent.futures`, with a sandbox in place of the process."""

from ._errors import (
    BadResult,
    Crashed,
    Exited,
    InitializerFailed,
    MemoryLimitExceeded,
    NotPortable,
    SandboxError,
    SessionEnded,
    TaskTimeout,
)
from ._executor import Calls, SandboxPoolExecutor
from ._future import Report, SandboxFuture
from ._inside import is_stop_requested, report_progress, time_left
from ._modules import Completed, Module, ModuleTask, Pool, TaskInfo
from ._sandboxed import Sandboxed, sandboxed
from ._scripts import RunResult, Session
from ._values import RemoteError

__all__ = [
    "BadResult",
    "Calls",
    "Completed",
    "Crashed",
    "Exited",
    "InitializerFailed",
    "MemoryLimitExceeded",
    "Module",
    "ModuleTask",
    "NotPortable",
    "Pool",
    "RemoteError",
    "Report",
    "RunResult",
    "SandboxError",
    "SandboxFuture",
    "SandboxPoolExecutor",
    "Sandboxed",
    "Session",
    "SessionEnded",
    "TaskInfo",
    "TaskTimeout",
    "is_stop_requested",
    "report_progress",
    "sandboxed",
    "time_left",
]
