import asyncio

from wit_world import exports
from wit_world.imports import monotonic_clock


class Naps(exports.Naps):
    async def nap(self, ms: int) -> int:
        await monotonic_clock.wait_for(ms * 1_000_000)
        return ms

    async def sum_of_naps(self, ms: list[int]) -> int:
        return sum(await asyncio.gather(*map(self.nap, ms)))
