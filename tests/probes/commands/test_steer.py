"""``emotion-probes steer``: side by side, with its cost; wrong requests stop before any model."""

import json

import pytest

from hooks import resid_post
from probes.run import main
from probes.runs.models import Models
from probes.vectors.emotion_vectors import EmotionVectors

WORDS = ["--prompt=He closed the door, and", "--max_new_tokens=6"]


def steer(finished, *words):
    given = {word.partition("=")[0] for word in words}
    defaults = [word for word in WORDS if word.partition("=")[0] not in given]
    return main(["steer", finished.config, *defaults, *words])


def test_baseline_and_every_emotion_and_dose_stand_in_one_table_and_page(finished, capsys):
    page = finished.folder / "side.html"
    assert steer(finished, "--emotion=sad,happy", "--dose=0.05,0.3", f"--output={page}") == 0
    shown = capsys.readouterr().out
    names = ["unsteered", "sad 0.05", "sad 0.3", "happy 0.05", "happy 0.3"]
    assert [name for name in names if name in shown] == names
    for word in ("perplexity", "repetition", "change of words (nats): sad +", "KL"):
        assert word in shown
    written = page.read_text(encoding="utf-8")
    assert written.count("<article") == 5
    assert "He closed the door, and" in written  # the comma did not make it two values


def test_the_same_request_writes_the_same_bytes(finished):
    pages = []
    for name in ("a.html", "b.html"):
        assert (
            steer(finished, "--emotion=sad", "--dose=0.2", f"--output={finished.folder / name}")
            == 0
        )
        pages.append((finished.folder / name).read_bytes())
    assert pages[0] == pages[1]


def test_a_request_past_the_budget_is_warned_of_and_auto_stays_within_it(finished, capsys):
    budget = ["--validation.max_kl=0.05", "--validation.max_perplexity_ratio=1000"]
    assert steer(finished, "--emotion=sad", "--dose=1.5", *budget) == 0
    printed = " ".join(capsys.readouterr().err.split())
    assert "warning: sad 1.5 is past the usable range" in printed
    assert "--auto" in printed
    assert "Past the usable range" in next((finished.folder / "steered").glob("*.html")).read_text()
    assert steer(finished, "--emotion=sad", "--auto", *budget) == 0
    assert "past the usable range" not in capsys.readouterr().err


def test_json_holds_numbers_and_the_warning_which_is_also_said_when_quiet(finished, capsys):
    budget = ["--validation.max_kl=0.05", "--validation.max_perplexity_ratio=1000"]
    assert steer(finished, "--emotion=sad", "--dose=0.01,1.5", *budget, "--json", "--quiet") == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    assert "warning: sad 1.5 is past the usable range" in " ".join(shown.err.split())
    assert [warning.split(" is ")[0] for warning in result["warnings"]] == ["sad 1.5"]
    small, large = result["steered"]
    assert (small["within_budget"], large["within_budget"]) == (True, False)
    assert large["cost"]["kl"] > 0.05 >= small["cost"]["kl"]
    emotions = EmotionVectors.load(finished.folder).emotions
    for condition in (result["baseline"], small, large):
        assert list(condition["word_changes"]) == emotions
        assert isinstance(condition["text"], str)
    assert all(value < 0 for value in result["baseline"]["word_changes"].values())
    [(layer, coefficient)] = large["coefficients"].items()
    vectors = EmotionVectors.load(finished.folder)
    norm = float(vectors.residual_norm[vectors.layer_index(int(layer))])
    assert coefficient == pytest.approx(1.5 * norm, rel=1e-5)


def test_positions_hold_for_words_and_cost_where_they_have_a_meaning_there(finished, capsys):
    by_positions = {}
    for positions in ("all", "last", "generated"):
        words = ["--emotion=sad", "--dose=0.5", "--layers=0", f"--positions={positions}", "--json"]
        assert steer(finished, *words) == 0
        by_positions[positions] = json.loads(capsys.readouterr().out)
    of = {name: each["steered"][0] for name, each in by_positions.items()}
    assert of["last"]["word_changes"] != of["all"]["word_changes"]
    assert of["last"]["cost"]["kl"] < of["all"]["cost"]["kl"]
    # Nothing is generated after the sentences: all of them is steered, and it says so.
    assert of["generated"]["word_changes"] == of["all"]["word_changes"]
    assert by_positions["generated"]["carriers_steered"] == "every token steered"
    assert by_positions["last"]["carriers_steered"] == "positions last"


def test_a_search_that_ends_at_its_largest_dose_says_so(finished, capsys):
    wide = ["--validation.max_kl=1e9", "--validation.max_perplexity_ratio=1e9"]
    assert steer(finished, "--emotion=sad", "--auto", *wide) == 0
    assert "--auto tries no larger dose" in " ".join(capsys.readouterr().err.split())


def test_positions_layers_and_operations_are_taken(finished, capsys):
    for extra in (
        ["--dose=0.2", "--positions=text:the door"],
        ["--dose=0.2", "--layers=1,2", "--split", "--positions=last"],
        ["--operation=project"],
        ["--dose=0.2", "--operation=rotate", "--positions=generated"],
    ):
        assert steer(finished, "--emotion=sad", *extra) == 0
    assert "layers 1, 2, split" in capsys.readouterr().out


def test_one_token_is_written_though_none_of_it_can_be_steered(finished, capsys):
    words = ["--emotion=sad", "--dose=0.2", "--positions=generated", "--max_new_tokens=1"]
    assert steer(finished, *words, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["steered"][0]["text"] == result["baseline"]["text"] != ""


def test_watched_emotions_are_scored_in_the_texts_that_are_written(finished, capsys):
    words = ["--emotion=sad", "--dose=0.3", "--layers=1"]
    assert steer(finished, *words, "--json") == 0
    alone = json.loads(capsys.readouterr().out)
    assert steer(finished, *words, "--watch=happy,sad", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    vectors = EmotionVectors.load(finished.folder)
    model = Models(finished.run().config).subject()
    target, prompt = vectors.provenance.target_layer, model.encode_prompt(result["prompt"])
    for condition, plain in zip(
        [result["baseline"], *result["steered"]],
        [alone["baseline"], *alone["steered"]],
        strict=True,
    ):
        assert condition["text"] == plain["text"]  # watching changes nothing
        assert plain["watched"] == {}
        assert list(condition["watched"]) == ["happy", "sad"]
        assert condition["text"].startswith("".join(condition["watched_tokens"]))
    unsteered = result["baseline"]
    [text] = model.generate([prompt], max_new_tokens=6, temperature=0.8, top_k=50, seed=0)
    n_read = len(text.tokens) - (not text.finished)
    resid = resid_post(model, [*prompt, *text.tokens], layers=[target]).resid[0]
    expected = vectors.cosine(resid[len(prompt) : len(prompt) + n_read], target)
    for name, scores in unsteered["watched"].items():
        own = expected[:, vectors.emotions.index(name)].tolist()
        assert scores == pytest.approx(own, abs=1e-4)


def test_each_watched_emotion_is_a_short_line_of_the_table_and_of_the_page(finished, capsys):
    page = finished.folder / "side.html"
    words = ["--emotion=sad", "--dose=0.3", "--watch=happy", f"--output={page}"]
    assert steer(finished, *words) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("happy: mean") == 2
    assert "with what is pushed in it. Layer 3." in shown
    assert page.read_text(encoding="utf-8").count("watched: happy") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--emotion=sadd", "--dose=0.1"], "no vector for 'sadd'"),
        (["--emotion=sad", "--dose=0.1", "--watch=sadd"], "no vector for 'sadd'"),
        (["--dose=0.1"], "--emotion: expected one or more of"),
        (["--emotion=sad", "--dose=0.1", "--layers=99"], "no vectors at layer 99"),
        (["--emotion=sad", "--dose=0.1", "--layers=x"], "--layers: expected a whole number"),
        (["--emotion=sad", "--dose=0.1", "--operation=push"], "--operation: expected add, project"),
        (["--emotion=sad", "--dose=0.1", "--operation=project"], "takes no dose"),
        (["--emotion=sad"], "either --dose"),
        (["--emotion=sad", "--dose=0.1", "--auto"], "either --dose"),
        (["--emotion=sad", "--dose=-1"], "--dose: expected a number above 0"),
        (["--emotion=sad", "--dose=inf"], "--dose: expected a number"),
        (["--emotion=sad", "--dose=0.1", "--temperature=-1"], "--temperature: expected 0 or more"),
        (["--emotion=sad", "--dose=0.1", "--temperature=nan"], "--temperature: expected a number"),
        (["--emotion=sad", "--dose=0.1", "--seed=1.5"], "--seed: expected a whole number"),
        (["--emotion=sad", "--dose=0.1", "--split=yes"], "--split: expected no value"),
        (["--emotion=sad", "--dose=0.1", "--auto=true"], "either --dose"),
        (["--emotion=sad", "--dose=0.1", "opened", "it"], "expected one config"),
        (["--emotion=sad", "--dose=0.1", "--positions=here"], "--positions: expected one of"),
        (["--emotion=sad", "--dose=0.1", "--output=x.txt"], "ends in .html"),
        (["--emotion=sad", "--dose=0.1", "--max_new_tokens=0"], "expected 1 or more"),
        (["--emotion=sad", "--dose=0.1", "--prompt="], "--prompt: expected a text"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_model_is_loaded(finished, capsys, words, message):
    # A model that is not there would be the error if it were looked for.
    assert steer(finished, "--model.name=/no/such/model", *words) == 2
    assert message in " ".join(capsys.readouterr().err.split())
