"""A page of colored tokens as a file; tests/browser has it as a person sees it."""

import dataclasses
import json

import pytest
import torch
from made_up_analysis import HOSTILE

from probes.texts.token_page import Block, render


def data_of(page: str) -> dict:
    return json.loads(page.partition('id="data">')[2].partition("</script>")[0])


def block(tokens, scores, emotion=None, score=(0.1, 0.2)) -> Block:
    return Block("t", "", tokens, torch.tensor(scores), torch.tensor(score), emotion)


def test_a_z_travels_where_there_is_one_and_leaves_no_trace_elsewhere():
    plain = block(["x"], [[0.1, 0.2]])
    without = data_of(render("t", "a", ["sad", "calm"], [plain]))
    assert "z_means" not in without
    assert "z" not in without["blocks"][0]
    unknown = dataclasses.replace(plain, z=torch.full((2,), torch.nan))
    assert data_of(render("t", "a", ["sad", "calm"], [unknown])) == without
    known = dataclasses.replace(plain, z=torch.tensor([3.25, torch.nan]))
    content = data_of(render("t", "a", ["sad", "calm"], [known, plain]))
    assert [one.get("z") for one in content["blocks"]] == [[3250, None], None]
    assert "neutral text" in content["z_means"]


def test_scores_travel_as_thousandths_by_emotion_and_none_is_no_number():
    page = render("t", "a", ["sad", "calm"], [block(["x", "y"], [[0.1234, -0.5], [0.2, 0.0]])])
    [content] = data_of(page)["blocks"]
    assert content["scores"] == [[123, 200], [-500, 0]]
    assert data_of(page)["limit"] == 500
    empty = render("t", "a", ["sad"], [block([], torch.zeros(0, 1).tolist() or [[]], score=())])
    assert data_of(empty)["limit"] == 1000
    unknown = render("t", "a", ["sad"], [block(["x"], [[0.1]], score=(float("nan"),))])
    assert data_of(unknown)["blocks"][0]["score"] == [None]


@pytest.mark.parametrize("text", [*HOSTILE[:-2], "{{ data }}", "{% raw %}"])
def test_whatever_a_text_spells_is_text(text):
    page = render(text, text, [text], [block([text], [[0.1]], score=(0.1,))])
    assert page.count("<script") == page.count("</script>") == 2
    assert "://" not in page.replace("https://x", "")
    assert data_of(page)["blocks"][0]["tokens"] == [text]


def test_the_same_blocks_give_the_same_bytes():
    blocks = [block(["x"], [[0.1]], emotion=0, score=(0.1,))]
    assert render("t", "a", ["sad"], blocks) == render("t", "a", ["sad"], blocks)
