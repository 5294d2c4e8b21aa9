"""Programs of Python's documentation and of articles, with nothing changed but the executor's name."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

# From the documentation of `concurrent.futures`; of its six numbers the first and the last.
PRIMES = """
import concurrent.futures
import math

PRIMES = [
    112272535095293,
    1099726899285419]

def is_prime(n):
    if n < 2:
        return False
    if n == 2:
        return True
    if n % 2 == 0:
        return False

    sqrt_n = int(math.floor(math.sqrt(n)))
    for i in range(3, sqrt_n + 1, 2):
        if n % i == 0:
            return False
    return True

def main():
    with concurrent.futures.ProcessPoolExecutor() as executor:
        for number, prime in zip(PRIMES, executor.map(is_prime, PRIMES)):
            print('%d is prime: %s' % (number, prime))

if __name__ == '__main__':
    main()
"""

SUBMIT = """
import concurrent.futures
with concurrent.futures.ProcessPoolExecutor(max_workers=1) as executor:
    future = executor.submit(pow, 323, 1235)
    print(future.result() == 323 ** 1235)
"""

# In the manner of the documentation's example with URLs.
FUTURES_TO_INPUTS = """
import concurrent.futures

def load(text, timeout):
    if text.startswith('bad'):
        raise ValueError('no such page')
    return text * 100

TEXTS = ['one', 'two', 'bad']
if __name__ == '__main__':
    with concurrent.futures.ProcessPoolExecutor(max_workers=5) as executor:
        future_to_text = {executor.submit(load, text, 60): text for text in TEXTS}
        lines = []
        for future in concurrent.futures.as_completed(future_to_text):
            text = future_to_text[future]
            try:
                data = future.result()
            except Exception as exc:
                lines.append('%r generated an exception: %s' % (text, exc))
            else:
                lines.append('%r page is %d bytes' % (text, len(data)))
        print('\\n'.join(sorted(lines)))
"""

# Of articles: a worker class with a method, an initializer with a global, results as they come.
INITIALIZER = """
import concurrent.futures
import time
from dataclasses import dataclass

table = None

def init(size):
    global table
    table = [n * n for n in range(size)]

@dataclass
class Square:
    n: int
    square: int

def square(n):
    time.sleep(0.001)
    return Square(n, table[n])

if __name__ == '__main__':
    with concurrent.futures.ProcessPoolExecutor(2, initializer=init, initargs=(10,)) as executor:
        futures = [executor.submit(square, n) for n in range(10)]
        done, not_done = concurrent.futures.wait(futures)
        print(len(done), len(not_done), sum(future.result().square for future in done))
"""

EXPECTED = {
    PRIMES: "112272535095293 is prime: True\n1099726899285419 is prime: False\n",
    SUBMIT: "True\n",
    FUTURES_TO_INPUTS: (
        "'bad' generated an exception: no such page\n'one' page is 300 bytes\n'two' page is 300 bytes\n"
    ),
    INITIALIZER: "10 0 285\n",
}


@pytest.mark.parametrize("program", EXPECTED)
def test_a_program_prints_what_it_prints_with_processes(program: str, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    ours = program.replace("concurrent.futures.ProcessPoolExecutor", "wasmpool.SandboxPoolExecutor")
    assert ours != program
    file.write_text("import wasmpool\n" + ours)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.returncode) == (EXPECTED[program], 0), done.stderr


def test_calls_end_before_the_program_does(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(
        "import time, wasmpool\n"
        "executor = wasmpool.SandboxPoolExecutor(1)\n"
        "future = executor.submit(time.sleep, 0.2)\n"
        "future.add_done_callback(lambda future: print(future.result(), flush=True))\n"
    )
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.stderr, done.returncode) == ("None\n", "", 0)


def test_code_of_a_prompt_is_refused_or_runs() -> None:
    program = (
        "import wasmpool\n"
        "def f(): return 5\n"
        "with wasmpool.SandboxPoolExecutor(1) as executor:\n"
        "    try: print(executor.submit(f).result())\n"
        "    except wasmpool.NotPortable as error: print('no source' in str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert done.stdout in ("5\n", "True\n"), done.stderr


def test_the_examples_of_the_docstrings_hold() -> None:
    from wasmpool import _executor

    assert doctest.testmod(_executor).failed == 0
