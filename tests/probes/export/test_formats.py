"""What is asked for is checked against what there is, and each format says how it is used."""

import pytest

from hooks.errors import InvalidInput
from probes.export.formats import FORMATS, choose
from probes.export.source import find_source


@pytest.fixture
def run(finished):
    return find_source(str(finished.folder))


@pytest.mark.parametrize(
    ("emotions", "layers", "dose", "message"),
    [
        (["hapy"], [], None, "no vector for 'hapy'; did you mean 'happy'"),
        (["wistful"], [], None, r"no vector for 'wistful'\. This run has: "),
        ([], ["9"], None, "no vectors at layer 9"),
        ([], ["last"], None, "expected numbers, as in --layers=10,12, or 'all', got 'last'"),
        ([], ["²"], None, "expected numbers"),
        ([], [], -0.1, "expected a positive fraction"),
    ],
)
def test_what_there_is_not_is_refused(run, emotions, layers, dose, message):
    with pytest.raises(InvalidInput, match=message):
        choose(run.vectors, emotions, layers, dose)


def test_a_choice_is_sorted_and_holds_each_once(run):
    choice = choose(run.vectors, ["sad", "sad", "happy"], ["2", "1", "2"], 0.2, "me/mine")
    assert (choice.emotions, choice.layers) == (["sad", "happy"], [1, 2])
    assert (choice.dose, choice.repo) == (0.2, "me/mine")
    assert choose(run.vectors, [], ["all"], None).layers == run.vectors.layers
    default = choose(run.vectors, [], [], None)
    assert (default.emotions, default.layers, default.dose) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "files", "notice"),
    [
        ("gguf", {"sad.gguf"}, "--control-vector-scaled sad.gguf:1"),
        ("safetensors", {"sad.safetensors"}, "tensors in each file: resid_post.1, resid_post.2"),
        ("parquet", {"vectors.parquet", "stories.parquet", "neutral.parquet"}, None),
    ],
)
def test_each_format_makes_its_files_and_says_how_they_are_used(run, name, files, notice):
    made = FORMATS[name].make(run, choose(run.vectors, ["sad"], ["1", "2"], None))
    assert set(made.files) == files
    assert all(made.files.values())
    if notice is not None:
        assert "strength s is dose s * 0.1 at each of the layers 1, 2" in made.notices[0]
        assert notice in made.notices[-1]


def test_block_0_is_left_out_of_gguf_and_said_first(run):
    made = FORMATS["gguf"].make(run, choose(run.vectors, ["sad"], ["0", "1"], None))
    assert made.notices[0].startswith("block 0 was left out")
    assert "layers 1 (0-based" in made.notices[1]
