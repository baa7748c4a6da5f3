"""Servers may be busy, slow, broken or wrong: each prompt is answered, or an error says why not."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from story_server import MODEL, StoryServer, as_json, completion, story_for
from werkzeug import Response

from hooks.errors import InvalidInput
from probes.config import EndpointSettings
from probes.corpus.endpoint import Endpoint, read_key
from probes.corpus.exchange import EndpointError, Exchange, Sampling

pytestmark = pytest.mark.slow
SAMPLING = Sampling(max_new_tokens=60, temperature=0.8, top_p=0.9, top_k=None)


def settings(**changed) -> EndpointSettings:
    return EndpointSettings(**{"wait_seconds": 0.02, "timeout_seconds": 60.0, **changed})


def ask(servers, n_prompts=4, key=None, model=MODEL, **changed):
    """Connect and ask for texts; the first request of each server is the greeting."""
    urls = [server.url for server in servers]
    with Endpoint(model, urls, key, settings(**changed)) as endpoint:
        endpoint.connect("Say something.", SAMPLING)
        prompts = [f"Prompt {number}." for number in range(n_prompts)]
        return endpoint.generate(prompts, sampling=SAMPLING, seed=7)


def once(number, response):
    """Trouble at one request."""
    return lambda _request, index: response() if index == number else None


class TestAsking:
    def test_every_prompt_is_one_request_with_its_own_seed(self):
        with StoryServer() as server:
            answers = ask([server], n_prompts=5)
        greeting, *bodies = server.bodies
        assert greeting["messages"] == [{"role": "user", "content": "Say something."}]
        assert sorted(body["messages"][0]["content"] for body in bodies) == [
            f"Prompt {number}." for number in range(5)
        ]
        seeds = {body["messages"][0]["content"]: body["seed"] for body in bodies}
        assert len(set(seeds.values())) == 5
        assert all(0 <= seed < 2**31 for seed in seeds.values())
        assert [answer.text for answer in answers] == [
            story_for(seeds[f"Prompt {number}."]) for number in range(5)
        ]
        assert {(body["model"], body["max_tokens"], body["top_p"]) for body in bodies} == {
            (MODEL, 60, 0.9)
        }
        assert all("top_k" not in body for body in bodies)

    def test_no_seed_is_sent_to_servers_that_take_none(self):
        with StoryServer() as server:
            answers = ask([server], send_seed=False)
        assert all("seed" not in body for body in server.bodies)
        assert len({answer.text for answer in answers}) == 4

    def test_the_same_seed_asks_the_same_again(self):
        asked = []
        for _ in range(2):
            with StoryServer() as server:
                ask([server])
            asked.append({body["messages"][0]["content"]: body["seed"] for body in server.bodies})
        assert asked[0] == asked[1]

    def test_what_is_no_part_of_the_api_is_sent_when_it_is_asked_for(self):
        sampling = Sampling(60, 0.8, 0.9, top_k=50)
        chosen = settings(api="completions", token_limit="max_completion_tokens")
        with StoryServer() as server, Endpoint(MODEL, [server.url], None, chosen) as endpoint:
            [answer] = endpoint.generate(["Once"], sampling=sampling, seed=1)
            assert not endpoint.is_chat
        [body] = server.bodies
        assert (body["prompt"], body["top_k"], body["max_completion_tokens"]) == ("Once", 50, 60)
        assert answer.text == story_for(body["seed"])

    def test_a_system_message_comes_first(self):
        with StoryServer() as server, Endpoint(MODEL, [server.url], None, settings()) as endpoint:
            endpoint.generate(["Go."], sampling=SAMPLING, seed=1, system="Be brief.")
        assert server.bodies[0]["messages"][0] == {"role": "system", "content": "Be brief."}

    def test_tokens_are_counted_and_an_end_is_told_from_a_limit(self):
        cut = once(1, lambda: completion("It was", finish_reason="length"))
        with StoryServer(cut) as server:
            answers = ask([server], n_prompts=2)
        assert sorted(answer.finished for answer in answers) == [False, True]
        assert [answer.usage.requests for answer in answers] == [1, 1]
        assert {answer.usage.completion_tokens for answer in answers} == {50}

    def test_no_more_requests_are_under_way_than_allowed(self):
        def slow(_request, _number):
            time.sleep(0.05)

        with StoryServer(slow) as server:
            ask([server], n_prompts=12, concurrency=3)
        assert server.most_at_once == 3

    def test_several_servers_share_the_work(self):
        with StoryServer() as one, StoryServer() as two:
            answers = ask([one, two], n_prompts=20, concurrency=4)
        assert len({answer.text for answer in answers}) == 20
        assert len(one.bodies) + len(two.bodies) == 22
        assert min(len(one.bodies), len(two.bodies)) >= 6

    def test_what_the_limit_cut_is_no_end_whatever_the_server_says(self):
        whole = once(1, lambda: completion("It was.", n_tokens=59))
        with StoryServer(whole) as server:
            answers = ask([server], n_prompts=1)
        assert answers[0].finished
        cut = once(1, lambda: completion("It was.", n_tokens=60))
        with StoryServer(cut) as server:
            answers = ask([server], n_prompts=1)
        assert not answers[0].finished

    def test_what_the_body_is_to_hold_besides_is_in_every_request(self):
        body = {"chat_template_kwargs": {"enable_thinking": False}, "reasoning_effort": "low"}
        with (
            StoryServer() as server,
            Endpoint(MODEL, [server.url], None, settings(), body=body) as endpoint,
        ):
            endpoint.generate(["Go.", "On."], sampling=SAMPLING, seed=1)
        assert len(server.bodies) == 2
        for sent in server.bodies:
            assert {key: sent[key] for key in body} == body
            assert sent["max_tokens"] == 60


class TestTrouble:
    @pytest.mark.parametrize(
        ("name", "response"),
        [
            ("error 500", lambda: as_json({"error": {"message": "boom"}}, 500)),
            ("error page", lambda: Response("<html>Bad gateway</html>", 502)),
            ("truncated JSON", lambda: as_json('{"model": "story-teller", "choices": [{"mess')),
            ("no JSON", lambda: Response("hello", 200, content_type="text/plain")),
            ("no choices", lambda: as_json({"model": MODEL, "choices": []})),
            ("null", lambda: as_json("null")),
            ("empty text", lambda: completion("")),
            ("blank text", lambda: completion(" \n ")),
            ("no text", lambda: completion(None)),
            ("half a character", lambda: completion("A b\ud800")),
            ("busy", lambda: as_json("busy", 503)),
        ],
    )
    def test_is_asked_again_with_nothing_lost_and_nothing_twice(self, name, response):
        with StoryServer(once(2, response)) as server:
            answers = ask([server])
        assert len(server.bodies) == 1 + 4 + 1
        assert len({answer.text for answer in answers}) == 4
        assert {answer.text for answer in answers} == set(server.told[1:])
        if name not in ("busy", "error 500"):  # the same seed would give the same empty answer
            assert len({body["seed"] for body in server.bodies}) == 6

    def test_a_wait_that_the_server_asks_for_is_kept_by_every_request(self):
        times = []

        def busy(_request, number):
            times.append(time.monotonic())
            return as_json("slow down", 429, **{"Retry-After": "1"}) if number == 1 else None

        with StoryServer(busy) as server:
            answers = ask([server], n_prompts=3, concurrency=1)
        assert len(answers) == 3
        assert min(times[2:]) - times[1] >= 0.95

    def test_waiting_for_its_turn_uses_up_no_patience(self):
        def slow_then_broken(_request, number):
            if number == 4:
                return as_json("boom", 500)
            if 1 <= number <= 3:
                time.sleep(0.4)
            return None

        with StoryServer(slow_then_broken) as server:
            answers = ask([server], concurrency=1, patience_seconds=1.0)
        assert len(server.bodies) == 1 + 4 + 1
        assert len({answer.text for answer in answers}) == 4

    def test_patience_ends_though_the_server_keeps_asking_for_a_little_more(self):
        def busy(_request, number):
            return as_json("busy", 503) if number else None

        with StoryServer(busy) as server:
            with pytest.raises(EndpointError, match="the server is busy"):
                ask([server], n_prompts=1, patience_seconds=0.3)
            # Pauses double: within a minute, which is too much, it would be asked twelve times.
            assert 1 + 2 <= len(server.bodies) <= 1 + 8

    def test_a_date_to_come_back_at_is_understood(self):
        def busy(_request, number):
            if number == 1:
                back = datetime.now(UTC) + timedelta(hours=3)
                return as_json("closed", 503, **{"Retry-After": format_datetime(back, usegmt=True)})
            return None

        with (
            StoryServer(busy) as server,
            pytest.raises(EndpointError, match=r"come back in 10\d{3} s, which is more than"),
        ):
            ask([server], n_prompts=1)

    def test_a_busy_server_is_asked_for_half_and_slowly_more(self):
        wide = settings(concurrency=8)
        with (
            StoryServer(once(1, lambda: as_json("busy", 429))) as server,
            Endpoint(MODEL, [server.url], None, wide) as endpoint,
        ):
            endpoint.connect("Hello.", SAMPLING)
            [state] = endpoint.throttle.servers
            assert state.places == 8
            endpoint.generate(["One."], sampling=SAMPLING, seed=1)
            assert 4 < state.places <= 4.25
            endpoint.generate(["One."] * 30, sampling=SAMPLING, seed=1)
            assert 8 >= state.places > 7

    def test_a_slow_answer_is_given_up_and_asked_for_elsewhere(self):
        stuck = threading.Event()

        def slow(_request, number):
            if number == 1:
                stuck.wait()  # for ever, were it not given up

        with StoryServer(slow) as one, StoryServer() as two:
            answers = ask([one, two], n_prompts=2, timeout_seconds=0.5)
            stuck.set()
        assert len(answers) == 2
        assert len(two.bodies) >= 2

    def test_an_answer_that_drips_is_held_to_the_whole_limit(self):
        def drip(_request, number):
            if number != 1:
                return None
            chunks = (dripped.append(time.sleep(0.1)) or b" " for _ in range(100))
            return Response(chunks, 200, content_type="application/json", direct_passthrough=True)

        dripped: list[None] = []
        with StoryServer(drip) as server:
            ask([server], n_prompts=1, timeout_seconds=0.5)
            assert 0 < len(dripped) < 100

    def test_a_prompt_without_text_to_the_last_is_an_empty_answer(self):
        def mute(request, _number):
            wanted = request.get_json()["messages"][0]["content"] == "Prompt 1."
            return completion("") if wanted else None

        with StoryServer(mute) as server:
            answers = ask([server], n_prompts=3, attempts=3)
        assert [bool(answer.text) for answer in answers] == [True, False, True]
        assert answers[1].usage.requests == 3  # they cost, too
        assert answers[1].usage.completion_tokens == 150

    def test_a_prompt_that_is_refused_alone_costs_nobody_else_a_text(self):
        def long(request, _number):
            wanted = request.get_json()["messages"][0]["content"] == "Prompt 1."
            return as_json({"error": {"message": "too many tokens"}}, 400) if wanted else None

        with StoryServer(long) as server:
            answers = ask([server], n_prompts=3)
        assert [bool(answer.text) for answer in answers] == [True, False, True]
        assert "400: " in answers[1].refusal
        assert "too many tokens" in answers[1].refusal
        assert len(server.bodies) == 4, "it is not asked for again"

    def test_a_server_that_refuses_all_that_it_is_asked_is_an_error(self, monkeypatch):
        monkeypatch.setattr("probes.corpus.exchange._MOST_REFUSED", 4)
        refuse = as_json({"error": {"message": "no such field"}}, 400)
        with (
            StoryServer(lambda _request, _number: refuse) as server,
            pytest.raises(EndpointError, match="400: .*no such field"),
        ):
            ask([server])
        assert len(server.bodies) == 1
        with (
            StoryServer(lambda _request, number: refuse if number else None) as server,
            pytest.raises(EndpointError, match="400: .*no such field"),
        ):
            ask([server], n_prompts=6)

    def test_an_error_that_comes_as_an_answer_is_waited_for(self):
        told = {"error": {"message": "upstream is overloaded"}}
        with StoryServer(once(1, lambda: as_json(told))) as server:
            answers = ask([server], n_prompts=2)
        assert all(answer.text for answer in answers)
        assert len(server.bodies) == 4
        with (
            StoryServer(lambda _request, number: as_json(told) if number else None) as server,
            pytest.raises(EndpointError, match=r"busy \(200, and: upstream is overloaded\)"),
        ):
            ask([server], n_prompts=1, patience_seconds=0.2)
        told["error"]["code"] = 401
        with (
            StoryServer(lambda _request, _number: as_json(told)) as server,
            pytest.raises(EndpointError, match="401: upstream.*Check the key"),
        ):
            ask([server], n_prompts=1)
        assert len(server.bodies) == 1

    def test_a_model_that_only_thinks_ends_the_run_soon_with_the_cure(self):
        with (
            StoryServer(lambda _request, _number: completion(None, thought="Hm ...")) as server,
            pytest.raises(EndpointError, match=r"reasoning_content .*enable_thinking: false"),
        ):
            ask([server])
        assert len(server.bodies) == 3

    def test_one_answer_of_thoughts_alone_is_asked_for_again(self):
        with StoryServer(once(2, lambda: completion(None, thought="Hm ..."))) as server:
            answers = ask([server])
        assert len({answer.text for answer in answers}) == 4

    def test_a_server_that_never_says_a_word_is_an_error(self):
        with (
            StoryServer(lambda _request, _number: completion("")) as server,
            pytest.raises(EndpointError, match="2 prompts without any text"),
        ):
            ask([server], n_prompts=2, attempts=2)

    def test_what_stays_broken_is_given_up_with_the_reason(self):
        with StoryServer(
            lambda _request, number: as_json("boom", 500) if number else None
        ) as server:
            with pytest.raises(EndpointError, match=r"given up: the server failed \(500"):
                ask([server], n_prompts=1, attempts=3)
            assert len(server.bodies) == 1 + 3


class TestGone:
    def test_a_server_that_dies_is_said_at_once_and_when_it_is_back(self):
        said: list[str] = []
        with (
            StoryServer() as server,
            Endpoint(MODEL, [server.url], None, settings(), say=said.append) as endpoint,
            ThreadPoolExecutor(1) as pool,
        ):
            endpoint.connect("Hello.", SAMPLING)
            server.leave()
            asked = pool.submit(endpoint.generate, ["Once"] * 3, sampling=SAMPLING, seed=1)
            deadline = time.monotonic() + 10
            while not said:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            server.come_back()
            assert len(asked.result()) == 3
        told, over = said
        assert re.fullmatch(
            rf"{server.url} cannot be reached since [\d:]+: connection failed \(.+\)\. It is asked "
            r"again until [\d:]+; finished work is kept\.",
            told,
        )
        assert re.fullmatch(rf"{server.url} answers again, after \d s\.", over)

    def test_one_that_never_comes_back_is_given_up_when_patience_ends(self):
        said: list[str] = []
        impatient = settings(patience_seconds=0.3)
        with (
            StoryServer() as server,
            Endpoint(MODEL, [server.url], None, impatient, say=said.append) as endpoint,
        ):
            endpoint.connect("Hello.", SAMPLING)
            server.leave()
            with pytest.raises(EndpointError, match="cannot be reached"):
                endpoint.generate(["Once"], sampling=SAMPLING, seed=1)
        assert len(said) == 1


class TestWrong:
    def test_an_address_where_nobody_is_is_tried_once(self, monkeypatch):
        asked = []
        ask_once = Exchange.ask
        monkeypatch.setattr(Exchange, "ask", lambda *given: asked.append(given) or ask_once(*given))
        with (
            pytest.raises(EndpointError, match="http://127.0.0.1:9/v1 cannot be reached"),
            Endpoint(MODEL, ["http://127.0.0.1:9/v1"], None, settings()) as endpoint,
        ):
            endpoint.connect("Hello.", SAMPLING)
        assert len(asked) == 1

    def test_a_model_that_is_not_there_is_named_with_the_cure(self):
        missing = as_json({"error": {"message": "The model `x` does not exist."}}, 404)
        with (
            StoryServer(lambda _request, _number: missing) as server,
            pytest.raises(EndpointError, match=r"404: .*Check that it serves 'story-teller'"),
        ):
            ask([server])
        assert len(server.bodies) == 1

    def test_another_model_answering_is_refused_with_both_names(self):
        with (
            StoryServer(lambda _request, _number: completion("Hi.", model="other")) as server,
            pytest.raises(EndpointError, match="'story-teller'.*answers as 'other'"),
        ):
            ask([server])

    @pytest.mark.parametrize("suffix", ["@main", "-2026-01-01", ":latest"])
    def test_a_name_with_a_version_is_the_same_model(self, suffix):
        def versioned(_request, _number):
            return completion("Hi there.", model=MODEL + suffix)

        with (
            StoryServer(versioned) as server,
            Endpoint(MODEL, [server.url], None, settings()) as endpoint,
        ):
            greeting = endpoint.connect("Hello.", SAMPLING)
            assert endpoint.served_as == greeting.served_as == MODEL + suffix

    @pytest.mark.parametrize("suffix", ["-mini", ".1", "-2", "-instruct", "-32k"])
    def test_a_name_with_more_than_a_version_is_another_model(self, suffix):
        named = lambda _request, _number: completion("Hi.", model=MODEL + suffix)  # noqa: E731
        with (
            StoryServer(named) as server,
            pytest.raises(EndpointError, match=rf"--generation.served_as={MODEL}\{suffix};"),
        ):
            ask([server])

    @pytest.mark.parametrize("name", ["/models/Story-Teller.gguf", "org/story-teller", "STORY"])
    def test_the_name_that_is_said_to_be_the_models_is_it_and_no_other(self, name):
        def named(_request, _number):
            return completion("Hi there.", model=name)

        with StoryServer(named) as server:
            urls = [server.url]
            with Endpoint(MODEL, urls, None, settings(), served_as=name) as endpoint:
                endpoint.connect("Hello.", SAMPLING)
                assert endpoint.served_as == name
            with (
                Endpoint(MODEL, urls, None, settings(), served_as="other") as endpoint,
                pytest.raises(EndpointError, match="expected answers of 'other'"),
            ):
                endpoint.connect("Hello.", SAMPLING)
        assert {body["model"] for body in server.bodies} == {MODEL}

    def test_servers_of_different_versions_are_refused(self):
        def versioned(_request, _number):
            return completion("Hi there.", model=MODEL + "-2026")

        with (
            StoryServer() as one,
            StoryServer(versioned) as two,
            pytest.raises(EndpointError, match="two models answer"),
        ):
            ask([one, two])

    def test_a_model_that_changes_on_the_way_is_noticed(self):
        changed = once(3, lambda: completion("Hi there.", model=MODEL + "-2026"))
        with (
            StoryServer(changed) as server,
            pytest.raises(EndpointError, match="two models answer"),
        ):
            ask([server])


class TestKey:
    KEY = "sk-secret-0123456789"

    def test_is_read_from_the_environment(self, monkeypatch):
        monkeypatch.setenv("STORY_KEY", self.KEY)
        assert read_key("STORY_KEY") == self.KEY
        assert read_key(None) is None

    def test_a_name_that_is_not_set_is_not_repeated(self):
        with pytest.raises(InvalidInput) as caught:
            read_key("SKSECRET")
        assert "SKSECRET" not in str(caught.value)

    def test_is_sent_and_a_server_without_keys_gets_nobody_elses(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
        seen = []

        def look(request, _number):
            seen.append(request.headers["Authorization"])

        with StoryServer(look) as server:
            ask([server], n_prompts=1, key=self.KEY)
            ask([server], n_prompts=1)
        assert seen == [f"Bearer {self.KEY}"] * 2 + ["Bearer none"] * 2

    @pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
    def test_is_in_no_error_though_the_server_repeats_it(self, status):
        def blab(request, _number):
            said = {"error": {"message": f"no: {request.headers['Authorization']}"}}
            return as_json(said, status)

        with StoryServer(blab) as server, pytest.raises(EndpointError) as caught:
            ask([server], key=self.KEY, attempts=2, patience_seconds=0.1)
        error: BaseException | None = caught.value
        while error is not None:  # nor in what a traceback would show
            assert self.KEY not in f"{error!r} {error}"
            error = error.__cause__ or error.__context__

    def test_is_no_story(self):
        def blab(request, _number):
            return completion(f"Once upon a time {request.headers['Authorization']}.")

        with StoryServer(blab) as server, pytest.raises(EndpointError, match="sent the key back"):
            ask([server], key=self.KEY)
