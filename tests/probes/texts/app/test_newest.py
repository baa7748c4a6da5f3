"""Typing replaces what still waits, and only in its own panel."""

import asyncio

from probes.texts.app.newest import Newest


def test_of_one_panels_waiting_work_only_the_newest_is_done():
    async def story() -> tuple[list[str], list[str | None], bool]:
        lock = asyncio.Lock()
        text, steering = Newest(lock), Newest(lock)
        done: list[str] = []

        async def work(name: str) -> str:
            await asyncio.sleep(0.01)
            done.append(name)
            return name

        asked = [
            asyncio.create_task(panel(lambda name=name: work(name)))
            for panel, name in [
                (text, "a"),
                (text, "ab"),
                (steering, "dose 1"),
                (text, "abc"),
                (steering, "dose 2"),
            ]
        ]
        await asyncio.sleep(0)
        waiting = text.waiting
        answers = await asyncio.gather(*asked)
        assert not text.waiting
        return done, answers, waiting

    done, answers, waiting = asyncio.run(story())
    assert waiting
    assert done[-2:] == ["abc", "dose 2"]
    assert "ab" not in done
    assert "dose 1" not in done
    assert answers[3:] == ["abc", "dose 2"]


def test_work_that_fails_lets_the_next_one_in():
    async def story() -> str | None:
        panel = Newest(asyncio.Lock())

        async def fails() -> str:
            raise ValueError

        async def works() -> str:
            return "done"

        failed = asyncio.create_task(panel(fails))
        await asyncio.wait([failed])
        assert isinstance(failed.exception(), ValueError)
        return await panel(works)

    assert asyncio.run(story()) == "done"
