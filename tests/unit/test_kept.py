"""What takes work to find out is found once, however many ask."""

from __future__ import annotations

import asyncio

import pytest

from api.kept import Kept


class Look:
    """Counts how often it looks; each look takes until it is let go."""

    def __init__(self) -> None:
        self.count = 0
        self.over = asyncio.Event()

    async def __call__(self) -> int:
        self.count += 1
        number = self.count
        await self.over.wait()
        return number


def test_all_who_ask_meanwhile_get_the_same() -> None:
    async def flow() -> list[int]:
        look, kept = Look(), Kept[int](0)
        asked = [asyncio.create_task(kept.get(look)) for _ in range(100)]
        await asyncio.sleep(0)
        asked[0].cancel()  # who hangs up takes it from nobody else
        look.over.set()
        return [*await asyncio.gather(*asked[1:]), await kept.get(look)]

    assert asyncio.run(flow()) == [1] * 99 + [2]


@pytest.mark.parametrize(("seconds", "found"), [(3600.0, 1), (0.0, 2)])
def test_it_is_kept_for_so_long(seconds: float, found: int) -> None:
    async def flow() -> int:
        look, kept = Look(), Kept[int](seconds)
        look.over.set()
        await kept.get(look)
        return await kept.get(look)

    assert asyncio.run(flow()) == found
