import asyncio

from bookstore.service.background import meanwhile


async def test_work_goes_on_while_the_block_runs_and_has_ended_after_it():
    begun, ended = asyncio.Event(), []

    async def work():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # such as giving a connection back
            ended.append(True)

    async with meanwhile(work()):
        await begun.wait()
        assert not ended
    assert ended
