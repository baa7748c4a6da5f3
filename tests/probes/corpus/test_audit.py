"""A corpus by its words: each check finds what was planted, and nothing where nothing was."""

import pytest

from probes.corpus import audit
from probes.corpus.audit import AuditedText

PLAIN = [
    "He put the cup on the shelf and went to the gate.",
    "A bus stopped, two women got off with a ladder.",
    "She copied the list, page by page, until nine.",
    "Rain ran down the glass while they counted boxes.",
]


def texts(*rows, **about):
    return [
        AuditedText(emotion, topic, text, f"line {n}", about)
        for n, (emotion, topic, text) in enumerate(rows, start=1)
    ]


def test_cells_without_a_text_are_named():
    rows = [("sad", "a", "x"), ("sad", "b", "x"), ("happy", "a", "x")]
    assert audit.missing_cells(texts(*rows)) == [("happy", "b")]


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("<p class=x>He left.</p>", ["<p class=x>", "</p>"]),
        ("He left.<br/><|im_end|>", ["<br/>", "<|im_end|>"]),
        ("[INST] Go. [/INST] [sad]", ["[INST]", "[/INST]", "[sad]"]),
        ("Salt &amp; rain &#39; #Sad #sad", ["&amp;", "&#39;", "#Sad", "#sad"]),
        ("It was 3 < 4, no. 5 & no. #7 at c#; I <3 it, AT&T; 2<3 and 5>1.", []),
        (PLAIN[0], []),
    ],
)
def test_marks_that_are_not_prose_are_tags(text, tags):
    assert audit.tags(text) == tags


def test_a_text_that_names_its_emotion_a_synonym_or_another_emotion_is_found():
    rows = [
        ("sad", "a", "She was sadly late."),
        ("sad", "b", "He was unhappy about it."),
        ("sad", "c", "They were furious."),
        ("sad", "d", PLAIN[0]),
    ]
    leaking = audit.leaking(texts(*rows))
    assert [(text.topic, words) for text, words in leaking] == [
        ("a", ["sadly"]),
        ("b", ["unhappy"]),
        ("c", ["furious"]),
    ]


def test_texts_that_are_nearly_the_same_are_paired():
    rows = [("sad", str(n), text) for n, text in enumerate(PLAIN)]
    rows.append(("happy", "0", PLAIN[0].replace("cup", "pot")))
    [(share, first, second)] = audit.alike(texts(*rows), 0.5)
    assert (first, second) == ("line 1", "line 5")
    assert 0.5 < share < 1
    assert audit.alike(texts(*rows[:1]), 0.5) == []


def test_five_words_in_a_row_are_counted_once_a_text():
    again = "and then he went home again, and then he went home"
    rows = [("sad", str(n), f"{text} {again}") for n, text in enumerate(PLAIN[:3])]
    repeated = audit.repeated(texts(*rows), 2)
    assert repeated["and then he went home"] == 3
    assert audit.repeated(texts(*rows), 3) == {}


def test_a_signature_is_one_word_in_any_form_and_not_what_all_texts_hold():
    shivers = ["He shivered at the gate.", "She shivers, the bus came.", "Shivering, they sat."]
    rows = [("afraid", str(n), text) for n, text in enumerate(shivers)]
    rows += [("happy", str(n), f"The bus came. {text}") for n, text in enumerate(PLAIN)]
    [signature] = [it for it in audit.signatures(texts(*rows), 0.5) if it.emotion == "afraid"]
    assert (signature.word, signature.n, signature.of) == ("shiver", 3, 3)
    assert signature.elsewhere == 0


def test_a_word_of_one_text_alone_is_no_signature():
    rows = [("afraid", "a", "He shivered at the gate."), ("happy", "a", PLAIN[0])]
    assert audit.signatures(texts(*rows), 0.1) == []
    assert audit.signatures(texts(*rows, ("afraid", "b", "They shiver.")), 0.1) != []


def test_the_parts_of_a_topic_are_counted_once_each():
    same = [AuditedText("sad", "a", text, "", {}, "It was nine.", "A bus left.") for text in PLAIN]
    assert audit.parts_that_differ(same) == []
    other = AuditedText("happy", "a", "x", "", {}, "It was nine.", "A tram left.")
    assert audit.parts_that_differ([*same, other]) == [("a", "closings", 2)]
    assert audit.parts_that_name(same) == []
    named = AuditedText("happy", "b", "x", "", {}, "A jealous neighbor came.")
    assert audit.parts_that_name([*same, named, named]) == [("b", ["jealous"])]


def test_phrases_that_say_two_emotions_in_a_frame_are_found():
    said = texts(("glad", "1", "well"), ("calm", "1", "Well"), ("calm", "2", "well"))
    assert audit.shared_phrases(said) == [("1", "well", ["glad", "calm"])]


def test_an_emotion_with_its_own_share_of_a_form_is_found():
    rows = [("sad", "narrated"), ("sad", "voiced"), ("happy", "narrated"), ("happy", "narrated")]
    made = [AuditedText(emotion, "a", "x", "", {"form": form}) for emotion, form in rows]
    assert audit.unbalanced_forms(made, 0.3) == []
    assert ("happy", "voiced", 0.0, 0.25) in audit.unbalanced_forms(made, 0.2)


def test_contractions_and_possessives_are_no_words_of_their_own():
    assert audit.words_of("Anna's bus won't wait; it's John’s.") == [
        "anna",
        "bus",
        "wait",
        "it",
        "john",
    ]


def test_names_stand_capitalized_within_a_sentence():
    rows = [("sad", "a", "Then Koldo came, and I'd seen Koldo on Monday. Nobody asked.")]
    assert dict(audit.names_in(texts(*rows))) == {"Koldo": 1, "Monday": 1}


def test_habits_are_counted_by_writer():
    rows = [("sad", "a", "The bus came and went and stopped and left."), ("sad", "b", "No.")]
    [(writer, habits)] = audit.tics(texts(*rows, writer="w")).items()
    assert writer == "w"
    assert habits['begins with "The"'] == pytest.approx(0.5)
    assert habits["and ... and ... and"] == pytest.approx(0.5)
    assert audit.tics(texts(*rows)) == {}
