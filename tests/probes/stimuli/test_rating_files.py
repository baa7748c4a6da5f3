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
    read = read_norms(str(path))
    assert read.format == name.split(",")[0]
    assert read.of(["happy", "sad", "bored"]) == {
        "happy": {"valence": 1.0, "arousal": 0.7},
        "sad": {"valence": 0.1, "arousal": 0.3},
    }
    assert (read.n_rows, read.n_unrated) == (2, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("word,mood\nhappy,1\n", "NRC-VAD"),
        ("", "an empty file"),
        ("Word,Valence,Arousal\nhappy,high,1\n", "line 2: expected a word with numbers"),
        ("# ours\n\nWord,Valence,Arousal\n\nhappy,inf,1\n", "line 5"),
        ("happy\t7.1\t6.2\t5\n", "line 1: expected the columns"),
        ("happy\t0.9\t0.7\n", "line 1: expected the columns"),
        ("happy,0.9,0.7,0.5\n", "line 1: expected the columns"),
        ("happy\t0.9\t0.7\t0.5\nsad\t2.1\t0.3\t0.4\n", "line 2: .*numbers from -1 to 1"),
        ("happy\t0.9\t0.7\t0.5\nsad\t0.1\n", "line 2: .*2 cells of 4"),
        ("word,valence,arousal\nhappy,0,9,0,7\n", "line 2: .*5 cells by commas, and 3 columns"),
        ('word,valence,arousal\n"happy,1,1\nsad",0,0\n', "line 2: .*end of data"),
        ("word\tvalence\tarousal\nhappy\t1,234.5\t1\n", "line 2"),
    ],
)
def test_other_files_are_refused_with_what_was_expected(tmp_path, content, message):
    path = tmp_path / "norms.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidInput, match=message):
        read_norms(str(path))


def test_a_word_that_is_rated_twice_and_otherwise_is_refused(tmp_path):
    path = tmp_path / "norms.csv"
    path.write_text(FILES["NRC-VAD"] + "Sad\t0.1\t0.3\t0.2\n")
    assert len(read_norms(str(path)).norms) == 2
    path.write_text(FILES["NRC-VAD"] + "Sad\t0.9\t0.3\t0.2\n")
    with pytest.raises(InvalidInput, match="line 4: 'Sad' was rated otherwise in line 3"):
        read_norms(str(path))


def test_a_word_in_another_case_is_another_word_and_counts_where_there_is_no_other(tmp_path):
    path = tmp_path / "norms.csv"
    path.write_text("May\t0.8\t0.4\t0.5\nmay\t0.5\t0.2\t0.5\nJoy\t0.9\t0.8\t0.5\n")
    read = read_norms(str(path))
    rated = {word: values["valence"] for word, values in read.of(["may", "May", "joy"]).items()}
    assert rated == {"may": 0.5, "May": 0.8, "joy": 0.9}
    with pytest.raises(InvalidInput, match="one rating of 'MAY', got those of 'May', 'may', which"):
        read.of(["MAY"])


PUBLISHED = "aaaaaaah\t0.479\t0.606\t0.291\nhappy\t1.0\t0.735\t0.772\nsad\t-0.225\t0.333\t0\n"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_nrc_vad_as_it_is_published_has_no_row_of_names(tmp_path, ends):
    path = tmp_path / "norms.txt"
    path.write_bytes(PUBLISHED.replace("\n", ends).encode())
    read = read_norms(str(path))
    assert (read.format, read.n_rows) == ("NRC-VAD", 3)
    assert read.of(["sad"]) == {"sad": {"valence": -0.225, "arousal": 0.333}}


def test_rows_without_a_rating_are_counted(tmp_path):
    path = tmp_path / "norms.csv"
    rows = ["a;NA;1", "b;1;", "c;;n/a", ";1;1", "d;#N/A;2", "e;NaN;2", "happy;1;2", "f;.;."]
    path.write_text("word;valence;arousal\n" + "\n".join(rows))
    read = read_norms(str(path))
    assert read.norms == {"happy": {"valence": 1.0, "arousal": 2.0}}
    assert (read.n_rows, read.n_unrated) == (8, 7)


@pytest.mark.parametrize(
    "content",
    [
        "word;valence;arousal\nhappy;0,9;0,7\n",
        "word\tvalence\tarousal\nhappy\t0,9\t0,7\n",
        'word,valence,arousal\nhappy, "0,9", "0,7"\n',
        "happy\t0,9\t0,7\t0,5\n",
        "# by hand\nword\tvalence\tarousal\n# the words\nhappy\t0.9\t0.7\n",
        "#word;arousal;valence;dominance\nhappy;0.7;0.9;0.5\n",
        "word\tvalence\tarousal\tdominance\nhappy\t0.9\t0.7\t0.5x\n",
        "word\tvalence\tarousal\tdominance\nhappy\t0.9\t0.7\n",
        "happy\t0.9\t0.7\thigh\n",
        "word\tvalence\tarousal\nhappy\t0.9\t0.7\t\t\n",
        "\ufeffword;valence;arousal\nhappy;0.9;0.7\n",
    ],
)
def test_a_file_is_read_as_people_write_it(tmp_path, content):
    path = tmp_path / "norms.csv"
    path.write_text(content, encoding="utf-8")
    assert read_norms(str(path)).norms == {"happy": {"valence": 0.9, "arousal": 0.7}}


def test_a_lone_quote_in_a_file_of_tabs_swallows_no_line(tmp_path):
    path = tmp_path / "norms.tsv"
    rows = ['"happy\t1\t2', "sad\t0\t1", '"at ease"\t3\t4', '5" nail"\t1\t1', "a\u2028b\t2\t2"]
    path.write_text("word\tvalence\tarousal\n" + "\n".join(rows), encoding="utf-8")
    read = read_norms(str(path))
    assert list(read.norms) == ['"happy', "sad", "at ease", '5" nail"', "a\u2028b"]
    assert read.n_rows == len(rows)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_another_encoding_is_named_with_its_cure(tmp_path, encoding):
    path = tmp_path / "norms.csv"
    path.write_bytes("Word,Valence,Arousal\nblasé,0.2,0.1\n".encode(encoding))
    name = "WINDOWS-1252" if encoding == "latin-1" else "UTF-16"
    with pytest.raises(InvalidInput, match=f"iconv -f {name} -t UTF-8 FILE > NEW"):
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
