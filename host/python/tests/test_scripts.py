"""Source text, sessions, and functions of the host."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from wasmpool import NotPortable, SandboxPoolExecutor, SessionEnded, TaskTimeout


def test_a_run_gives_its_value_its_output_and_its_names(executor: SandboxPoolExecutor) -> None:
    result = executor.run("print('n is', n)\nm = 2 * n\nm + 1", outputs=["m", "none"], n=4)
    assert (result.value, result.stdout, result.error) == (9, "n is 4\n", None)
    assert result.outputs == {"m": 8}
    assert result.check() is result


def test_an_error_has_its_lines(executor: SandboxPoolExecutor) -> None:
    result = executor.run("def f():\n    return 1 / 0\n\nprint('before')\nf()")
    assert isinstance(result.error, ZeroDivisionError)
    assert result.stdout == "before\n"
    assert "line 5" in result.traceback and "return 1 / 0" in result.traceback
    with pytest.raises(ZeroDivisionError):
        result.check()


def test_a_mistake_of_syntax_is_an_error_of_the_run(executor: SandboxPoolExecutor) -> None:
    result = executor.run("x = (")
    assert isinstance(result.error, SyntaxError)
    assert "x = (" in result.traceback


def test_a_run_that_spins_is_stopped(executor: SandboxPoolExecutor) -> None:
    result = executor.options(timeout=0.1).run("print('begun', flush=True)\nwhile True: pass")
    assert isinstance(result.error, TaskTimeout)
    assert result.stdout == "begun\n"


def test_inputs_are_data(executor: SandboxPoolExecutor) -> None:
    with pytest.raises(NotPortable, match="an input cannot travel"):
        executor.run("1", lock=threading.Lock())


def test_runs_share_no_names(executor: SandboxPoolExecutor) -> None:
    assert executor.run("a = 1").error is None
    assert isinstance(executor.run("a").error, NameError)


def test_a_session_keeps_its_names(executor: SandboxPoolExecutor) -> None:
    with executor.session() as session, executor.session() as other:
        session.run("a = 1\ndef f(): return a")
        assert session.run("a += n; f()", n=10).value == 11
        assert isinstance(other.run("a").error, NameError)
        assert isinstance(session.run("1 / 0").error, ZeroDivisionError)
        assert session.run("a").value == 11, "an exception does not end it"


def test_a_session_ends_with_a_run_that_is_stopped(executor: SandboxPoolExecutor) -> None:
    with executor.session(timeout=0.2) as session:
        session.run("a = 1")
        assert isinstance(session.run("while True: pass").error, TaskTimeout)
        assert isinstance(session.run("a").error, SessionEnded)
        session.restart()
        assert isinstance(session.run("a").error, NameError)


# Functions of the host.


def ask(question: str) -> Any:
    return answer(question)  # type: ignore[name-defined]  # noqa: F821


def ask_carefully(question: str) -> str:
    try:
        return str(answer(question))  # type: ignore[name-defined]  # noqa: F821
    except KeyError as error:
        return f"caught {error.args[0]}"


def length(text: str) -> int:
    if not text:
        raise KeyError("empty")
    return len(text)


async def length_async(text: str) -> int:
    await asyncio.sleep(0.001)
    return length(text)


@pytest.mark.parametrize("function", [length, length_async])
def test_sandboxed_code_calls_functions_that_it_was_given(
    executor: SandboxPoolExecutor, function: Any
) -> None:
    given = executor.options(functions={"answer": function})
    assert given.submit(ask, "four").result() == 4
    assert given.submit(ask_carefully, "").result() == "caught empty"
    assert given.run("[answer('x' * n) for n in range(1, 5)]").value == [1, 2, 3, 4]
    with pytest.raises(KeyError, match="empty"):
        given.submit(ask, "").result()


def test_other_code_cannot_call_them(executor: SandboxPoolExecutor) -> None:
    with pytest.raises(NameError):
        executor.submit(ask, "x").result()
    given = executor.options(functions={"answer": length})
    forged = given.run("import runner; runner.HostFunction('__import__')('os')")
    assert isinstance(forged.error, NameError)
    bare = executor.run("import runner; runner.HostFunction('answer')('x')")
    assert bare.error is not None


def test_what_they_return_is_data(executor: SandboxPoolExecutor) -> None:
    given = executor.options(functions={"answer": lambda _: threading.Lock()})
    with pytest.raises(TypeError, match="cannot go into the sandbox"):
        given.submit(ask, "x").result()


def test_what_they_are_given_is_data(executor: SandboxPoolExecutor) -> None:
    seen: list[Any] = []
    given = executor.options(functions={"note": seen.append})
    assert isinstance(given.run("note(note)").error, TypeError)
    assert given.run("note({'a': [1]})").error is None
    assert seen == [{"a": [1]}]


def test_their_calls_are_counted() -> None:
    with SandboxPoolExecutor(1, functions={"answer": length}, function_call_limit=10) as executor:
        result = executor.run("for n in range(20): print(answer('x'))")
        assert isinstance(result.error, RuntimeError)
        assert result.stdout == "1\n" * 10


def test_a_session_has_the_functions_of_its_executor() -> None:
    with (
        SandboxPoolExecutor(1, functions={"answer": length}) as executor,
        executor.session() as session,
    ):
        session.run("def f(text): return answer(text)")
        assert session.run("f('abc')").value == 3


def test_a_call_that_waits_for_a_function_can_be_cancelled() -> None:
    release, entered = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        release.wait(60)

    with SandboxPoolExecutor(1, functions={"answer": lambda _: block()}) as executor:
        future = executor.submit(ask, "x")
        assert entered.wait(30)
        assert executor.submit(abs, -1).result() == 1, "it holds no worker"
        assert future.cancel()
        release.set()


# Rights.


def test_rights_are_what_was_granted(executor: SandboxPoolExecutor, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    read = "import os\nopen('/data/file').read(), os.environ.get('KEY')"
    assert executor.run(read).error is not None
    given = executor.options(dirs={"/data": tmp_path}, env={"KEY": "value"})
    assert given.run(read).value == ("content", "value")
    assert given.run("open('/data/new', 'w')").error is not None
    writing = executor.options(dirs={"/data": (tmp_path, "rw")})
    assert writing.run("open('/data/new', 'w').write('x')").value == 1
    assert (tmp_path / "new").read_text() == "x"
    with pytest.raises(ValueError):
        executor.options(dirs={"/data": tmp_path / "absent"})
