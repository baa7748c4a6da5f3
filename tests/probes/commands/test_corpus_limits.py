"""Limits of a corpus: each finds what was planted, by its name, and nothing where nothing was."""

import pytest

from probes.analysis.findings import Estimate
from probes.commands import Corpus, corpus_limits
from probes.corpus.audit import AuditedText
from probes.texts.lexical import LexicalReading

TEXTS = {
    ("calm", "a key"): "He poured water and let the phone ring.",
    ("calm", "a map"): "She left her shoes off and hummed at the sink.",
    ("sad", "a key"): "They folded a coat that nobody would wear.",
    ("sad", "a map"): "Her plate went back untouched for days.",
}
FLAGS = Corpus.model_validate({"signature": 1})


def shown(**changes):
    """Four texts of two emotions on two topics, each between its topic's parts."""
    by_topic = {"a key": ("It was nine.", "A bus left."), "a map": ("Rain fell.", "It was ten.")}
    forms = {"a key": "narrated", "a map": "voiced"}
    made = []
    for (emotion, topic), text in TEXTS.items():
        where = f"{emotion} / {topic}"
        change = {"text": text, "form": forms[topic], **changes.get(where.replace(" / ", "_"), {})}
        opening, closing = change.get("parts", by_topic[topic])
        about = {"form": change["form"]}
        made.append(AuditedText(emotion, topic, change["text"], where, about, opening, closing))
    return made


def wrong(checks):
    return {check.name: list(check.wrong) for check in checks if check.wrong}


def test_a_corpus_without_a_fault_passes_every_limit():
    checks = list(corpus_limits.of_shown(shown(), (5, 12), FLAGS))
    assert wrong(checks) == {}
    assert len(checks) == 10


def test_an_opening_that_is_not_the_same_in_all_texts_is_named():
    checks = corpus_limits.of_shown(
        shown(**{"sad_a key": {"parts": ("It was late.", "A bus left.")}}), None, FLAGS
    )
    assert wrong(checks) == {"topics with several openings or closings": ["a key (2 openings)"]}


def test_a_closing_that_names_an_emotion_is_named():
    parts = {"parts": ("It was nine.", "The furious dog left.")}
    checks = corpus_limits.of_shown(shown(**{"sad_a key": parts, "calm_a key": parts}), None, FLAGS)
    assert wrong(checks) == {
        "topics whose opening or closing names an emotion": ["a key (furious)"]
    }


def test_an_emotion_told_in_one_form_is_out_of_balance():
    checks = corpus_limits.of_shown(shown(**{"sad_a map": {"form": "narrated"}}), None, FLAGS)
    assert wrong(checks) == {
        "emotions out of balance": [
            "calm: 50% narrated, not 75%",
            "calm: 50% voiced, not 25%",
            "sad: 100% narrated, not 75%",
            "sad: 0% voiced, not 25%",
        ]
    }


def test_texts_without_parts_and_forms_have_no_limits_of_them():
    plain = [AuditedText(it.emotion, it.topic, it.text, it.where) for it in shown()]
    names = {check.name for check in corpus_limits.of_shown(plain, None, FLAGS)}
    assert "emotions out of balance" not in names
    assert not [name for name in names if "opening" in name]


def said(*phrases, opening="All day she was"):
    return [
        AuditedText(emotion, frame, phrase, f"{emotion} / {frame}", {"form": "said"}, opening)
        for emotion, frame, phrase in phrases
    ]


def test_frames_that_differ_in_the_phrase_alone_pass():
    texts = said(("calm", "1", "calm"), ("sad", "1", "sad"))
    assert wrong(corpus_limits.of_said(texts, shown())) == {}


def test_faults_of_frames_are_named():
    texts = said(("calm", "1", "well"), ("sad", "1", "Well"), ("calm", "2", "calm"))
    texts += said(("jealous", "2", "jealous"), opening="All day the proud man was")
    checks = wrong(corpus_limits.of_said(texts, shown()))
    assert checks == {
        "said: cells without a phrase": ["jealous / 1", "sad / 2"],
        "said: frames with several openings or closings": ["2 (2 openings)"],
        "said: frames whose opening or closing names an emotion": ["2 (proud)"],
        "said: phrases of two emotions": ["1: 'well' (calm, sad)"],
    }
    unsaid = wrong(corpus_limits.of_said(said(("calm", "1", "calm")), shown()))
    assert unsaid["said: emotions that no frame says"] == ["sad"]


def neutral(*rows):
    return [
        AuditedText("", topic, text, f"line {number}", {}, *parts)
        for number, (topic, text, *parts) in enumerate(rows, start=1)
    ]


def test_zeros_between_the_parts_of_their_topic_pass():
    rows = [
        ("a key", "He wiped the shelf.", "It was nine.", "A bus left."),
        ("a map", "She read a list.", "Rain fell.", "It was ten."),
        ("brass", "Keys are cut from brass."),
    ]
    assert wrong(corpus_limits.of_neutral(neutral(*rows), shown(), (3, 9))) == {}


def test_faults_of_neutral_texts_are_named():
    rows = [
        ("a key", "He wiped the shelf.", "It was ten.", "A bus left."),
        ("brass", "The angry smith cut keys."),
    ]
    assert wrong(corpus_limits.of_neutral(neutral(*rows), shown(), (5, 9))) == {
        "neutral: texts that name an emotion": ["line 2 (angry)"],
        "neutral: zeros that do not match": ["line 1"],
        "neutral: topics without a zero": ["a map"],
        "neutral: zeros of another length": ["line 1 (4 words)"],
    }


@pytest.mark.parametrize(("accuracy", "is_wrong"), [(0.19, False), (0.21, True)])
def test_words_may_carry_twice_chance_from_saying_to_showing(accuracy, is_wrong):
    def reading(learned, read):
        return LexicalReading("words", learned, read, Estimate(accuracy), None, None, 0.1, 4.0)

    pairs = [("said", ""), ("voiced", "narrated"), (None, "voiced")]
    [check] = corpus_limits.of_readings([reading(*pair) for pair in pairs])
    assert check.name == "words, said -> shown"
    assert bool(check.wrong) == is_wrong


def test_five_of_many_faults_are_shown():
    check = corpus_limits.CorpusCheck.none_of("faults", list("abcdefg"))
    assert check.line == "TOO MUCH: 7 (limit: 0): a; b; c; d; e and 2 more"
    assert corpus_limits.CorpusCheck.none_of("faults", []).line == "0 (limit: 0)"
