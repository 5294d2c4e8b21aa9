"""The build backend: maturin, with the guest and the program built before.

pip calls the functions below. The order is: the interpreter for the sandbox, with componentize-py; the
extension module; the native code of the interpreter, which the extension module compiles; the program
`wasmpool`; and at last the wheel, in which maturin packs all of it.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import maturin

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
PACKAGE = HERE / "python" / "wasmpool"
SCRIPTS = HERE / "wasmpool.data" / "scripts"
GUEST = ROOT / "guest-tasks" / "python"

Config = dict[str, Any] | None


def build_wheel(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    _prepare()
    return str(maturin.build_wheel(wheel_directory, config_settings, metadata_directory))


def build_editable(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    _prepare()
    return str(maturin.build_editable(wheel_directory, config_settings, metadata_directory))


get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_editable = maturin.get_requires_for_build_editable


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Config = None) -> str:
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return str(maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings))


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def _prepare() -> None:
    # An installer would not find what is built below a folder for itself alone.
    os.environ.setdefault("CARGO_TARGET_DIR", str(ROOT / "target"))
    target = Path(os.environ["CARGO_TARGET_DIR"]).resolve()
    folder = PACKAGE / "guest"
    folder.mkdir(exist_ok=True)
    guest = folder / "python.wasm"
    if _is_older(guest, _sources_of_guest()):
        _make_guest(guest)
    # With the flags of maturin's own call, which then finds everything built.
    _cargo("--manifest-path", str(HERE / "Cargo.toml"), "--lib")
    extension = target / "release" / "lib_wasmpool.so"
    code = folder / "python.cwasm"
    if _is_older(code, [guest, extension]):
        _write(code, _load(extension).compile_guest(guest.read_bytes()))
    # In the workspace, with the features that the extension module has: the engine is built already.
    _cargo("--manifest-path", str(ROOT / "Cargo.toml"), "--package", "wasmpool-cli")
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    shutil.copy2(target / "release" / "wasmpool", SCRIPTS / "wasmpool")


def _sources_of_guest() -> list[Path]:
    wit = [*(GUEST / "wit").glob("*.wit"), ROOT / "wit" / "task.wit"]
    return [*GUEST.glob("*.py"), *wit, *_shared()]


def _shared() -> list[Path]:
    """What both sides of the border have."""
    return [PACKAGE / "_values.py", PACKAGE / "_guest_modules.py"]


def _make_guest(output: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for source in [*GUEST.glob("*.py"), *_shared()]:
            shutil.copy2(source, folder)
        made = Path(folder) / "python.wasm"
        wit = ["-d", str(GUEST / "wit"), "-w", "sandbox"]
        command = ["componentize-py", *wit, "componentize", "-p", folder, "app", "-o", str(made)]
        subprocess.run(command, check=True)
        shutil.move(made, output)


def _cargo(*arguments: str) -> None:
    subprocess.run(["cargo", "build", "--release", "--locked", *arguments], check=True)


def _is_older(file: Path, sources: list[Path]) -> bool:
    if not file.exists():
        return True
    made = file.stat().st_mtime_ns
    return any(source.stat().st_mtime_ns > made for source in sources)


def _load(extension: Path) -> Any:
    loader = importlib.machinery.ExtensionFileLoader("_wasmpool", str(extension))
    spec = importlib.util.spec_from_file_location("_wasmpool", extension, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_wasmpool"] = module
    loader.exec_module(module)
    return module


def _write(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)
