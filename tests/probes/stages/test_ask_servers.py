"""A run whose writer is a server: resumed like any other, its cost said before, its key nowhere."""

import json
import logging
import threading
import time
from collections import Counter

import pytest
import small_runs
from story_server import MODEL, StoryServer, as_json, completion
from werkzeug import Response

from probes.corpus.cells import read_cell
from probes.run import main

pytestmark = pytest.mark.slow
KEY = "sk-secret-0123456789"
N_TEXTS = 18


@pytest.fixture
def asking_run(small_run):
    """``asking_run(server, **sections)``: a config whose stories come from the server."""

    def make(*servers, generation=None, endpoint=None, **sections):
        asked = {
            "engine": "openai",
            "base_urls": [server.url for server in servers],
            **(generation or {}),
        }
        limits = {"wait_seconds": 0.02, "timeout_seconds": 1.0, "attempts": 4, **(endpoint or {})}
        sections = {"writer": {"name": MODEL}, **sections}
        return small_run(generation=asked, endpoint=limits, **sections)

    return make


def contents_of(made):
    run = made.run()
    return [read_cell(run.root, cell) for cell in run.story_cells]


def texts_of(made):
    return [text["text"] for content in contents_of(made) for text in content["texts"]]


class TestHostileServer:
    @pytest.fixture
    def hostile(self):
        """A server whose every fourth answer is bad, in six ways by turns; how often in each."""
        awake = threading.Event()
        fired: Counter[str] = Counter()

        def blab(request):
            return {"error": {"message": f"boom {request.headers['Authorization']}"}}

        def late(_request):
            awake.wait(3)
            return completion("This comes too late to count.")

        ways = {
            "error with the key": lambda request: as_json(blab(request), 500),
            "busy for a second": lambda _request: as_json("busy", 429, **{"Retry-After": "1"}),
            "truncated": lambda _request: as_json('{"model": "story-teller", "choi'),
            "empty": lambda _request: completion(""),
            "late": late,
            "busy without a word": lambda _request: Response("", 503),
        }

        def trouble(request, number):
            if number % 4 != 2:
                return None
            name = list(ways)[number // 4 % len(ways)]
            fired[name] += 1
            return ways[name](request)

        with StoryServer(trouble) as server:
            yield server, fired
            awake.set()

    def test_nothing_is_lost_nothing_stored_twice_and_the_key_is_nowhere(
        self, asking_run, hostile, monkeypatch, caplog, capfd
    ):
        caplog.set_level(logging.DEBUG)
        monkeypatch.setenv("STORY_KEY", KEY)
        hostile, fired = hostile
        made = asking_run(hostile, generation={"api_key_env": "STORY_KEY", "batch_size": 4})
        assert main([made.config, "generate-stories"]) == 0
        assert len(fired) == 6
        texts = texts_of(made)
        assert len(texts) == len(set(texts)) == N_TEXTS
        assert set(texts) <= set(hostile.told)
        assert all(text.strip() for text in texts)
        counts = made.run().record("generate-stories").counts
        assert (counts["accepted"], counts["missing"]) == (N_TEXTS, 0)
        answered = len(hostile.told) - 1 + fired["empty"]  # the greeting is not counted
        assert counts["usage"]["requests"] <= answered
        assert counts["usage"]["completion_tokens"] == 50 * counts["usage"]["requests"]
        said = capfd.readouterr()
        everything = [path.read_text() for path in made.folder.rglob("*") if path.is_file()]
        assert len(everything) > 10
        for text in (*everything, caplog.text, said.out, said.err):
            assert KEY not in text
        assert "story-teller answers at http" in said.err
        assert "suppress_banned=retries has no effect" in " ".join(said.err.split())

    def test_a_server_that_breaks_down_leaves_whole_units_and_a_resume_asks_for_the_rest(
        self, asking_run, capsys
    ):
        broken = threading.Event()

        def trouble(_request, number):
            if number > 7:
                broken.set()
            return as_json("down", 500) if broken.is_set() else None

        with StoryServer(trouble) as server:
            made = asking_run(
                server,
                generation={"batch_size": 2},
                endpoint={"concurrency": 1, "attempts": 2},
            )
            assert main([made.config, "generate-stories"]) == 1
            assert "Finished work is kept" in " ".join(capsys.readouterr().err.split())
            done = {path: path.read_bytes() for path in made.folder.glob("stories/*/*.json")}
            assert 1 <= len(done) < 9
            assert all(len(json.loads(content)["texts"]) == 2 for content in done.values())
            server.trouble = lambda _request, _number: None
            asked_before = len(server.bodies)
            assert main([made.config, "generate-stories", "--quiet"]) == 0
            asked = len(server.bodies) - asked_before
        assert {path: path.read_bytes() for path in done} == done
        assert len(set(texts_of(made))) == N_TEXTS
        assert asked == 1 + N_TEXTS - 2 * len(done)  # a greeting, and what was missing

    @pytest.mark.parametrize(
        ("response", "said"),
        [
            (lambda: as_json({"error": {"message": "no such model"}}, 404), "Check that it serves"),
            (lambda: completion("Hi.", model="other"), "answers as 'other'"),
            (lambda: as_json({"error": {"message": "bad key"}}, 401), "Check the key"),
        ],
    )
    def test_a_wrong_model_or_key_stops_with_the_cure_and_no_story(
        self, asking_run, capsys, response, said
    ):
        with StoryServer(lambda _request, _number: response()) as server:
            made = asking_run(server)
            assert main([made.config, "generate-stories"]) == 1
        assert said in " ".join(capsys.readouterr().err.split())
        assert not (made.folder / "stories").exists()
        assert len(server.bodies) == 1


class TestAnswers:
    def test_a_story_that_names_the_emotion_is_rejected_and_asked_for_again(self, asking_run):
        told = []

        def blunt(request, _number):
            if "sad" in request.get_json()["messages"][0]["content"] and len(told) < 2:
                told.append(request)
                return completion("She was sad. It rained.")
            return None

        with StoryServer(blunt) as server:
            made = asking_run(server, generation={"batch_size": 100})
            made.stage("generate-stories")
        counts = made.run().record("generate-stories").counts
        assert counts["rejected_by_reason"]["leak"] >= 1
        assert counts["accepted"] == N_TEXTS

    def test_a_cell_says_who_wrote_it(self, asking_run):
        def versioned(_request, number):
            return completion(
                f"{small_runs.SENTENCES[number % 24]} {number} {number + 1}.",
                model=MODEL + "-2026-01-01",
            )

        with StoryServer(versioned) as server:
            made = asking_run(server)
            made.stage("generate-stories")
        writer = contents_of(made)[0]["writer"]
        assert writer["name"] == MODEL
        assert writer["served_as"] == MODEL + "-2026-01-01"
        assert len(writer["fingerprint"]) == 16
        assert contents_of(made)[0]["sampling"]["top_k"] is None  # it was not sent

    def test_what_the_settings_say_of_thinking_reaches_every_request(self, asking_run):
        with StoryServer() as server:
            made = asking_run(
                server,
                generation={"extra_body": {"reasoning_effort": "low"}},
                writer={"name": MODEL, "chat_template": {"enable_thinking": False}},
            )
            made.stage("generate-stories")
        for body in server.bodies:
            assert body["chat_template_kwargs"] == {"enable_thinking": False}
            assert body["reasoning_effort"] == "low"
        recorded = made.run().record("generate-stories").settings
        assert recorded["writer"]["chat_template"] == {"enable_thinking": False}
        assert recorded["generation"]["extra_body"] == {"reasoning_effort": "low"}

    def test_a_topic_that_the_server_refuses_is_missing_in_its_cells_alone(self, asking_run):
        made, refused = None, []

        def too_long(request, number):
            prompt = request.get_json()["messages"][-1]["content"]
            if number and refused[0] in prompt:
                return as_json({"error": {"message": "the prompt is too long"}}, 400)
            return None

        with StoryServer(too_long) as server:
            made = asking_run(server)
            refused.append(made.run().config.topics[1])
            made.stage("generate-stories")
        for cell, content in zip(made.run().story_cells, contents_of(made), strict=True):
            wanted = cell.topic == refused[0]
            assert (content["texts"] == []) == wanted
            reasons = {item["reason"].split(":")[0] for item in content["rejected"]}
            assert reasons == ({"refused by the server"} if wanted else set())


class TestSeveralServers:
    def test_units_overlap_so_that_servers_stay_busy(self, asking_run):
        def slow(_request, _number):
            time.sleep(0.05)

        with StoryServer(slow) as one, StoryServer(slow) as two:
            made = asking_run(one, two, generation={"batch_size": 2}, endpoint={"concurrency": 4})
            made.stage("generate-stories")
        assert max(one.most_at_once, two.most_at_once) > 2
        assert len(set(texts_of(made))) == N_TEXTS
        asked = Counter(body["seed"] for server in (one, two) for body in server.bodies)
        assert max(asked.values()) <= 2  # the greeting has one seed at both


class TestDryRun:
    def test_says_what_it_takes_and_writes_nothing(self, asking_run, capsys):
        with StoryServer() as server:
            prices = {"input_price": 1.0, "output_price": 10.0}
            made = asking_run(server, endpoint=prices)
            assert main([made.config, "--dry-run"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert not made.folder.exists()
        assert len(server.bodies) == 2  # one for stories, one for neutral
        assert "generate-stories would take" in said
        assert "18 stories in 9 cells" in said
        assert "about 18, at most 72" in said
        assert f"about {18 * 30}" in said
        assert f"about {18 * 50:,}, at most {72 * 12}" in said
        assert "about 0.01, at most" in said
        assert "requests at once take" in said

    def test_a_server_that_is_not_there_is_said_beside_a_rough_estimate(self, asking_run, capsys):
        class Nobody:
            url = "http://127.0.0.1:9/v1"

        made = asking_run(Nobody())
        assert main([made.config, "generate-stories", "--dry-run"]) == 1
        said = " ".join(capsys.readouterr().out.split())
        assert "cannot be reached" in said
        assert "4 letters per token" in said
        assert not made.folder.exists()

    def test_a_finished_part_is_measured_and_the_rest_estimated(self, asking_run, capsys):
        with StoryServer() as server:
            made = asking_run(server, generation={"batch_size": 2})
            made.stage("generate-stories")
            for path in sorted(made.folder.glob("stories/*/*.json"))[:3]:
                path.unlink()
            assert main([made.config, "generate-stories", "--dry-run"]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "6 stories in 3 cells" in said
        assert "cells of this run that are finished" in said

    def test_a_run_without_a_server_is_counted_too(self, small_run, tiny_writer, capsys):
        made = small_run(writer={"name": str(tiny_writer)})
        assert main([made.config, "--dry-run", "generate-stories"]) == 0
        assert "18 stories in 9 cells" in " ".join(capsys.readouterr().out.split())
        assert not made.folder.exists()

    @pytest.mark.parametrize("words", [["analyze"], ["--restart=generate-stories"]])
    def test_what_it_cannot_estimate_is_refused(self, small_run, capsys, words):
        made = small_run()
        assert main([made.config, "--dry-run", *words]) == 2
        assert "--dry-run estimates" in " ".join(capsys.readouterr().err.split())


class TestWrongSettings:
    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (["--generation.engine=openai"], "expected the address of at least one server"),
            (["--generation.base_urls=http://localhost:8000/v1"], "set generation.engine=openai"),
            (["--generation.base_urls=localhost:8000"], "expected an address such as http"),
            ([f"--generation.base_urls=http://u:{KEY}@h/v1"], "without user, password or query"),
            ([f"--generation.base_urls=http://h/v1?key={KEY}"], "without user, password or query"),
            ([f"--generation.api_key_env={KEY}"], "never the key itself"),
            ([f"--validation.api_key_env={KEY}"], "never the key itself"),
            ([f"--validation.judge_base_url=http://u:{KEY}@h/v1"], "without user, password"),
            ([f"--validation.judge_base_url=h/v1?{KEY}"], "expected an address such as http"),
            (
                [
                    "--generation.engine=openai",
                    "--generation.base_urls=http://127.0.0.1:9/v1",
                    "--generation.api_key_env=NO_SUCH_KEY_IS_SET",
                ],
                "an environment variable that is not set",
            ),
        ],
    )
    def test_are_refused_without_showing_a_key(self, small_run, capsys, flags, said):
        made = small_run(writer={"name": MODEL})
        assert main([made.config, "generate-stories", *flags]) == 2
        error = " ".join(capsys.readouterr().err.split())
        assert said in error
        assert KEY not in error
        assert not list(made.folder.rglob("stories"))

    def test_addresses_may_be_listed_with_commas(self, small_run):
        made = small_run(writer={"name": MODEL})
        run = made.run(
            generation__engine="openai",
            generation__base_urls="http://a:1/v1/, http://b:2/v1",
        )
        assert run.config.generation.base_urls == ["http://a:1/v1", "http://b:2/v1"]
