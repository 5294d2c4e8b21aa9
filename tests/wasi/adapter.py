"""Runs the official WASI test suite (WebAssembly/wasi-testsuite) through `wasmpool run`:

    python3 test-runner/wasi_test_runner.py -r .../tests/wasi/adapter.py -t tests/rust/testsuite ...

`WASMPOOL` names the program, with options of its own if need be; by default it is in the PATH.
"""

import os
import shlex
import subprocess

WASMPOOL = shlex.split(os.getenv("WASMPOOL", "wasmpool"))


def get_name():
    return "wasmpool"


def get_version():
    command = WASMPOOL[:1] + ["--version"]
    output = subprocess.run(command, encoding="UTF-8", capture_output=True, check=True).stdout
    return output.split(" ")[1]


def get_wasi_versions():
    return ["wasm32-wasip1", "wasm32-wasip2", "wasm32-wasip3"]


def get_wasi_worlds():
    return ["wasi:cli/command"]


def compute_argv(test_path, *rest):
    """The command line of a test.

    Today's runner passes `(arguments, environment, root)`, with one folder or none as the root,
    then proposals, world and version. Earlier ones had pairs of folders in the place of the root,
    and the first of them passed the three one by one.
    """
    args, env, root = rest[0] if isinstance(rest[0], tuple) else rest[:3]
    dirs = root if isinstance(root, list) else [(root, "/")] if root else []
    argv = WASMPOOL + ["run", "--inherit-stdio"]
    for name, value in env.items():
        argv += ["--env", f"{name}={value}"]
    for host, guest in dirs:
        argv += ["--dir", f"{host}::{guest}"]
    return argv + [str(test_path), "--"] + list(args)
