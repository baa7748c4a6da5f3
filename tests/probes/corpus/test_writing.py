"""Cells are filled by asking, judging and asking again; a plain function is the writer."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from probes.corpus import exchange
from probes.corpus.cells import Cell, neutral_cells, story_cells
from probes.corpus.writing import Grid, Rules, plan_units, prompt_digest, unit_seed, write_unit
from probes.stimuli import STORY_MARKER, emotions, feeling, neutral_prompts, story_prompts, topics

TOPICS = ["a lost key", "a late train", "a new roof"]
GRID = Grid(("sad", "happy", "at ease", "hope"), TOPICS)
SAD, HAPPY = Cell("sad", TOPICS[0]), Cell("happy", TOPICS[0])
ANGRY_LEAK = "She was angry and slammed the door."


def Answer(text: str, finished: bool = True) -> exchange.Answer:  # noqa: N802 - as it reads
    return exchange.Answer(text, finished)


@dataclass(frozen=True)
class Asked:
    prompts: list[str]
    seed: int
    suppressed: list[str | None]


class Writer:
    """A `WriteFn` that answers from a script, then with numbered stories, and remembers."""

    def __init__(self, *script: Sequence[Answer]) -> None:
        self.script = list(script)
        self.asked: list[Asked] = []
        self.numbers = itertools.count()

    def __call__(self, prompts, seed, suppressed):
        self.asked.append(Asked(list(prompts), seed, list(suppressed)))
        if self.script:
            return self.script.pop(0)
        return [Answer(f"He opened door number {next(self.numbers)}.") for _ in prompts]


def rules(**changes) -> Rules:
    settings = {
        "texts_per_cell": 2,
        "texts_per_prompt": 1,
        "min_words": 3,
        "truncation": "reject",
        "max_attempts": 3,
        "chat": True,
    }
    return Rules(**{**settings, **changes})


def write(unit, writer, seed=0, **changes):
    return write_unit(unit, GRID, rules(**changes), seed, writer)


class TestUnits:
    @pytest.mark.parametrize(("per_cell", "batch"), [(1, 1), (2, 8), (3, 8), (12, 5), (2, 1000)])
    def test_every_cell_is_in_one_unit_in_order(self, per_cell, batch):
        cells = story_cells(emotions()[:7], topics()[:5])
        units = plan_units(cells, per_cell, batch)
        assert [cell for unit in units for cell in unit] == cells
        assert all(len(unit) * per_cell <= max(batch, per_cell) for unit in units)
        assert all(len(unit) == len(units[0]) for unit in units[:-1])

    def test_a_seed_depends_on_run_unit_and_round_alone(self):
        assert unit_seed(0, [SAD, HAPPY], 1) == unit_seed(0, [SAD, HAPPY], 1)
        others = [
            unit_seed(1, [SAD, HAPPY], 1),
            unit_seed(0, [SAD, HAPPY], 2),
            unit_seed(0, [HAPPY, SAD], 1),
            unit_seed(0, [SAD], 1),
            unit_seed(0, [Cell(None, TOPICS[0])], 1),
        ]
        assert len({unit_seed(0, [SAD, HAPPY], 1), *others}) == 6

    def test_the_writer_gets_the_units_seed_of_each_round(self):
        writer = Writer([Answer("Oh."), Answer("He sat down.")], [Answer("Oh.")])
        write([SAD], writer, seed=5)
        expected = [unit_seed(5, [SAD], attempt) for attempt in (1, 2, 3)]
        assert [asked.seed for asked in writer.asked] == expected


class TestToppingUp:
    def test_a_full_first_round_is_the_only_one(self):
        writer = Writer()
        written = write([SAD, HAPPY], writer)
        assert len(writer.asked) == 1
        assert [len(written[cell]["texts"]) for cell in (SAD, HAPPY)] == [2, 2]
        assert written[SAD]["rejected"] == []
        assert [text["index"] for text in written[SAD]["texts"]] == [0, 1]
        assert written[SAD]["requested"] == 2

    def test_only_what_is_missing_is_asked_for_again(self):
        first = [Answer("Oh."), Answer("He sat down."), Answer("She ran home."), Answer("No.")]
        writer = Writer(first)
        written = write([SAD, HAPPY], writer)
        assert [len(asked.prompts) for asked in writer.asked] == [4, 2]
        retried = writer.asked[1].prompts
        assert [("sad" in prompt, "happy" in prompt) for prompt in retried] == [
            (True, False),
            (False, True),
        ]
        [late, early] = written[SAD]["texts"]
        assert (late["index"], late["attempt"], early["index"], early["attempt"]) == (0, 2, 1, 1)
        assert written[SAD]["rejected"] == [
            {"index": 0, "attempt": 1, "phrasing": late["phrasing"], "reason": "too short"}
        ]

    def test_after_the_last_attempt_the_rest_is_counted_missing(self):
        writer = Writer(*[[Answer("Oh."), Answer("He sat down.")], [Answer("No.")]])
        written = write([SAD], writer, max_attempts=2)[SAD]
        assert len(writer.asked) == 2
        assert (len(written["texts"]), written["requested"]) == (1, 2)
        assert [item["attempt"] for item in written["rejected"]] == [1, 2]

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (Answer("He was so sad that he wept."), "leak: sad"),
            (Answer("He sat down and", finished=False), "truncated"),
            (Answer("He sat down."), "duplicate"),
            (Answer("I'm sorry, but I can't write that."), "refusal"),
            (Answer(""), "empty"),
            (Answer("<think>He must sit and", finished=False), "truncated"),
            (Answer("<think>He sat up.</think>I'm sorry, but I can't write that."), "refusal"),
            (Answer("<think>\n\n</think>\n\nI'm sorry, but I can't write that."), "refusal"),
            (Answer("<think>He sat up.</think>"), "empty"),
            (
                exchange.Answer("", False, refusal="400: too long"),
                "refused by the server: 400: too long",
            ),
        ],
    )
    def test_what_cannot_be_used_is_rejected_with_its_reason(self, answer, reason):
        written = write([SAD], Writer([Answer("He sat down."), answer]))[SAD]
        assert [item["reason"] for item in written["rejected"]] == [reason]
        assert [text["text"] for text in written["texts"]] == [
            "He sat down.",
            "He opened door number 0.",
        ]

    def test_what_the_writer_thinks_before_a_story_is_no_part_of_it(self):
        thought = "Sad, then? He could weep.\n</think>\n\n"
        written = write([SAD], Writer([Answer(f"{thought}He sat down."), Answer("She ran home.")]))
        assert [text["text"] for text in written[SAD]["texts"]] == ["He sat down.", "She ran home."]
        assert written[SAD]["rejected"] == []

    def test_a_text_is_a_duplicate_across_the_cells_of_a_unit(self):
        answers = [Answer("He sat down."), Answer("He sat, down!")]
        written = write([SAD, HAPPY], Writer(answers), texts_per_cell=1)
        assert written[SAD]["rejected"] == []
        assert [item["reason"] for item in written[HAPPY]["rejected"]] == ["duplicate"]

    def test_a_cut_text_says_that_it_was_trimmed(self):
        answers = [Answer("He sat down. Then he", finished=False), Answer("She ran home.")]
        texts = write([SAD], Writer(answers), truncation="trim")[SAD]["texts"]
        assert [(text["text"], text["trimmed"]) for text in texts] == [
            ("He sat down.", True),
            ("She ran home.", False),
        ]

    def test_the_word_of_another_emotion_is_no_leak(self):
        written = write([SAD], Writer([Answer(ANGRY_LEAK), Answer("He sat down.")]))[SAD]
        assert written["rejected"] == []

    def test_an_answer_too_few_is_an_error(self):
        with pytest.raises(ValueError, match="shorter"):
            write([SAD], Writer([Answer("He sat down.")]))


class TestSuppression:
    FIRST = ([Answer("Oh."), Answer("He sat down."), Answer("Oh."), Answer("She ran home.")],)

    def asked(self, suppress):
        writer = Writer(*self.FIRST)
        write([SAD, HAPPY], writer, suppress=suppress)
        return [asked.suppressed for asked in writer.asked]

    def test_retries_suppress_the_words_of_the_cells_own_emotion(self):
        assert self.asked("retries") == [[None] * 4, ["sad", "happy"]]

    def test_always_suppresses_from_the_start(self):
        assert self.asked("always") == [["sad", "sad", "happy", "happy"], ["sad", "happy"]]

    def test_never_suppresses_nothing(self):
        assert self.asked("never") == [[None] * 4, [None] * 2]


class TestPrompts:
    def test_all_emotions_of_a_topic_are_asked_in_the_same_words(self):
        writer = Writer()
        unit = story_cells(["sad", "happy", "at ease"], TOPICS)
        written = write(unit, writer, texts_per_cell=6)
        slots = [(cell, index) for cell in unit for index in range(6)]
        asked = dict(zip(slots, writer.asked[0].prompts, strict=True))
        for topic in TOPICS:
            for index in range(6):
                bare = {
                    asked[cell, index]
                    .replace(feeling(str(cell.emotion)), "F")
                    .replace(str(cell.emotion), "E")
                    for cell in unit
                    if cell.topic == topic
                }
                assert len(bare) == 1
                phrasings = {
                    written[cell]["texts"][index]["phrasing"]
                    for cell in unit
                    if cell.topic == topic
                }
                assert len(phrasings) == 1

    def persons(self, **changes):
        """Return who tells the stories of each cell, over all emotions and topics."""
        person = {prompt.id: prompt.person for prompt in story_prompts()}
        written = write(story_cells(GRID.emotions, TOPICS), Writer(), **changes)
        return {
            cell: [person[text["phrasing"]] for text in content["texts"]]
            for cell, content in written.items()
        }

    def test_every_phrasing_has_its_turn_within_a_cell(self):
        texts = write([SAD], Writer(), texts_per_cell=len(story_prompts()))[SAD]["texts"]
        assert {text["phrasing"] for text in texts} == {prompt.id for prompt in story_prompts()}

    def test_first_and_third_person_meet_in_every_cell_of_two_texts(self):
        assert {tuple(sorted(it)) for it in self.persons().values()} == {("first", "third")}

    @pytest.mark.parametrize("changes", [{"texts_per_cell": 1}, {"texts_per_prompt": 2}])
    def test_with_one_prompt_a_cell_they_meet_in_every_topic_and_emotion(self, changes):
        persons = self.persons(**changes)
        for topic in TOPICS:
            told = [who[0] for cell, who in persons.items() if cell.topic == topic]
            assert told.count("first") == told.count("third")
        for emotion in GRID.emotions:
            told = {who[0] for cell, who in persons.items() if cell.emotion == emotion}
            assert told == {"first", "third"}

    def test_an_emotion_is_asked_for_as_it_is_said(self):
        writer = Writer()
        write([Cell("hope", TOPICS[0])], writer)
        assert all("feel great hope" in asked for asked in writer.asked[0].prompts)
        assert not any("very hope" in asked for asked in writer.asked[0].prompts)

    def test_a_retry_is_asked_in_the_same_words_as_the_first_time(self):
        writer = Writer([Answer("He sat down."), Answer("No.")])
        write([SAD], writer)
        assert writer.asked[1].prompts == writer.asked[0].prompts[1:]

    def test_several_stories_of_one_prompt_are_split_at_the_marker(self):
        both = f"He sat down.\n{STORY_MARKER}\nShe was sad.\n{STORY_MARKER}\nShe ran home."
        writer = Writer([Answer(both)])
        written = write([SAD], writer, texts_per_cell=3, texts_per_prompt=3)[SAD]
        assert STORY_MARKER in writer.asked[0].prompts[0]
        assert "3" in writer.asked[0].prompts[0]
        assert [text["text"] for text in written["texts"]] == [
            "He sat down.",
            "He opened door number 0.",
            "She ran home.",
        ]
        assert [(item["index"], item["reason"]) for item in written["rejected"]] == [
            (1, "leak: sad")
        ]

    def test_a_thought_before_several_stories_is_cut_and_an_endless_one_is_truncated(self):
        both = f"<think>One.\n{STORY_MARKER}\nTwo?</think>He sat.\n{STORY_MARKER}\nShe ran home."
        writer = Writer([Answer(f"<think>One.\n{STORY_MARKER}\nTwo and")], [Answer(both)])
        written = write([SAD], writer, texts_per_cell=2, texts_per_prompt=2, min_words=2)[SAD]
        assert [item["reason"] for item in written["rejected"]] == ["truncated", "truncated"]
        assert [text["text"] for text in written["texts"]] == ["He sat.", "She ran home."]

    def test_stories_that_never_came_are_missing_and_too_many_are_not_kept(self):
        short = Answer(f"He sat down.\n{STORY_MARKER}\nShe ran")
        many = Answer(f"\n{STORY_MARKER}\n".join(f"Door {n} was shut." for n in range(5)))
        written = write([SAD], Writer([short], [many]), texts_per_cell=3, texts_per_prompt=3)[SAD]
        assert [item["reason"] for item in written["rejected"]] == ["missing", "missing"]
        assert [text["text"] for text in written["texts"]] == [
            "He sat down.",
            "Door 0 was shut.",
            "Door 1 was shut.",
        ]

    def test_a_base_model_is_asked_for_one_story_at_a_time(self):
        writer = Writer()
        written = write([SAD], writer, chat=False, texts_per_cell=4, texts_per_prompt=4)[SAD]
        assert [len(asked.prompts) for asked in writer.asked] == [4]
        assert len(written["texts"]) == 4

    def test_a_base_model_is_given_text_to_go_on_with(self):
        writer = Writer()
        write([SAD], writer, chat=False, texts_per_cell=2)
        named = {"topic": SAD.topic, "emotion": SAD.emotion, "feeling": "very sad"}
        plain = {prompt.plain_template.format(**named) for prompt in story_prompts()}
        assert set(writer.asked[0].prompts) < plain
        assert not any(STORY_MARKER in prompt for prompt in plain)

    def test_braces_in_a_topic_are_left_alone(self):
        cell = Cell("sad", "a {emotion} {0} sign")
        writer = Writer()
        write_unit([cell], Grid(emotions(), [cell.topic]), rules(), 0, writer)
        assert "a {emotion} {0} sign" in writer.asked[0].prompts[0]

    def test_the_digest_of_all_prompts_is_stable(self):
        assert prompt_digest() == prompt_digest()
        assert len(prompt_digest()) == 16


class TestNeutral:
    ANSWER = "A roof has rafters. Tiles rest on battens. Gutters carry water away."

    def test_answer_form_puts_the_persons_line_first(self):
        [cell] = neutral_cells(TOPICS[:1])
        writer = Writer([Answer(self.ANSWER)])
        written = write([cell], writer, texts_per_cell=1, neutral_form="answer")[cell]
        question = neutral_prompts()[0].question.format(topic=cell.topic)
        assert writer.asked[0].prompts == [question]
        assert written["texts"][0]["text"] == f"Person: {question}\nAssistant: {self.ANSWER}"

    def test_a_base_model_answers_after_the_label(self):
        [cell] = neutral_cells(TOPICS[:1])
        writer = Writer([Answer(f" {self.ANSWER}")])
        form = {"texts_per_cell": 1, "neutral_form": "answer", "chat": False}
        written = write([cell], writer, **form)[cell]
        prompt = writer.asked[0].prompts[0]
        assert prompt.startswith("Person: ")
        assert prompt.endswith("\nAssistant:")
        assert written["texts"][0]["text"] == f"{prompt} {self.ANSWER}"

    def test_dialogue_form_keeps_what_both_speakers_say(self):
        [cell] = neutral_cells(TOPICS[:1])
        dialogue = f"Person: What is a roof made of?\nAssistant: {self.ANSWER}"
        writer = Writer([Answer(self.ANSWER)], [Answer(dialogue)])
        written = write([cell], writer, texts_per_cell=1)[cell]
        assert [item["reason"] for item in written["rejected"]] == ["no dialogue"]
        assert written["texts"][0]["text"] == dialogue

    def test_what_the_writer_thinks_before_a_dialogue_is_no_part_of_it(self):
        [cell] = neutral_cells(TOPICS[:1])
        dialogue = f"Person: What is a roof made of?\nAssistant: {self.ANSWER}"
        thought = "<think>Person: Why?\nAssistant: It was asked for.</think>"
        written = write([cell], Writer([Answer(thought + dialogue)]), texts_per_cell=1)[cell]
        assert written["texts"][0]["text"] == dialogue

    def test_any_named_emotion_is_a_leak(self):
        [cell] = neutral_cells(TOPICS[:1])
        writer = Writer([Answer(f"{ANGRY_LEAK} {self.ANSWER}")], [Answer(self.ANSWER)])
        written = write([cell], writer, texts_per_cell=1, neutral_form="answer")[cell]
        assert [item["reason"] for item in written["rejected"]] == ["leak: angry"]
        assert [asked.suppressed for asked in writer.asked] == [[None], [None]]
