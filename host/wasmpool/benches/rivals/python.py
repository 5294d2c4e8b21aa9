"""Python's process pool, measured from inside.

Reads orders from standard input, `WAY N TIMES` each on a line. Answers each with the seconds
that it took and the sum of all that came out, which the one who asks compares with its own.
"""

import itertools
import sys
import time
from concurrent.futures import ProcessPoolExecutor

WORKERS = int(sys.argv[1])


def factorize(n):
    """As `guest-tasks/factorizer` does it."""
    factors = []
    rest, divisor = n, 2
    while rest > 1:
        quotient, remainder = divmod(rest, divisor)
        if remainder == 0:
            factors.append(divisor)
            rest = quotient
        elif quotient < divisor:
            factors.append(rest)
            break
        else:
            divisor += 1 if divisor == 2 else 2
    return factors


def echo(data):
    return data


def submit(pool, n, times):
    futures = [pool.submit(factorize, n) for _ in range(times)]
    return [future.result() for future in futures]


def round_trip(pool, n, times):
    return [pool.submit(factorize, n).result() for _ in range(times)]


def mapped(pool, n, times):
    return list(pool.map(factorize, itertools.repeat(n, times), chunksize=64))


def echoes(pool, data, times):
    for _ in range(times):
        echoed = pool.submit(echo, data).result()
    return [echoed]


def clocked(way, *arguments):
    started = time.perf_counter()
    results = way(*arguments)
    return time.perf_counter() - started, results


def cold(n, times):
    seconds, results = 0, []
    for _ in range(times):
        started = time.perf_counter()
        with ProcessPoolExecutor(WORKERS) as pool:
            results.append(pool.submit(factorize, n).result())
            seconds += time.perf_counter() - started
    return seconds, results


def main():
    with ProcessPoolExecutor(WORKERS) as pool:
        for order in sys.stdin:
            way, n, times = order.split()
            n, times = int(n), int(times)
            if way == "cold":
                seconds, results = cold(n, times)
            elif way == "echo":
                seconds, results = clocked(echoes, pool, bytes([0xAB]) * n, times)
            else:
                ways = {"submit": submit, "round_trip": round_trip, "map": mapped}
                seconds, results = clocked(ways[way], pool, n, times)
            print(seconds, sum(map(sum, results)), flush=True)


if __name__ == "__main__":
    main()
