"""A file is the old one or the new one, never a part; equal values give equal bytes."""

import errno
import json
import os
import re
import subprocess
import sys
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hooks.errors import DataError, EmotionLensError, InvalidInput
from probes import storage
from probes.stimuli import emotions
from probes.storage import (
    MAX_LENGTH,
    StorageError,
    digest_files,
    read_json,
    seed_of,
    slug,
    write_bytes,
    write_json,
)

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from probes.storage import StorageError, write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_bytes(Path(sys.argv[1]), b"new" * 100_000)
except StorageError as error:
    print(error)
    sys.exit(7)
"""


STUCK = """
import os, sys, time
from pathlib import Path
from probes.storage import write_bytes
os.fsync = lambda _file: (print("writing", flush=True), time.sleep(60))
write_bytes(Path(sys.argv[1]), b"half")
"""


def writer_at_work(path) -> subprocess.Popen[str]:
    """A process that is in the middle of writing a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, str(path)],
        cwd=storage.Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process.stdout as said:
        assert said.readline() == "writing\n"
    return process


class TestWriting:
    def test_makes_the_folder_and_leaves_nothing_else(self, tmp_path):
        write_bytes(tmp_path / "a" / "b" / "c.bin", b"one")
        write_bytes(tmp_path / "a" / "b" / "c.bin", b"two")
        assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"two"
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["c.bin"]

    def test_who_has_the_old_file_keeps_it_whole(self, tmp_path):
        write_bytes(tmp_path / "c.bin", b"one")
        (tmp_path / "held").hardlink_to(tmp_path / "c.bin")
        write_bytes(tmp_path / "c.bin", b"two")
        assert (tmp_path / "held").read_bytes() == b"one"

    def test_equal_values_give_equal_bytes(self, tmp_path):
        write_json(tmp_path / "a.json", {"b": 1, "a": ["ü"]})
        write_json(tmp_path / "b.json", {"a": ["ü"], "b": 1})
        assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
        assert read_json(tmp_path / "a.json") == {"a": ["ü"], "b": 1}

    def test_a_full_disk_leaves_the_old_file_and_no_part(self, tiny_disk):
        path = tiny_disk / "vectors.bin"
        write_bytes(path, b"old")
        with pytest.raises(StorageError, match="No space left on device") as caught:
            write_bytes(path, b"new" * 100_000)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == errno.ENOSPC
        assert path.read_bytes() == b"old"
        assert [file.name for file in tiny_disk.iterdir()] == ["vectors.bin"]

    def test_a_file_size_limit_leaves_the_old_file_and_no_part(self, tmp_path):
        path = tmp_path / "vectors.bin"
        write_bytes(path, b"old")
        ran = subprocess.run(
            [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, timeout=60
        )
        assert ran.returncode == 7, ran.stderr
        assert "Free some space" in ran.stdout
        assert path.read_bytes() == b"old"
        assert [file.name for file in tmp_path.iterdir()] == ["vectors.bin"]

    def test_a_folder_that_is_a_file_is_an_error_of_this_project(self, tmp_path):
        (tmp_path / "file").write_text("here first")
        with pytest.raises(EmotionLensError, match="could not write"):
            write_bytes(tmp_path / "file" / "c.bin", b"x")
        assert (tmp_path / "file").read_text() == "here first"

    def test_parts_of_killed_writers_are_removed_and_nothing_else(self, tmp_path):
        (tmp_path / "deep").mkdir()
        killed = writer_at_work(tmp_path / "deep" / "a.bin")
        alive = writer_at_work(tmp_path / "deep" / "b.bin")
        try:
            parts = {path.name for path in tmp_path.rglob(".part-*")}
            assert len(parts) == 2
            (tmp_path / "deep" / "part-abc").write_text("whole")
            killed.kill()
            killed.wait()
            storage.remove_leftovers(tmp_path, below=False)
            assert {path.name for path in tmp_path.rglob(".part-*")} == parts
            storage.remove_leftovers(tmp_path)
            storage.remove_leftovers(tmp_path / "missing")
            [left] = tmp_path.rglob(".part-*")
            assert f"-{alive.pid}-" in left.name
            assert (tmp_path / "deep" / "part-abc").exists()
        finally:
            alive.kill()
            alive.wait()

    def test_parts_of_another_machine_are_left_alone_for_a_day(self, tmp_path):
        young, old = tmp_path / ".part-node7-1-abc", tmp_path / ".part-node7-2-abc"
        for path in (young, old):
            path.write_text("half")
        yesterday = time.time() - 25 * 3600
        os.utime(old, (yesterday, yesterday))
        storage.remove_leftovers(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [young.name]


class TestReading:
    @pytest.mark.parametrize("content", [b'{"a": [1, 2', b"", b"\xff\xfe"])
    def test_a_truncated_file_is_named_with_the_cure(self, tmp_path, content):
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(DataError, match=r"a\.json is damaged or truncated.*Delete it"):
            read_json(tmp_path / "a.json")

    def test_a_file_that_cannot_be_read_is_named_with_the_cure(self, tmp_path, unreadable):
        (tmp_path / "folder.json").mkdir()
        for path in (unreadable("a.json"), tmp_path / "folder.json"):
            with pytest.raises(DataError, match=rf"{path.name}: expected a file.*permissions"):
                read_json(path)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(DataError, match=r"a\.json is missing"):
            read_json(tmp_path / "a.json")


class TestDigestsAndSeeds:
    def test_seeds_are_the_same_in_every_process(self):
        parts = (0, ("happy", "a lost key"), 1)
        code = f"from probes.storage import seed_of; print(seed_of(*{parts!r}))"
        seeds = {
            subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                timeout=60,
                env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
                cwd=storage.Path(__file__).parents[2],
            ).stdout.strip()
            for hash_seed in ("1", "2")
        }
        assert seeds == {str(seed_of(*parts))}

    def test_different_parts_give_different_seeds_in_63_bits(self):
        parts = [(a, b, c) for a in range(10) for b in "abcdefghij" for c in range(10)]
        parts += [("ab", "c"), ("a", "bc"), ("abc",), ("a", "b", "c"), ('a", "b', "c")]
        seeds = [seed_of(*part) for part in parts]
        assert len(set(seeds)) == len(parts)
        assert all(0 <= seed < 2**63 for seed in seeds)

    def test_a_digest_of_files_follows_names_and_contents_but_not_the_folder(self, tmp_path):
        def digest(name: str, **files: str) -> str:
            root = tmp_path / name
            root.mkdir()
            for file, text in files.items():
                (root / file).write_text(text)
            return digest_files(root.iterdir(), root)

        first = digest("one", a="x", b="y")
        assert digest("two", b="y", a="x") == first
        others = [digest("3", a="y", b="x"), digest("4", a="x", c="y"), digest("5", a="x")]
        assert len({first, *others}) == 4

    def test_a_digest_of_a_value_ignores_the_order_of_keys_only(self):
        assert storage.digest_of({"a": 1, "b": [1, 2]}) == storage.digest_of({"b": [1, 2], "a": 1})
        assert storage.digest_of({"b": [2, 1]}) != storage.digest_of({"b": [1, 2]})
        assert len(storage.digest_of(json.loads("{}"))) == 16


NAMES = st.text(st.characters(exclude_categories=()), min_size=1, max_size=150).filter(str.strip)
# Few characters, so that near-equal names come up often.
NEAR_NAMES = st.text("aA _-%5f.~/é", min_size=1, max_size=6).filter(str.strip)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sad", "sad"),
        ("at ease", "at_ease"),
        ("self-confident", "self-confident"),
        ("at_ease", "at%5fease"),
    ],
)
def test_plain_words_stay_readable(name, expected):
    assert slug(name) == expected


def test_the_171_emotions_have_171_readable_slugs():
    slugs = {slug(name) for name in emotions()}
    assert len(slugs) == 171
    assert all(re.fullmatch(r"[a-z_-]+", text) for text in slugs)


def test_names_that_other_schemes_confuse_stay_apart():
    names = [
        "at ease",
        "at_ease",
        "At Ease",
        "at-ease",
        "at  ease",
        "at%20ease",
        "at%5fease",
        "atease",
        "../x",
        "/etc",
        "a/b",
        "a\\b",
        "x\0",
        "x",
        ".",
        "..",
        "é",
        "e\u0301",
        "\ud800",
        "con",
        "CON",
        "%63on",
        "-x",
        "%2dx",
        "a" * 200,
        "a" * 201,
        "~",
        " x",
        "x ",
    ]
    slugs = [slug(name).casefold() for name in names]
    assert len(set(slugs)) == len(names)


@given(NAMES)
@example("../x")
@example("/etc")
@example("\0")
@example("nul")
@example("C:\\x")
@example("\ud800")
@example("é" * 400)
def test_a_slug_is_a_safe_folder_name(name):
    text = slug(name)
    assert 0 < len(text) <= MAX_LENGTH == 100
    assert re.fullmatch(r"[a-z0-9_%~][a-z0-9_%~-]*", text)
    assert text not in {"con", "prn", "aux", "nul"}
    assert slug(name) == text


@given(NAMES, NAMES)
def test_two_names_never_share_a_slug(first, second):
    assert (slug(first) == slug(second)) == (first == second)


@given(NEAR_NAMES, NEAR_NAMES)
def test_two_similar_names_never_share_a_slug(first, second):
    assert (slug(first) == slug(second)) == (first == second)


@pytest.mark.parametrize("name", ["", "   ", "\n"])
def test_an_empty_name_is_refused(name):
    with pytest.raises(InvalidInput, match="visible character"):
        slug(name)
