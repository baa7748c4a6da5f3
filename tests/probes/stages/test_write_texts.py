"""Stages that write texts: every cell filled or counted, made again to the same bytes."""

import json
from pathlib import Path

import pytest
import small_runs
from small_runs import Heard

from hooks import Generation
from hooks.errors import DataError
from probes.corpus import filtering
from probes.corpus.cells import Cell, read_cell
from probes.corpus.thoughts import without_thought
from probes.stages import units
from probes.stages.units import LocalWriter, plan, spoken
from probes.stimuli import leaks
from probes.storage import write_json

N_CELLS = len(small_runs.EMOTIONS) * len(small_runs.TOPICS)


def stories_of(made) -> dict[str, bytes]:
    folder = made.folder / "stories"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.fixture
def written(small_run, tiny_writer):
    made = small_run(writer={"name": str(tiny_writer)})
    assert made.stage("generate-stories")
    return made


class TestWriting:
    def test_every_cell_has_its_stories_and_says_how_they_were_made(self, written, tiny_writer):
        run = written.run()
        counts = run.record("generate-stories").counts
        contents = [read_cell(run.root, cell) for cell in run.story_cells]
        assert len(stories_of(written)) == len(contents) == N_CELLS == counts["files"]
        assert counts["accepted"] == sum(len(content["texts"]) for content in contents)
        assert counts["accepted"] + counts["missing"] == counts["requested"] == 2 * N_CELLS
        assert counts["rejected"] == sum(len(content["rejected"]) for content in contents)
        assert counts["accepted"] > N_CELLS
        assert contents[0]["writer"]["name"] == str(tiny_writer)
        assert len(contents[0]["writer"]["fingerprint"]) == 16
        assert contents[0]["sampling"]["temperature"] == 1.0
        assert (contents[0]["seed"], len(contents[0]["prompts"])) == (0, 16)

    def test_emotions_do_not_get_the_same_stories(self, written):
        run = written.run()
        texts = [
            text["text"] for cell in run.story_cells for text in read_cell(run.root, cell)["texts"]
        ]
        assert len(set(texts)) == len(texts)

    def test_lost_cells_are_written_again_to_the_same_bytes_and_no_others(self, written):
        before = stories_of(written)
        cell = written.run().story_cells[5]
        unit = 8 // 2  # batch_size over stories per cell
        others = [c for c in written.run().story_cells if c not in written.run().story_cells[4:8]]
        times = {c: (written.folder / c.path).stat().st_mtime_ns for c in others}
        assert len(others) == N_CELLS - unit
        (written.folder / cell.path).unlink()
        assert written.stage("generate-stories")
        assert stories_of(written) == before
        assert {c: (written.folder / c.path).stat().st_mtime_ns for c in others} == times

    def test_another_seed_writes_other_stories(self, written, tmp_path):
        written.stage("generate-stories", seed=1, output_dir=str(tmp_path / "other"))
        again = {
            path.relative_to(tmp_path / "other" / "stories").as_posix(): path.read_bytes()
            for path in (tmp_path / "other" / "stories").rglob("*.*")
        }
        assert set(again) == set(stories_of(written))
        assert not set(again.values()) & set(stories_of(written).values())

    def test_neutral_dialogues_have_a_person_and_an_assistant(self, written):
        written.stage("generate-neutral")
        texts = [
            text["text"]
            for topic in small_runs.TOPICS
            for text in read_cell(written.folder, Cell(None, topic))["texts"]
        ]
        assert len(texts) >= 3
        assert all(text.startswith("Person: ") and "\nAssistant: " in text for text in texts)

    def test_null_writes_with_the_subject(self, small_run, tiny_writer):
        made = small_run(model={"name": str(tiny_writer)})
        made.stage("generate-neutral")
        content = read_cell(made.folder, Cell(None, small_runs.TOPICS[0]))
        assert content["writer"]["name"] == str(tiny_writer)

    def test_a_base_model_writes_too(self, small_run, tmp_path):
        base = small_runs.save_tiny_writer(tmp_path / "base", chat=False)
        made = small_run(writer={"name": str(base), "system": "Be brief."})
        made.stage("generate-stories")
        assert made.run().record("generate-stories").counts["accepted"] > N_CELLS


@pytest.fixture(scope="module")
def blunt_writer(tmp_path_factory) -> Path:
    """It likes to write "sad" and "angry" on their own."""
    folder = tmp_path_factory.mktemp("models") / "blunt"
    return small_runs.save_tiny_writer(folder, words=["sad", "sadness", "angry"])


class TestNamedEmotions:
    def counts(self, small_run, blunt_writer, how):
        generation = {"suppress_banned": how, "max_attempts": 2}
        made = small_run(writer={"name": str(blunt_writer)}, generation=generation)
        made.stage("generate-stories")
        return made, made.run().record("generate-stories").counts

    def test_are_rejected_when_nothing_prevents_them(self, small_run, blunt_writer):
        made, counts = self.counts(small_run, blunt_writer, "never")
        assert counts["rejected_by_reason"]["leak"] > 0
        assert counts["first_attempt_leak_share"] > 0
        sad = [cell for cell in made.run().story_cells if cell.emotion == "sad"]
        texts = [t["text"] for cell in sad for t in read_cell(made.folder, cell)["texts"]]
        assert texts
        assert not any(leaks(text, "sad") for text in texts)

    def test_never_come_when_their_tokens_are_suppressed(self, small_run, blunt_writer):
        made, counts = self.counts(small_run, blunt_writer, "always")
        assert "leak" not in counts["rejected_by_reason"]
        happy = [cell for cell in made.run().story_cells if cell.emotion == "happy"]
        texts = [t["text"] for cell in happy for t in read_cell(made.folder, cell)["texts"]]
        assert any("sad" in text for text in texts)  # another emotion's word is no leak

    def test_do_not_come_twice_when_retries_suppress_them(self, small_run, blunt_writer):
        made, counts = self.counts(small_run, blunt_writer, "retries")
        rejected = [
            item
            for cell in made.run().story_cells
            for item in read_cell(made.folder, cell)["rejected"]
            if item["reason"].startswith("leak")
        ]
        assert len(rejected) == counts["rejected_by_reason"]["leak"] > 0
        assert {item["attempt"] for item in rejected} == {1}


@pytest.mark.slow
class TestMoreAttempts:
    """The blunt writer leaves cells short when nothing prevents its favorite words."""

    GENERATION = {"suppress_banned": "never", "stories_per_topic": 4, "batch_size": 16}

    @pytest.fixture
    def short(self, small_run, blunt_writer):
        made = small_run(writer={"name": str(blunt_writer)}, generation=self.GENERATION)
        made.stage("generate-stories", generation__max_attempts=1)
        assert made.run().record("generate-stories").counts["missing"] > 0
        return made

    def test_fill_what_is_short_and_leave_the_rest_as_in_a_fresh_run(self, short, tmp_path):
        before = stories_of(short)
        times = {path: path.stat().st_mtime_ns for path in short.folder.glob("stories/*/*")}
        assert short.stage("generate-stories", generation__max_attempts=6)
        assert short.stage("generate-stories", generation__max_attempts=6) is False
        fresh = {"generation__max_attempts": 6, "output_dir": str(tmp_path / "fresh")}
        short.stage("generate-stories", **fresh)
        again = short.run(**fresh)
        assert stories_of(short) == {
            cell.path.relative_to("stories").as_posix(): (again.root / cell.path).read_bytes()
            for cell in again.story_cells
        }
        assert stories_of(short) != before  # so what was made from the stories is refused
        counts = [run.record("generate-stories").counts for run in (short.run(), again)]
        assert counts[0] == counts[1]
        full = [path for path in times if json.loads(path.read_text())["attempts"] == 1]
        assert all(path.stat().st_mtime_ns == times[path] for path in full)

    def test_of_a_unit_killed_between_two_files_are_made_from_the_beginning(self, short):
        cell = short.run().story_cells[0]
        first = (short.folder / cell.path).read_bytes()
        short.stage("generate-stories", generation__max_attempts=6)
        after = stories_of(short)
        (short.folder / cell.path).write_bytes(first)
        record = short.run().record("generate-stories").to_json() | {"complete": False}
        write_json(short.run().record_path("generate-stories"), record)
        assert short.stage("generate-stories", generation__max_attempts=6)
        assert stories_of(short) == after

    def test_cure_an_emotion_without_a_story(self, small_run, tiny_writer, monkeypatch):
        made = small_run(writer={"name": str(tiny_writer)}, generation={"max_attempts": 1})
        with monkeypatch.context() as patch:
            patch.setattr(
                "probes.corpus.writing.judge_story",
                lambda text, **_: filtering.Verdict(text, "too short", trimmed=False),
            )
            made.stages("generate-stories", "generate-neutral")
        with pytest.raises(DataError, match=r"no usable story.*generation\.max_attempts"):
            made.stage("extract-activations")
        more = {"generation__max_attempts": 4}
        ran = made.stages("generate-stories", "generate-neutral", "extract-activations", **more)
        assert ran == [True, True, True]


class TestFailing:
    def test_what_could_not_be_filled_is_counted_and_said(self, small_run, tiny_writer):
        made = small_run(
            writer={"name": str(tiny_writer)}, generation={"min_words": 500, "max_attempts": 2}
        )
        heard = Heard()
        made.stage("generate-stories", heard)
        counts = made.run().record("generate-stories").counts
        assert (counts["accepted"], counts["missing"]) == (0, 18)
        assert counts["rejected"] == 36
        assert any("18 of 18 stories could not be filled within 2" in note for note in heard.notes)

    def test_an_emotion_without_a_story_stops_before_reading(self, small_run, tiny_writer):
        made = small_run(
            writer={"name": str(tiny_writer)}, generation={"min_words": 500, "max_attempts": 1}
        )
        made.stages("generate-stories", "generate-neutral")
        with pytest.raises(DataError, match="no usable story for: angry, happy, sad") as caught:
            made.stage("extract-activations")
        assert "--restart generate-stories" in str(caught.value)
        assert not (made.folder / "activations").exists()

    def test_a_damaged_cell_is_kept_beside_and_it_alone_is_written_again(self, written):
        path = written.folder / written.run().story_cells[0].path
        before = stories_of(written)
        others = [other for other in written.folder.glob("stories/*/*.json") if other != path]
        times = [other.stat().st_mtime_ns for other in others]
        path.write_text('{"emotion": "sad", "texts": [{')
        assert written.stage("generate-stories")
        assert path.with_name(f"{path.name}.changed").read_text().endswith("[{")
        path.with_name(f"{path.name}.changed").unlink()
        assert stories_of(written) == before
        assert [other.stat().st_mtime_ns for other in others] == times

    def test_a_damaged_cell_of_an_unfinished_stage_is_named(self, written):
        path = written.folder / written.run().story_cells[0].path
        path.write_text('{"emotion": "sad", "texts": [{')
        written.run().record_path("generate-stories").unlink()
        with pytest.raises(DataError, match="damaged or truncated"):
            written.stage("generate-stories")
        assert path.read_text().endswith("[{")


@pytest.mark.parametrize("moved", [{"emotion": "sad", "topic": small_runs.TOPICS[2]}, {}])
def test_a_story_that_stands_above_in_any_cell_is_counted(reading_run, moved):
    made = reading_run()
    lines = (made.folder.parent / "stories.jsonl").read_text().splitlines()
    lines.append(json.dumps({**json.loads(lines[0]), **moved}))
    (made.folder.parent / "stories.jsonl").write_text("\n".join(lines))
    made.stage("generate-stories")
    different = {json.loads(line)["text"] for line in lines}
    counts = made.run().record("generate-stories").counts
    assert counts["duplicates"] == len(lines) - len(different) >= 1


class TestOwnTexts:
    def test_come_as_they_are(self, reading_run):
        made = reading_run()
        made.stages("generate-stories", "generate-neutral")
        content = read_cell(made.folder, Cell("sad", small_runs.TOPICS[1]))
        assert [text["text"] for text in content["texts"]] == [
            small_runs.story_text("sad", small_runs.TOPICS[1], index) for index in range(2)
        ]
        assert content["source"] == "user"
        counts = made.run().record("generate-neutral").counts
        assert (counts["accepted"], counts["missing"]) == (6, 0)

    def test_that_hold_tags_are_counted_and_one_is_named(self, reading_run):
        made, heard = reading_run(), small_runs.Heard()
        path = made.folder.parent / "stories.jsonl"
        rows = list(map(json.loads, path.read_text().splitlines()))
        for row in (rows[2], rows[5]):
            row["text"] = f"[{row['emotion']}] {row['text']}"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        made.stage("generate-stories", heard)
        [note] = [note for note in heard.notes if "hold tags" in note]
        assert note.startswith("2 texts of corpus.stories")
        assert f"'[{rows[2]['emotion']}]' in {path}, line 3" in note

    def test_whose_emotions_share_no_topic_say_what_is_not_defined(self, reading_run):
        made, heard = reading_run(), small_runs.Heard()
        path = made.folder.parent / "stories.jsonl"
        rows = list(map(json.loads, path.read_text().splitlines()))
        alone = [{**row, "topic": f"{row['topic']}, {row['emotion']}"} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in alone))
        made.stage("generate-stories", heard)
        assert sum("accuracy on held-out topics is not defined" in it for it in heard.notes) == 1

    def test_texts_below_the_writers_limits_are_kept(self, reading_run):
        made = reading_run(generation={"min_words": 500})
        made.stage("generate-stories")
        assert made.run().record("generate-stories").counts["accepted"] == 18

    def test_hostile_names_stay_inside_the_folder(self, reading_run, tmp_path):
        names = ["../../escape", "at ease", "at_ease"]
        made = reading_run(corpus={"emotions": names, "topics": ["/etc/x", "../y"]})
        made.stage("generate-stories")
        inside = [path for path in tmp_path.rglob("*.json") if made.folder in path.parents]
        assert len(inside) == len(list(tmp_path.rglob("*.json"))) == 6 + 3
        assert not (tmp_path.parent / "escape").exists()
        stories = (made.folder / "stories").rglob("*.json")
        assert {json.loads(path.read_text())["emotion"] for path in stories} == {*names}


def test_tokens_are_told_while_texts_are_written(small_run, tiny_writer):
    made = small_run(writer={"name": str(tiny_writer)})
    run, told = made.run(), []
    writer = LocalWriter(run.config, "stories")
    unit = plan(run, "stories", run.story_cells)[0]
    writer.do(unit, lambda count, tokens=0: told.append((count, tokens)))
    assert told[-1] == (unit.n_texts, 0)
    assert all(count == 0 and tokens > 0 for count, tokens in told[:-1])
    assert len(told) > 2


class TestUnits:
    """What is written together is fixed when a run begins, by how fast its machine is."""

    GENERATION = {"stories_per_topic": 12, "batch_size": 48}

    def test_a_fast_machine_writes_as_many_as_it_may(self, small_run, tiny_writer):
        made = small_run(writer={"name": str(tiny_writer)}, generation=self.GENERATION)
        made.stage("generate-stories")
        assert made.run().record("generate-stories").unit_texts == 48

    def test_a_slow_one_writes_fewer_and_goes_on_so_when_it_is_faster(
        self, small_run, tiny_writer, monkeypatch
    ):
        made = small_run(writer={"name": str(tiny_writer)}, generation=self.GENERATION)
        with monkeypatch.context() as slow:
            slow.setattr(units, "_SECONDS_OF_A_UNIT", 0)
            made.stage("generate-stories")
        run, before = made.run(), stories_of(made)
        assert run.unit_texts("generate-stories") == 12
        assert [len(unit.cells) for unit in plan(run, "stories", run.story_cells)] == [1] * N_CELLS
        (made.folder / run.story_cells[3].path).unlink()
        made.stage("generate-stories")
        assert stories_of(made) == before


def test_marks_of_thinking_that_are_special_tokens_are_seen_and_not_kept(tiny_tokenizer):
    tokenizer = tiny_tokenizer(chat=True)
    tokenizer.add_special_tokens({"extra_special_tokens": ["[THINK]", "[/THINK]"]})

    def said(text):
        tokens = tokenizer.encode(text, add_special_tokens=False)
        plain = tokenizer.decode(tokens, skip_special_tokens=True)
        return spoken(tokenizer, Generation(plain, tokens, True))

    assert said("He sat down.<|end|>") == "He sat down."
    assert said("[THINK]He is sad.[/THINK]He sat down.<|end|>") == "He sat down."
    assert without_thought(said("[THINK]He is sad. He sat down.")) is None
