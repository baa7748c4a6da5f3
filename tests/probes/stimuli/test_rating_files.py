"""Ratings in the published formats are recognized by their columns; nothing is guessed."""

import pytest

from hooks.errors import InvalidInput
from probes.stages import STAGES
from probes.stages.before import check_before
from probes.stimuli.rating_files import read_norms

FILES = {
    "NRC-VAD": "Word\tValence\tArousal\tDominance\nhappy\t1.0\t0.7\t0.8\nSad\t0.1\t0.3\t0.2\n",
    "NRC-VAD, terms": "term\tvalence\tarousal\tdominance\nhappy\t1.0\t0.7\t0\nsad\t0.1\t0.3\t0\n",
    "Warriner": ",Word,V.Mean.Sum,V.SD.Sum,A.Mean.Sum,D.Mean.Sum\n"
    "1,happy,1.0,1,0.7,7\n2,sad,0.1,2,0.3,4\n",
    "Glasgow": "Words,Length,AROU,,,VAL,,\n,,M,SD,N,M,SD,N\nhappy,5,0.7,2,33,1.0,1,33\n"
    "sad,3,0.3,2,33,0.1,1,33\n",
    "Glasgow, one header": "word,AROU.M,AROU.SD,VAL.M,VAL.SD\nhappy,0.7,1,1.0,1\nsad,0.3,1,0.1,1\n",
}


@pytest.mark.parametrize("name", FILES)
def test_each_format_gives_valence_and_arousal(tmp_path, name):
    path = tmp_path / "norms.csv"
    path.write_text(FILES[name], encoding="utf-8")
    kind, norms = read_norms(str(path))
    assert kind == name.split(",")[0]
    assert norms == {
        "happy": {"valence": 1.0, "arousal": 0.7},
        "sad": {"valence": 0.1, "arousal": 0.3},
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("word,mood\nhappy,1\n", "NRC-VAD"),
        ("", "an empty file"),
        ("Word,Valence,Arousal\nhappy,high,1\n", "row 2"),
    ],
)
def test_other_files_are_refused_with_what_was_expected(tmp_path, content, message):
    path = tmp_path / "norms.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=message):
        read_norms(str(path))


def test_a_word_that_is_rated_twice_and_otherwise_is_refused(tmp_path):
    path = tmp_path / "norms.csv"
    path.write_text(FILES["NRC-VAD"] + "sad\t0.1\t0.3\t0.2\n")
    assert len(read_norms(str(path))[1]) == 2
    path.write_text(FILES["NRC-VAD"] + "SAD\t0.9\t0.3\t0.2\n")
    with pytest.raises(InvalidInput, match="row 4: 'SAD' was rated otherwise above"):
        read_norms(str(path))


def test_a_missing_file_stops_a_run_before_any_work(reading_run):
    run = reading_run(validation={"norms": "nowhere.csv"}).run()
    with pytest.raises(InvalidInput, match="not found"):
        check_before(run, STAGES, [])
    assert not run.root.exists()


def test_the_files_content_decides_and_not_its_name(tmp_path, reading_run):
    from probes.stages.settings import SETTINGS

    settings = []
    for name, content in (("a.csv", "NRC-VAD"), ("a.csv", "Warriner")):
        path = tmp_path / name
        path.write_text(FILES[content], encoding="utf-8")
        run = reading_run(validation={"norms": str(path)}).run()
        settings.append(SETTINGS["validate"](run))
    assert settings[0] != settings[1]
