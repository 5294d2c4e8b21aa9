"""The component: its export, and the modules that its snapshot has imported.

componentize-py imports this file and keeps the state of the interpreter, so that an import costs a
sandbox nothing. What is not imported here does not exist in a sandbox.
"""

import gc
import importlib

import runner
import wasmpool  # noqa: F401
import wit_world  # made by componentize-py
from _guest_modules import LAZY, MODULES


class WitWorld(wit_world.WitWorld):
    def run(self, request: bytes) -> bytes:
        return runner.run(request)


for name in (*sorted(MODULES), *LAZY):
    importlib.import_module(name)

# What is there now stays: the collector need not look at it, nor write to its memory.
gc.collect()
gc.freeze()
