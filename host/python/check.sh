#!/usr/bin/env bash
# Builds and installs the Python package in a virtual environment of its own, as `pip` does it for
# users, and checks it there: tests, types, style. `PYTHON` is the interpreter, at least 3.10.
# `check.sh --sources` checks only the types and the style of the sources, which needs no build.
#
# Uses the target folder of the workspace, or `CARGO_TARGET_DIR`.
set -euo pipefail
cd "$(dirname "$0")"

python=${PYTHON:-python3}
target=$(realpath -m "${CARGO_TARGET_DIR:-../../target}")
export CARGO_TARGET_DIR=$target
venv=$target/python-venv
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
	echo "$python is older than Python 3.10" >&2
	exit 1
}
"$python" -m venv --clear "$venv"
if [[ ${1:-} == --sources ]]; then
	"$venv/bin/pip" install --quiet --disable-pip-version-check mypy ruff
else
	"$venv/bin/pip" install --quiet --disable-pip-version-check '.[test]'
	# The tests use the installed package: from here, the sources are not on the path.
	"$venv/bin/python" -m pytest tests
	MYPYPATH=python:tests "$venv/bin/mypy" tests
fi
"$venv/bin/mypy"
"$venv/bin/ruff" format --check python tests build benchmarks ../../guest-tasks/python
"$venv/bin/ruff" check python tests build benchmarks ../../guest-tasks/python
