"""Free text: judges find what was planted, leaks are seen, another model is asked for real."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from hooks import DataError, InvalidInput
from probes.corpus.exchange import EndpointError
from probes.experiments import find_experiment
from probes.experiments.steering.free_text import PROMPTS, other_layer
from probes.experiments.steering.judged_texts import judged_answers, judged_gains
from probes.experiments.steering.judges import JudgeServer, ask_judge, classifier, named
from probes.experiments.steering.nulls import mean_interval
from probes.experiments.steering.story_leak import distinctive_words, leak, leaked
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent

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
            answer = next((f"{name.capitalize()}." for name in EMOTIONS if name in passage), "none")
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
    assert ask_judge(judge, texts, EMOTIONS) == ["sad", "none", "angry"]
    assert {key for key, _ in asked} == {"Bearer secret"}
    assert {body["model"] for _, body in asked} == {"a-judge"}


def test_a_judge_without_its_key_is_an_error_that_says_so():
    with pytest.raises(InvalidInput, match=r"validation\.api_key_env .* not set") as caught:
        JudgeServer("http://127.0.0.1:9/v1", "m", "NO_SUCH_KEY").key()
    assert "NO_SUCH_KEY" not in str(caught.value)  # what was typed may be the key


def test_a_server_that_is_not_there_names_the_settings():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError, match="judge_base_url"):
        ask_judge(JudgeServer(f"http://127.0.0.1:{port}/v1", "m"), ["x"], EMOTIONS)


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("SAD.", "sad"),
        ("**happy**\n", "happy"),
        ("Answer: angry", "angry"),
        ("<think>sad? no, angry</think>\nhappy", "happy"),
        ("None.", "none"),
        ("sad, not happy", None),
        ("not happy", None),
        ("unhappy", None),
        ("", None),
    ],
)
def test_an_answer_is_one_word_or_cannot_be_read(answer, read):
    assert named(answer, EMOTIONS) == read


def test_hits_are_counted_for_each_emotion_beside_what_comes_without_it():
    steered = ["sad", "sad", "happy", None]
    found = judged_answers(["sad", "none"], steered, ["none", "happy"], ["sad", "happy"], seed=0)
    assert found["right"] == 0.75
    assert found["right_unsteered"] == 0.25
    assert found["right_random"] == 0.25
    assert (found["excess"], found["excess_over_random"]) == (0.5, 0.5)
    assert found["unreadable"] == 0.25
    for key in ("right", "excess", "excess_over_random"):
        low, high = found[f"{key}_interval"]
        assert low <= found[key] <= high
        assert low < high


def test_one_odd_unsteered_text_does_not_make_a_gain_certain():
    n_emotions = 40
    # The unsteered text of one prompt scores low for all emotions: each of them seems to gain.
    scores = torch.zeros(1 + n_emotions, 4, n_emotions)
    scores[0, 0] = -4.0
    found = judged_gains(scores.reshape(-1, n_emotions), range(n_emotions), 4, seed=0)
    assert found["gain"] == pytest.approx(1.0)
    assert mean_interval(torch.tensor(found["per_emotion"]["gain"]), 0) == (1.0, 1.0)
    assert found["gain_interval"][0] == 0.0


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


STORIES = [
    ("she lost the umbrella, sadly", "sad", 0),
    ("the umbrella was gone", "sad", 1),
    ("lanterns shone on the water", "happy", 0),
    ("more lanterns and music", "happy", 0),
]


def test_words_of_an_emotions_stories_neither_name_it_nor_belong_to_one_topic():
    own = distinctive_words(*map(list, zip(*STORIES, strict=True)))
    assert own == {"sad": {"umbrella"}, "happy": set()}
    assert leak("An umbrella there", own["sad"]) == pytest.approx(0.5)
    assert leak("no", own["sad"]) == 0


def test_a_planted_leak_is_found_and_other_words_are_none():
    own = {"sad": {"umbrella"}, "happy": {"lanterns"}, "angry": {"doors"}}
    plain = ["They went down the road"] * 4
    planted = [[f"They went down {next(iter(own[name]))}"] * 4 for name in own]
    random = [["They went past lanterns there"] * 4, plain]
    found = leaked(plain, planted, random, list(own), own, seed=0)
    assert found["excess_interval"][0] > 0
    assert found["excess_over_random_interval"][0] > 0
    assert found["elsewhere"] == found["unsteered"] == 0
    assert found["words"] == ["angry: doors", "happy: lanterns", "sad: umbrella"]
    # Words of another emotion's stories are not counted as the emotion's own.
    swapped = leaked(plain, planted[1:] + planted[:1], random, list(own), own, seed=0)
    assert swapped["excess_interval"] == (0.0, 0.0)


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
