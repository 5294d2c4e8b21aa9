"""Python's process pools, measured from inside.

Started as `python.py ARM WORKERS WAY`. `serve` reads orders from standard input, each a line of
JSON `[WAY, WHAT]`, and answers each with a line `{"seconds": ..., "result": ...}` or
`{"error": ...}`; whoever asks compares the results with its own. `version` and `first` do one thing and end.
"""

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor

CHUNK = 64
MASK = (1 << 64) - 1


# The tasks.


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


def spin(ms):
    """For longer than anybody waits, and not for ever: who would end it may be ended first."""
    end = time.monotonic() + ms / 1000
    while time.monotonic() < end:
        pass


def sleep(ms):
    time.sleep(ms / 1000)
    return os.getpid()


def crash(_):
    """Without a core dump, which would take longer than anything else here."""
    os._exit(101)


def raiser(error):
    def wait():
        raise error

    return wait


def factorize_or_crash(n):
    return crash(n) if n == 0 else factorize(n)


def digest(results):
    """As `arms::digest` does it."""
    value = 7
    for factors in results:
        for factor in [*factors, len(factors)]:
            value = (value * 31 + factor) & MASK
    return value


def square(n):
    return n * n


def send_square(pipe, n):
    pipe.send(square(n))


def squares_of_executor(n, times):
    """What a task does that has a pool of its own: seconds, and the sum of the squares."""
    with ProcessPoolExecutor(1) as inner:
        inner.submit(square, n).result()
        return clocked(lambda: sum(inner.submit(square, n).result() for _ in range(times)))


def square_of_process(n):
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=send_square, args=(sender, n))
    process.start()
    result = receiver.recv()
    process.join()
    return result


# The pools, with the same methods.


class Executor:
    """`concurrent.futures.ProcessPoolExecutor`."""

    def __init__(self, workers):
        self.pool = ProcessPoolExecutor(workers)

    def submit(self, function, argument):
        return self.pool.submit(function, argument).result

    def chunks(self, function, arguments):
        return list(self.pool.map(function, arguments, chunksize=CHUNK))

    def children(self, n, times):
        return self.pool.submit(squares_of_executor, n, times).result()

    def pids(self):
        # None when the pool is broken or closed.
        return list(self.pool._processes or ())

    def kill(self):
        """Nothing stops a task that runs but to kill its process, which breaks the pool."""
        for pid in self.pids():
            # A broken pool is ending its processes itself.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.pool.shutdown()

    def close(self):
        self.pool.shutdown()


class Pool:
    """`multiprocessing.Pool`."""

    def __init__(self, workers):
        self.pool = multiprocessing.Pool(workers)

    def submit(self, function, argument):
        return self.pool.apply_async(function, (argument,)).get

    def chunks(self, function, arguments):
        return self.pool.map(function, arguments, chunksize=CHUNK)

    def children(self, n, times):
        # Its workers cannot have children.
        return clocked(lambda: sum(square_of_process(n) for _ in range(times)))

    def pids(self):
        return [process.pid for process in self.pool._pool]

    def kill(self):
        self.pool.terminate()
        self.pool.join()

    def close(self):
        self.pool.close()
        self.pool.join()


KIND, WORKERS = sys.argv[1], int(sys.argv[2])


def new_pool(workers=WORKERS):
    return {"python": Executor, "python-pool": Pool}[KIND](workers)


# What processes share.


def put_items(queue, item, n):
    for _ in range(n):
        queue.put(item)


def through_queue(what):
    """From the first item to the last, so that the start of the process does not count."""
    queue = multiprocessing.Queue(what["capacity"])
    item = bytes([7]) * what["size"] if "size" in what else 7
    n = what["times"]
    producer = multiprocessing.Process(target=put_items, args=(queue, item, n + 1))
    producer.start()
    queue.get()
    seconds, _ = clocked(lambda: [queue.get() for _ in range(n)] and None)
    producer.join()
    return seconds, n


def lock_often(what):
    lock = multiprocessing.Lock()

    def run():
        for _ in range(what["times"]):
            with lock:
                pass

    return clocked(run)[0], what["times"]


def add_often(what):
    value = multiprocessing.Value("q", 0)

    def run():
        for _ in range(what["times"]):
            with value.get_lock():
                value.value += 1

    return clocked(run)[0], value.value


def hand_permits(source, target, n):
    for _ in range(n):
        source.acquire()
        target.release()


def hand_over(what):
    here, there, n = multiprocessing.Semaphore(0), multiprocessing.Semaphore(0), what["times"]
    process = multiprocessing.Process(target=hand_permits, args=(here, there, n + 1))
    process.start()
    here.release()
    there.acquire()

    def run():
        for _ in range(n):
            here.release()
            there.acquire()

    seconds, _ = clocked(run)
    process.join()
    # There and back.
    return seconds / 2, n


def count_steps(lock, value, n):
    for _ in range(n):
        with lock:
            value.value += 1


def count_together(what):
    lock, value = multiprocessing.Lock(), multiprocessing.Value("q", 0, lock=False)
    ready, go, n = multiprocessing.Semaphore(0), multiprocessing.Event(), what["times"] // 2

    def count():
        ready.release()
        go.wait()
        count_steps(lock, value, n)

    processes = [multiprocessing.Process(target=count) for _ in range(2)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()

    def run():
        go.set()
        for process in processes:
            process.join()

    return clocked(run)[0], value.value


def call_manager(what):
    with multiprocessing.Manager() as manager:
        proxy = manager.dict({1: 9})

        def run():
            for _ in range(what["times"]):
                proxy[1]

        return clocked(run)[0], what["times"]


# What can be ordered. Each returns seconds and a result.


def clocked(run):
    started = time.perf_counter()
    result = run()
    return time.perf_counter() - started, result


def numbers_of(what):
    return what["numbers"] if "numbers" in what else [what["number"]] * what["times"]


def one_by_one(pool, what):
    numbers = numbers_of(what)
    seconds, results = clocked(lambda: [pool.submit(factorize, n)() for n in numbers])
    return seconds, digest(results)


def together(pool, what):
    numbers = numbers_of(what)
    seconds, results = clocked(
        lambda: [result() for result in [pool.submit(factorize, n) for n in numbers]]
    )
    return seconds, digest(results)


def chunks(pool, what):
    numbers = numbers_of(what)
    seconds, results = clocked(lambda: pool.chunks(factorize, numbers))
    return seconds, digest(results)


def echoes(pool, what):
    data = bytes([what["byte"]]) * what["size"]

    def run():
        for _ in range(what["times"]):
            echoed = pool.submit(echo, data)()
        return echoed

    seconds, echoed = clocked(run)
    return seconds, echoed == data


def cold(_, what):
    """A new pool's first result."""

    def run():
        pool = new_pool()
        return pool, pool.submit(factorize, what)()

    seconds, (pool, result) = clocked(run)
    pool.close()
    return seconds, digest([result])


def stop(_, what):
    """From the moment at which a task is to be stopped to the next task's result, on one worker,
    or to where it is gone."""
    pool = new_pool(1)
    pool.submit(factorize, 2)()
    pool.submit({"spin": spin, "sleep": sleep}[what["task"]], 60_000)
    time.sleep(what["runs_ms"] / 1000)
    if what["until"] == "gone":
        seconds, result = clocked(pool.kill)
        return seconds, digest([[2]])

    def run():
        pool.kill()
        another = new_pool(1)
        return another, another.submit(factorize, 2)()

    seconds, (another, result) = clocked(run)
    another.close()
    return seconds, digest([result])


def blast(_, what):
    """One task of many crashes: how many of the others fail, and how long it takes from when
    that is known to the next good result."""
    pool = new_pool()
    pool.submit(factorize, 2)()
    numbers = [2] * what["tasks"]
    numbers[what["crash"]] = 0

    def submit(n):
        try:
            return pool.submit(factorize_or_crash, n)
        except Exception as error:
            # A broken pool takes no more: a failure like those of the tasks it had.
            return raiser(error)

    waits = [submit(n) for n in numbers]
    failed = 0
    for index, wait in enumerate(waits):
        if index == what["crash"]:
            continue
        try:
            wait()
        except Exception:
            failed += 1
    started = time.perf_counter()
    try:
        # `multiprocessing.Pool` never tells of the task that crashed.
        if KIND == "python":
            waits[what["crash"]]()
    except Exception:
        pass
    try:
        result = pool.submit(factorize, 2)()
        seconds = time.perf_counter() - started
        pool.kill()
    except Exception:
        pool.kill()
        another = new_pool()
        result = another.submit(factorize, 2)()
        seconds = time.perf_counter() - started
        another.close()
    return seconds, [failed, digest([result])]


def children(pool, what):
    """A task that starts tasks, one after the other."""
    return pool.children(what["number"], what["times"])


def objects(_, what):
    """What processes share, or keep."""
    kinds = [through_queue, lock_often, add_often, hand_over, count_together, call_manager]
    return {kind.__name__: kind for kind in kinds}[what["kind"]](what)


def memory(pool, what):
    """Has every worker do something, and says who they are."""
    waits = [pool.submit(sleep, what["ms"]) for _ in range(WORKERS)]
    for wait in waits:
        wait()
    return 0, pool.pids()


def under_way(pool, what):
    """Has every worker wait, and says who they are meanwhile."""
    for _ in range(WORKERS):
        pool.submit(sleep, what["ms"])
    time.sleep(0.1)
    return 0, pool.pids()


def serve():
    pool = new_pool()
    ways = [one_by_one, together, chunks, echoes, cold, stop, blast, children, objects, memory]
    ways.append(under_way)
    ways = {way.__name__: way for way in ways}
    for line in sys.stdin:
        way, what = json.loads(line)
        try:
            seconds, result = ways[way](pool, what)
            answer = {"seconds": seconds, "result": result}
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)
    pool.kill()


def first():
    """A program that needs one result."""
    pool = new_pool()
    print(*pool.submit(factorize, 2)())
    pool.close()


if __name__ == "__main__":
    if sys.argv[3] == "version":
        # Imports what is needed and sees that its locks work.
        multiprocessing.Lock()
        print(sys.version.split()[0])
    else:
        {"serve": serve, "first": first}[sys.argv[3]]()
