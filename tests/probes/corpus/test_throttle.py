"""Places at servers: never more than allowed, fewer when refused, none while one asks to wait."""

import asyncio

import pytest

from probes.corpus.throttle import Throttle


def run(coroutine_function, *arguments, **options):
    async def main():
        return await coroutine_function(Throttle(*arguments), **options)

    return asyncio.run(main())


async def take(throttle, **options):
    """Take a place and keep it."""
    context = throttle.place(**options)
    return context, await context.__aenter__()


def test_places_are_shared_out_evenly_and_then_waited_for():
    async def fill(throttle):
        taken = [await take(throttle) for _ in range(4)]
        servers = [place.server.number for _, place in taken]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(take(throttle), 0.05)
        await taken[0][0].__aexit__(None, None, None)
        _, again = await asyncio.wait_for(take(throttle), 1.0)
        return servers, again.server.number

    servers, again = run(fill, 2, 2)
    assert sorted(servers) == [0, 0, 1, 1]
    assert again == servers[0]


def test_a_refusal_halves_once_for_requests_that_were_under_way_together():
    async def refuse(throttle):
        places = [(await take(throttle))[1] for _ in range(8)]
        for place in places:
            throttle.refused(place)
        return throttle.servers[0].places

    assert run(refuse, 1, 8) == 4.0


def test_refusals_one_after_another_go_down_to_one_and_answers_up_to_the_ceiling():
    async def go(throttle):
        seen = []
        for _ in range(6):
            context, place = await take(throttle)
            await asyncio.sleep(0.001)
            throttle.refused(place)
            seen.append(throttle.servers[0].places)
            await context.__aexit__(None, None, None)
        for _ in range(100):
            context, place = await take(throttle)
            throttle.answered(place)
            await context.__aexit__(None, None, None)
        return seen, throttle.servers[0].places

    seen, places = run(go, 1, 8)
    assert seen == [4.0, 2.0, 1.0, 1.0, 1.0, 1.0]
    assert places == 8.0


def test_a_server_that_asks_to_wait_is_left_alone_until_then():
    async def go(throttle):
        loop = asyncio.get_running_loop()
        context, place = await take(throttle, only=0)
        throttle.refused(place, 0.2)
        begun = loop.time()
        await context.__aexit__(None, None, None)
        others = [(await take(throttle))[1].server.number for _ in range(2)]
        _, again = await take(throttle, only=0)
        return others, again.server.number, loop.time() - begun

    others, again, waited = run(go, 2, 4)
    assert others == [1, 1]
    assert again == 0
    assert 0.19 <= waited < 1


def test_the_server_that_failed_is_avoided_while_another_is_open():
    async def go(throttle):
        first = [(await take(throttle, avoid=0))[1].server.number for _ in range(2)]
        return [*first, (await take(throttle, avoid=0))[1].server.number]

    assert run(go, 2, 2) == [1, 1, 0]
