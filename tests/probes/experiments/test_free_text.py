"""Free text: judges find what was planted, leaks are seen, another model is asked for real."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from hooks import DataError, InvalidInput
from probes.exchange import EndpointError
from probes.experiments import find_experiment
from probes.experiments.free_text import PROMPTS, judged_gains, other_layer
from probes.experiments.text_judges import JudgeServer, ask_judge, classifier, named
from probes.experiments.topic_leak import distinctive_words, leak
from probes.materials import Materials
from probes.models import Models
from probes.reporting import Silent

EMOTIONS = ["angry", "happy", "sad"]


@pytest.fixture
def judge_server():
    """A server that speaks the API and says the emotion whose name is in the passage."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.headers["Authorization"], body))
            passage = body["messages"][0]["content"].split("Passage:")[1]
            answer = next((f"It is {name}." for name in EMOTIONS if name in passage), "none")
            content = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": answer},
                    }
                ],
            }
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_another_model_is_asked_with_its_key_and_answers_in_order(judge_server, monkeypatch):
    base_url, asked = judge_server
    monkeypatch.setenv("JUDGE_KEY", "secret")
    judge = JudgeServer(base_url, "a-judge", "JUDGE_KEY")
    texts = ["he was sad", "nothing", "an angry man"]
    assert ask_judge(judge, texts, EMOTIONS) == ["sad", None, "angry"]
    assert {key for key, _ in asked} == {"Bearer secret"}
    assert {body["model"] for _, body in asked} == {"a-judge"}


def test_a_judge_without_its_key_is_an_error_that_says_so():
    with pytest.raises(InvalidInput, match="NO_SUCH_KEY is not set"):
        JudgeServer("http://127.0.0.1:9/v1", "m", "NO_SUCH_KEY").key()


def test_a_server_that_is_not_there_names_the_settings():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError, match="judge_base_url"):
        ask_judge(JudgeServer(f"http://127.0.0.1:{port}/v1", "m"), ["x"], EMOTIONS)


def test_the_last_emotion_named_is_the_answer():
    assert named("Not happy but SAD.", EMOTIONS) == "sad"
    assert named("unhappy", EMOTIONS) is None
    assert named("none", EMOTIONS) is None


def test_gains_are_own_minus_unsteered_and_random_texts_gain_nothing():
    n_prompts, places = 2, [0, 2]
    noise = torch.randn(5, n_prompts, 4, generator=torch.Generator().manual_seed(0)) * 0.01
    noise[1, :, 0] += 2.0
    noise[2, :, 2] += 4.0
    found = judged_gains(noise.reshape(-1, 4), places, n_prompts, seed=0)
    assert found["gain"] == pytest.approx(3.0, abs=0.05)
    assert found["gain_in_random"] == pytest.approx(0.0, abs=0.05)
    assert found["gain_in_others"] == pytest.approx(0.0, abs=0.05)
    assert found["percentile"] == 1.0
    assert found["per_emotion"]["gain"] == pytest.approx([2.0, 4.0], abs=0.05)


def test_the_classifier_is_tested_on_rows_it_was_not_fitted_on():
    generator = torch.Generator().manual_seed(1)
    emotion = torch.arange(3).repeat(40)
    train = torch.arange(120) < 60
    centers = torch.randn(3, 8, generator=generator) * 5
    signal = centers[emotion] + torch.randn(120, 8, generator=generator)
    assert classifier(signal, emotion, train).accuracy > 0.95
    noise = torch.randn(120, 8, generator=generator)
    assert classifier(noise, emotion, train).accuracy < 0.6
    assert classifier(signal, emotion, train).scores(signal[:5]).shape == (5, 3)


def test_topic_words_are_those_of_one_topics_stories_and_a_text_leaks_by_their_share():
    stories = ["the umbrella stood there"] * 3 + ["there were seven lanterns"] * 3
    own = distinctive_words(stories, [0, 0, 0, 1, 1, 1])
    assert own == {"umbrella", "stood", "were", "seven", "lanterns"}
    assert leak("An umbrella there", own) == pytest.approx(0.5)
    assert leak("no", own) == 0


def test_the_judges_layer_is_not_the_steered_one():
    assert other_layer(range(18), 12) == 15
    assert other_layer([11, 12], 12) == 11
    with pytest.raises(DataError, match="one layer only"):
        other_layer([12], 12)


def test_a_finished_run_is_written_judged_and_compared(finished, judge_server):
    base_url, _ = judge_server
    run = finished.run(
        validation__free_text_tokens=4,
        validation__free_text_random=1,
        validation__free_text_dose=0.3,
        validation__judge_base_url=base_url,
        validation__judge_model="a-judge",
    )
    measured = find_experiment("free-text").measure(Materials(run, Models(run.config), Silent()))
    values = measured.to_json()
    assert values["judge_layer"] != values["layer"]
    assert set(values["texts"]["steered"]) == set(values["emotions"])
    assert len(values["texts"]["unsteered"]) == len(PROMPTS)
    assert values["texts"]["steered"]["sad"] != values["texts"]["unsteered"]
    for judged in values["judges"].values():
        assert judged["gain_interval"][0] <= judged["gain"] <= judged["gain_interval"][1]
        assert 0 <= judged["percentile"] <= 1
    assert values["judge_model"]["n"] == len(PROMPTS) * len(values["emotions"])
    assert 0 <= values["leak"]["steered"] <= 1
    assert [name for name, _ in values["rows"]][-1] == "free text: content leak"
    figures = find_experiment("free-text").figures(values)
    for key, judged in values["judges"].items():
        figure = figures[f"free_text_{key}"]
        assert figure.totals[:3] == pytest.approx(
            [judged["gain"], judged["gain_in_others"], judged["gain_in_random"]]
        )
        assert sorted(figure.categories[3:]) == EMOTIONS
        assert figure.intervals[0] == tuple(judged["gain_interval"])
    json.dumps(values)
