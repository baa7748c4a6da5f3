"""Reply: planted directions are seen before the reply and in it, noise and likeness are not."""

import json
from dataclasses import replace

import pytest
import torch

from probes.analysis.findings import Estimate
from probes.experiments import NotMeasured, find_experiment, to_json
from probes.experiments.messages.reply import EXPERIMENT, Replies, measure
from probes.experiments.messages.reply_reading import read_answers
from probes.stimuli.replies import reply_messages

MESSAGES = reply_messages()
EMOTIONS = [
    *("afraid", "bored", "calm", "guilty", "hopeful", "kind", "lonely", "panicked"),
    *("patient", "playful", "proud", "smug"),
]


@pytest.fixture
def materials(of):
    return of(EMOTIONS, validation__n_refits=20)


def directions(materials, *, apart):
    """Along which the place before the reply goes with the reply, and the message's end does not.

    Orthogonal, so that scores of one tell nothing of another's; `apart` of as many as emotions.
    """
    texts = [message.text for message in MESSAGES]
    residual = read_answers(materials.subject(), texts, materials.layer).residual.double()
    end, start, mean = residual - residual.mean(dim=1, keepdim=True)
    own = start.T @ mean - apart * end.T @ mean
    return torch.linalg.eigh(own + own.T).eigenvectors[:, -len(EMOTIONS) :].T.float()


def test_what_is_prepared_before_the_reply_and_not_in_the_message_is_seen(materials, put_vectors):
    put_vectors(materials, directions(materials, apart=1.0))
    result = measure(materials)
    assert result.foretold.r.low > result.foretold.shuffled.value
    assert result.ahead.low > 0
    assert result.foretold.p_others < 0.01
    assert result.findings()[0].verdict == "shown"


def test_noise_is_no_more_than_what_looks_alike_along_any_direction(materials, put_vectors):
    noise = torch.randn(len(EMOTIONS), 32, generator=torch.Generator().manual_seed(3))
    put_vectors(materials, noise)
    result = measure(materials)
    assert result.foretold.gain.low < 0
    assert result.foretold.p_shuffled > 0.05
    assert result.findings()[0].verdict != "shown"
    assert 0.3 < result.asked["reply_start"].value < 0.7


def test_line_paragraph_figure_and_scorecard_say_the_same(materials):
    result = measure(materials)
    first, mood = result.findings()
    spelled = f"{result.foretold.r.value:+.2f}"
    caption = result.figures()["reply"].caption
    for text in (first.line, result.paragraph(), caption):
        assert spelled in text
    for text in (first.line, result.paragraph()):
        assert f"{result.from_message.r.value:+.2f}" in text
        assert f"{result.foretold.shuffled.value:+.2f}" in text
    for text in (mood.line, result.paragraph()):
        assert f"{result.asked['reply_start'].value:.2f}" in text
        assert f"{result.implied['reply_start'].value:.2f}" in text
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result
    # Files hold their keys in alphabetic order.
    again = EXPERIMENT.read(json.loads(json.dumps(to_json(result), sort_keys=True)))
    assert (again.paragraph(), again.figures()) == (result.paragraph(), result.figures())
    numbers = result.paper_numbers()
    assert list(numbers) == [
        "reply_token.user_end_vs_reply_start_r",
        "reply_token.user_end_vs_reply_mean_r",
        "reply_token.reply_start_vs_reply_mean_r",
    ]
    ours = numbers["reply_token.reply_start_vs_reply_mean_r"]
    assert (ours.value, ours.n) == (result.foretold.r.value, len(result.replies))


def test_the_strongest_control_stands_beside_and_decides_the_verdict(materials):
    result = measure(materials)
    link, tenth = result.foretold, Estimate(0.1, 0.05, 0.15)
    good = replace(link, r=Estimate(0.5, 0.4, 0.6), gain=tenth, p_others=0.001, p_shuffled=0.01)
    name = "reply_start_vs_reply_mean"

    def verdict(ahead=tenth, **changes):
        links = {**result.links, name: replace(good, **changes)}
        [finding, *_] = replace(result, links=links, ahead=ahead).findings()
        return finding.verdict, finding.control.name

    over = Estimate(0.2, -0.1, 0.5)
    assert verdict() == ("shown", "the message's last token")
    assert verdict(ahead=over) == ("shown in part", "the message's last token")
    assert verdict(gain=over) == ("shown in part", "vectors of shuffled labels")
    assert verdict(p_shuffled=0.2)[0] == "shown in part"
    assert verdict(p_others=0.2)[0] == "not shown"


def test_replies_are_kept_and_a_base_model_is_said_to_be_one(materials):
    result = measure(materials)
    assert isinstance(result, Replies)
    ids = [message.id for message in MESSAGES]
    assert [name for name in ids if name in result.replies] == list(result.replies)
    assert all(result.replies.values())
    assert any("base model" in limit for limit in result.limits())
    fewer = replace(result, n_asked=len(result.replies) + 2)
    assert any("2 of" in limit for limit in fewer.limits())


def test_labels_are_shuffled_as_often_as_the_config_says(materials):
    result = measure(materials)
    assert result.n_dealings == 20
    assert result.foretold.p_shuffled >= 1 / 21


def test_a_run_of_two_emotions_says_what_it_lacks(of):
    result = measure(of(["smug", "vigilant"]))
    assert isinstance(result, NotMeasured)
    assert "3 emotions" in result.findings()[0].line
    assert find_experiment("reply").read(to_json(result)) == result


def test_a_run_without_the_emotions_of_a_good_reply_says_nothing_of_its_mood(of):
    result = measure(of(["angry", "happy", "ecstatic"], validation__n_refits=5))
    assert result.asked == {}
    assert len(result.findings()) == 1
    assert "a good one would have" not in result.paragraph()
