"""Tasks that start tasks and share objects with them: a component without the SDK."""

import wit_world  # made by componentize-py, and so are the next three
from componentize_py_types import Err
from wit_world.imports import children, objects
from wit_world.imports.objects import GetError_Closed, Object_Queue, ObjectRef_Queue, Queue


class WitWorld(wit_world.WitWorld):
    def square(self, n: int) -> int:
        if n * n >= 1 << 64:
            raise Err(f"the square of {n} is too large")
        return n * n

    def sum_of_squares(self, n: int) -> int:
        # All at once: the host allows 1,000 children at a time by default.
        running = [start("square", number) for number in range(1, n + 1)]
        total = 0
        while running:
            # Blocks until one has ended, and returns the places of all that have, in order. The
            # last is taken first: it leaves the places before it as they are.
            for place in reversed(attempt(children.wait, running, None)):
                total += decode(result(running.pop(place)))
        return total

    def produce(self, queue: int, n: int) -> None:
        received = objects.received(queue)
        if not isinstance(received, Object_Queue):
            raise Err(f"there is no queue at the place {queue}")
        try:
            for number in range(n):
                # Items are any bytes. The embedding program and the SDK use MessagePack.
                attempt(received.value.put, encode(number), None)
        finally:
            received.value.close()  # whoever takes the items would wait for ever

    def through_queue(self, n: int) -> int:
        queue = attempt(Queue.create, 16)
        # The queue is the first of the objects that go along, so it is 0 in the arguments.
        child = start("produce", 0, n, shared=[ObjectRef_Queue(queue)])
        total = 0
        while True:
            try:
                total += decode(queue.get(None))
            except Err as error:
                if isinstance(error.value, GetError_Closed):
                    break
                raise Err(str(error.value))
        # The queue is closed, but the child may still be running.
        attempt(children.wait, [child], None)
        result(child)
        return total


def start(task: str, *arguments: int, shared=()) -> children.Child:
    """Starts a task of this component."""
    # A MessagePack array of fewer than 16 elements.
    array = bytes([0x90 | len(arguments)]) + b"".join(map(encode, arguments))
    options = children.Options(
        module=None,  # this one
        timeout=None,
        memory=None,
        tag=None,
        outlives_parent=False,
    )
    return attempt(children.start, task, array, list(shared), options)


def result(child: children.Child) -> bytes:
    """The result of a child that has ended, as MessagePack. An `Err` of its task is a failure."""
    outcome = child.outcome()
    if isinstance(outcome, Err):
        failure = outcome.value
        raise Err(f"a child failed ({failure.kind}): {failure.message}")
    return outcome.value


def attempt(function, *arguments):
    """Calls the host. Its errors have types of their own; those of the tasks here are strings."""
    try:
        return function(*arguments)
    except Err as error:
        raise Err(str(error.value))


# MessagePack of integers from 0 to 2^64 - 1, which is all that this guest needs. It need not write
# the shortest form, but it gets that from others.


def encode(number: int) -> bytes:
    return b"\xcf" + number.to_bytes(8, "big")


def decode(encoded: bytes) -> int:
    if encoded[0] < 0x80:
        return encoded[0]
    # 0xcc to 0xcf: 1, 2, 4 or 8 bytes follow.
    return int.from_bytes(encoded[1:], "big")
