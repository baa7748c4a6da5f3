"""The shipped corpus as code reads it."""

from probes.corpus import reference
from probes.stimuli import emotions


def test_every_cell_has_one_ending():
    cells = {(ending.emotion, ending.topic) for ending in reference.endings()}
    names = {situation.name for situation in reference.situations()}
    assert cells == {(emotion, name) for emotion in emotions() for name in names}
    assert len(reference.endings()) == len(cells) == 2736


def test_a_frame_differs_between_emotions_in_the_phrase_alone():
    for frame in reference.frames():
        filled = {name: frame.filled(reference.phrase_of(name)) for name in ("sad", "hope")}
        phrases = reference.phrase_of("sad"), reference.phrase_of("hope")
        assert any(
            filled["sad"].replace(phrases[0][kind], phrases[1][kind]) == filled["hope"]
            for kind in ("feel", "be")
        )


def test_a_noun_is_said_as_grammar_wants_it():
    assert reference.phrase_of("hope") == {"feel": "hope", "be": "full of hope"}
    assert reference.phrase_of("at ease") == {"feel": "at ease", "be": "at ease"}


def test_neutral_texts_are_twelve_zeros_of_every_situation_and_dialogues():
    numbers = {(it.topic, it.number) for it in reference.neutral_endings()}
    assert numbers == {(it.name, n) for it in reference.situations() for n in range(1, 13)}
    assert len(reference.dialogues()) == 120
    assert all(text.startswith("Person: ") for text in reference.dialogues().values())
