"""What a sandbox costs beside a process: one run of all comparisons, by turns, with medians.

    python benchmarks/compare.py [--rounds 5] [--quick]

Needs the installed package. Pebble and pyeryx are compared with where they are installed. Rates are
calls a second on two workers; a ratio above 1 is in favour of wasmpool.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import importlib.util
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import wasmpool
from wasmpool import SandboxPoolExecutor

WORKERS = 2
SPAWN = multiprocessing.get_context("spawn")


def nothing(n: int = 0) -> int:
    return n


def factorize(n: int) -> list[int]:
    factors = []
    divisor = 2
    while n > 1:
        if divisor > n // divisor:
            divisor = n
        while n % divisor == 0:
            factors.append(divisor)
            n //= divisor
        divisor += 1 if divisor == 2 else 2
    return factors


def spin() -> None:
    while True:
        pass


def explode() -> None:
    re.match(r"(a+)+$", "a" * 40 + "b")


def nap() -> None:
    time.sleep(3600)


Arms = dict[str, Callable[[], float]]


def by_turns(arms: Arms, rounds: int) -> dict[str, float]:
    """The median of each arm, which take turns."""
    measured: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, arm in arms.items():
            measured[name].append(arm())
    return {name: statistics.median(values) for name, values in measured.items()}


def rate(n: int, work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return n / (time.perf_counter() - started)


def submitted(executor: concurrent.futures.Executor, n: int) -> float:
    def work() -> None:
        for future in [executor.submit(nothing) for _ in range(n)]:
            future.result()

    return rate(n, work)


def fresh(rounds: int, scale: int) -> None:
    one, two = SandboxPoolExecutor(1), SandboxPoolExecutor(WORKERS)
    for executor in (one, two):
        executor.submit(nothing).result()

    def processes() -> float:
        n = 8 * scale
        with concurrent.futures.ProcessPoolExecutor(
            WORKERS, mp_context=SPAWN, max_tasks_per_child=1
        ) as pool:
            return submitted(pool, n)

    def commands() -> float:
        n = 20 * scale
        command = [sys.executable, "-I", "-c", "0"]
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as threads:
            run = lambda _: subprocess.run(command, check=True)  # noqa: E731
            return rate(n, lambda: list(threads.map(run, range(n))))

    arms: Arms = {
        "wasmpool, 2 workers": lambda: submitted(two, 200 * scale),
        "wasmpool, 1 worker": lambda: submitted(one, 100 * scale),
        "ProcessPoolExecutor(max_tasks_per_child=1)": processes,
        "subprocess.run([python, -I, -c])": commands,
    }
    if importlib.util.find_spec("eryx"):
        import eryx

        def sandboxes() -> float:
            n = 30 * scale
            with concurrent.futures.ThreadPoolExecutor(WORKERS) as threads:
                run = lambda _: eryx.Sandbox().execute("0")  # noqa: E731
                return rate(n, lambda: list(threads.map(run, range(n))))

        arms["pyeryx, a new sandbox each"] = sandboxes
    show("A fresh interpreter for each call, a second", by_turns(arms, rounds), arms)
    one.shutdown()
    two.shutdown()


def warm(rounds: int, scale: int) -> None:
    sandboxes = SandboxPoolExecutor(WORKERS, isolation="worker")
    processes = concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=SPAWN)
    for executor in (sandboxes, processes):
        for future in [executor.submit(nothing) for _ in range(200)]:
            future.result()
    arms: Arms = {
        "wasmpool": lambda: submitted(sandboxes, 1000 * scale),
        "ProcessPoolExecutor": lambda: submitted(processes, 1000 * scale),
    }
    show("submit, warm, a second", by_turns(arms, rounds), arms)

    def mapped(executor: concurrent.futures.Executor) -> float:
        n = 10_000 * scale
        return rate(n, lambda: list(executor.map(nothing, range(n), chunksize=64)))

    arms = {
        "wasmpool": lambda: mapped(sandboxes),
        "ProcessPoolExecutor": lambda: mapped(processes),
    }
    show("map(chunksize=64), warm, a second", by_turns(arms, rounds), arms)
    prime = (1 << 38) - 45
    arms = {
        "wasmpool": lambda: rate(1, lambda: sandboxes.submit(factorize, prime).result()),
        "native CPython": lambda: rate(1, lambda: factorize(prime)),
    }
    show("A loop that computes, a second", by_turns(arms, rounds), arms)
    sandboxes.shutdown()
    processes.shutdown()


def stopping(rounds: int) -> None:
    with SandboxPoolExecutor(1) as executor:
        executor.submit(nothing).result()

        def after_cancel(function: Callable[[], None]) -> float:
            future = executor.submit(function)
            while not future.running():
                time.sleep(0.001)
            time.sleep(0.01)
            started = time.perf_counter()
            future.cancel()
            executor.submit(nothing).result()
            return (time.perf_counter() - started) * 1e3

        def after_timeout(function: Callable[[], None]) -> float:
            future = executor.options(timeout=0.05).submit(function)
            following = executor.submit(nothing)
            future.exception()
            started = time.perf_counter()
            following.result()
            return (time.perf_counter() - started) * 1e3

        arms: Arms = {}
        for function in (spin, nap, explode):
            name = function.__name__
            arms[f"wasmpool, cancel of {name}"] = lambda f=function: after_cancel(f)  # type: ignore[misc]
            arms[f"wasmpool, timeout of {name}"] = lambda f=function: after_timeout(f)  # type: ignore[misc]
        if importlib.util.find_spec("pebble"):
            arms["Pebble, timeout of spin"] = pebble_after_timeout
        show("Until the next result on the same worker, ms", by_turns(arms, rounds), {})


def pebble_after_timeout() -> float:
    import pebble

    with pebble.ProcessPool(1, context=SPAWN) as pool:
        pool.schedule(nothing).result()
        future = pool.schedule(spin, timeout=0.5)
        following = pool.schedule(nothing)
        future.exception()
        started = time.perf_counter()
        following.result()
        return (time.perf_counter() - started) * 1e3


def leak() -> None:
    import builtins

    builtins.leaked = [bytearray(1000) for _ in range(1000)]  # type: ignore[attr-defined]


def fill() -> object:
    blocks = []
    while True:
        blocks.append(bytearray(1 << 20))


def recurse() -> int:
    return 1 + recurse()


def leave() -> None:
    os._exit(1)


def flood() -> None:
    for _ in range(1000):
        print("x" * 1000)


def misbehaving(scale: int) -> None:
    functions = [leak, fill, recurse, leave, flood]
    n = 200 * scale
    with SandboxPoolExecutor(WORKERS, memory_limit="64MiB", timeout=30) as executor:
        sizes = []
        for _ in range(3):
            for future in [executor.submit(functions[i % 5]) for i in range(n)]:
                future.exception()
            sizes.append(resident(os.getpid()))
            assert executor.submit(nothing, 7).result() == 7
    grown = " -> ".join(f"{size >> 20} MiB" for size in sizes)
    print(f"\nThree times {n} calls that leak, fill memory, recurse, exit, flood: resident {grown}")


def starting(rounds: int) -> None:
    program = (
        "import sys, time\n"
        "started = time.perf_counter()\n"
        "from wasmpool import SandboxPoolExecutor\n"
        "imported = time.perf_counter()\n"
        "with SandboxPoolExecutor(2) as executor:\n"
        "    executor.submit(abs, -1).result()\n"
        "    first = time.perf_counter()\n"
        "    status = open('/proc/self/status').read()\n"
        "rss = next(l.split()[1] for l in status.splitlines() if l.startswith('VmRSS'))\n"
        "print(imported - started, first - started, rss)\n"
    )
    found = []
    for _ in range(rounds):
        printed = subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        )
        found.append([float(number) for number in printed.stdout.split()])
    imported, first, size = (statistics.median(column) for column in zip(*found, strict=True))
    package = Path(wasmpool.__file__).parent
    files = sum(file.stat().st_size for file in package.rglob("*") if file.is_file())
    print(f"\nimport {imported * 1e3:.0f} ms, first result {first * 1e3:.0f} ms after the start of it,")
    print(f"resident then {size / 1024:.0f} MiB, installed {files >> 20} MiB")


def resident(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) << 10


def show(title: str, medians: dict[str, float], arms: Arms) -> None:
    print(f"\n{title}")
    ours = next(iter(medians.values()))
    for name, value in medians.items():
        ratio = "" if not arms or value == ours else f"  {ours / value:8.2f}"
        print(f"  {name:45} {value:10.1f}{ratio}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="how often each arm is measured")
    parser.add_argument("--quick", action="store_true", help="a fifth of the calls")
    args = parser.parse_args()
    scale = 1 if args.quick else 5
    print(f"wasmpool and Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    starting(args.rounds)
    fresh(args.rounds, scale)
    warm(args.rounds, scale)
    stopping(args.rounds)
    misbehaving(scale)


if __name__ == "__main__":
    main()
