"""Every word that names an emotion is found; everyday words are not."""

import re

import pytest

from hooks.errors import InvalidInput
from probes.stimuli import banned, emotions, leaks, named_emotions, topics, word_family
from probes.stimuli._data import read_yaml
from probes.stimuli.lexicon import family_words

LEXICON = read_yaml("lexicon.yaml")

# Words that a story needs for showing what it may not name.
COMMON = re.findall(
    r"\w+",
    """
    a the like good bad smile smiled tears cried alone heart hand hands eyes face breath
    shoulders voice walked looked felt feel feeling thought turned door room corner cold
    warm dark light time life home friend mother father long please play care need bush
    swamp stump shelter protect shake shook shaking trembled laughed kinds easy easily
    wonder play work mean cut fine well nice down low blue cross see pain sleep asleep
    mystery memory mind quiet slowly alive edge stick wear out
    """,
)


def test_the_lexicon_covers_exactly_the_171_emotions():
    assert set(LEXICON["emotions"]) == set(emotions())
    assert set(LEXICON["everyday"]) < set(emotions())


@pytest.mark.parametrize("emotion", emotions())
def test_every_emotion_has_a_family_with_itself_and_enough_synonyms(emotion):
    entry = LEXICON["emotions"][emotion]
    assert emotion in word_family(emotion) <= banned(emotion)
    assert 3 <= len(set(entry["synonyms"])) == len(entry["synonyms"]) <= 12
    assert emotion not in entry["synonyms"]
    assert len(banned(emotion)) >= len(word_family(emotion)) + 3
    assert leaks(f"She felt {emotion}.", emotion) == [emotion]


def test_words_of_the_family_are_found_and_synonyms_are_not():
    text = "Sadly she wept with Sadness and sorrow, and the sad_ boy said: spite."
    assert family_words(text, "sad") == ["Sadly", "Sadness", "sad"]
    assert family_words("in spite of the patient in bed 4", "patient") == []
    assert family_words("He flummoxed them, and was flummoxed.", "flummox") == ["flummoxed"] * 2


def test_every_root_is_used_and_every_form_is_written_plainly():
    used = {name for entry in LEXICON["emotions"].values() for name in entry["synonyms"]}
    assert set(LEXICON["roots"]) <= used
    for emotion in emotions():
        for form in banned(emotion):
            assert re.fullmatch(r"[a-z]+(?:[ \-'][a-z]+)*", form), (emotion, form)


@pytest.mark.parametrize(
    ("emotion", "forms"),
    [
        ("sad", {"sad", "sadder", "saddest", "sadly", "sadness", "saddened", "saddening"}),
        ("angry", {"angry", "angrier", "angriest", "angrily", "anger", "angered"}),
        ("at ease", {"at ease", "ease"}),
        ("lonely", {"lonely", "lonelier", "loneliness"}),
        ("hope", {"hope", "hoped", "hoping", "hopeful", "hopefully"}),
        ("proud", {"proud", "prouder", "pride"}),
        ("jealous", {"jealousy"}),
        ("panicked", {"panic", "panicking"}),
    ],
)
def test_families_hold_the_irregular_forms(emotion, forms):
    assert forms <= word_family(emotion)


@pytest.mark.parametrize(
    ("emotion", "synonym"),
    [
        ("sad", "unhappiness"),
        ("sad", "sorrowful"),
        ("angry", "fury"),
        ("afraid", "fearful"),
        ("happy", "gladly"),
        ("terrified", "dread"),
        ("lonely", "isolation"),
        ("ashamed", "humiliation"),
        ("worn out", "exhausted"),
        ("amazed", "stunning"),
        ("disgusted", "sickening"),
        ("hopeful", "encouraging"),
        ("relieved", "comforting"),
        ("humiliated", "demeaning"),
        ("afraid", "panic"),
        ("afraid", "dreaded"),
        ("afraid", "horror"),
        ("afraid", "alarming"),
        ("disgusted", "repulsive"),
        ("disgusted", "gross"),
        ("disgusted", "vile"),
        ("sad", "depressed"),
        ("sad", "heartbroken"),
        ("sad", "mournful"),
        ("angry", "resentful"),
        ("angry", "irritated"),
        ("depressed", "hopeless"),
        ("depressed", "despair"),
    ],
)
def test_forms_of_close_synonyms_are_banned(emotion, synonym):
    assert synonym in banned(emotion)
    assert synonym not in word_family(emotion)


def test_synonyms_of_synonyms_are_not_banned():
    assert "heartbroken" in banned("sad")
    assert "inconsolable" in banned("heartbroken")
    assert "inconsolable" not in banned("sad")


@pytest.mark.parametrize("emotion", emotions())
def test_an_emotion_bans_whoever_bans_it(emotion):
    for other in emotions():
        assert (other in banned(emotion)) == (emotion in banned(other)), other


@pytest.mark.parametrize(
    ("emotion", "synonym"), [("sad", "depressed"), ("happy", "elated"), ("grateful", "thank")]
)
def test_a_synonym_said_once_holds_both_ways(emotion, synonym):
    assert synonym in banned(emotion)


@pytest.mark.parametrize(
    ("text", "emotion"),
    [
        ("The nurse wheeled the patient out. The patient in bed 4 slept.", "patient"),
        ("Every patient's chart hung there; she knew each patient.", "patient"),
        ("She typed her resignation letter. He resigned from the board.", "resigned"),
        ("The team's offense ran the same play.", "offended"),
        ("The beam bore the weight.", "bored"),
        ("What kind? The last of its kind.", "kind"),
        ("She saw her reflection in the window.", "reflective"),
        ("He eased the door open with ease.", "at ease"),
        ("She stuck the note on the fridge. It stuck out.", "stuck"),
        ("The exposed brick and the fragile box.", "vulnerable"),
        ("A vital organ, a dynamic load, an animated film.", "vibrant"),
        ("The club's first victory in years.", "triumphant"),
        ("It depends on the weather.", "dependent"),
        ("The energy company sent an energy bill.", "energized"),
        ("An injured knee.", "hurt"),
        ("No doubt it was late.", "skeptical"),
        ("The money lay in the safe. They secured the boat.", "safe"),
        ("The content of the letter surprised them.", "content"),
        ("The alarm clock rang. A fire alarm.", "alarmed"),
        ("The alarm clock rang.", "afraid"),
        ("In spite of the rain.", "hateful"),
        ("The past tense of a verb.", "nervous"),
        ("He walked with a limp.", "droopy"),
    ],
)
def test_another_word_of_the_same_letters_is_no_leak(text, emotion):
    assert leaks(text, emotion) == []


@pytest.mark.parametrize(
    ("text", "emotion", "expected"),
    [
        ("A patient, slow voice. The patient nurse.", "patient", ["patient", "patient"]),
        ("She was patient with him.", "patient", ["patient"]),
        ("He nodded, resigned.", "resigned", ["resigned"]),
        ("He took offense.", "offended", ["offense"]),
        ("What a bore. It bores me.", "bored", ["a bore", "bores me"]),
        (
            "Lost in reflection, she reflected on it.",
            "reflective",
            ["Lost in reflection", "reflected on"],
        ),
        ("She felt content with it.", "content", ["content"]),
        ("The alarm in her voice.", "alarmed", ["alarm"]),
        ("She felt stuck. Stuck again.", "stuck", ["stuck", "Stuck"]),
        ("I depend on you.", "dependent", ["depend on you"]),
    ],
)
def test_the_emotion_itself_is_still_found(text, emotion, expected):
    assert leaks(text, emotion) == expected


@pytest.mark.parametrize("word", COMMON)
def test_common_words_are_banned_for_no_emotion(word):
    assert [emotion for emotion in emotions() if word in banned(emotion)] == []


def test_love_is_banned_for_loving_only():
    assert [emotion for emotion in emotions() if "love" in banned(emotion)] == ["loving"]


@pytest.mark.parametrize(
    ("text", "emotion", "expected"),
    [
        ("Sadly, he sat down. SADNESS came.", "sad", ["Sadly", "SADNESS"]),
        ("He was _sad_ and **sad**.", "sad", ["sad", "sad"]),
        ("A sad-looking dog.", "sad", ["sad"]),
        ("The saddle and the crusade.", "sad", []),
        (
            "self-confident, self confident, self\u2011confident",
            "self-confident",
            ["self-confident", "self confident", "self\u2011confident"],
        ),
        ("Grief stricken, she left.", "grief-stricken", ["Grief stricken"]),
        ("a worn-out coat; he was worn\nout", "worn out", ["worn-out", "worn\nout"]),
        ("He was worn by the years.", "worn out", []),
        ("Her heart was broken.", "heartbroken", ["heart was broken"]),
        ("His broken heart; heart-broken.", "heartbroken", ["broken heart", "heart-broken"]),
        ("Her heart broke. It broke his heart.", "heartbroken", ["heart broke", "broke his heart"]),
        ("She wasn’t happy. She wasn't happy.", "unhappy", ["wasn’t happy", "wasn't happy"]),
        ("Hope’s light", "hope", ["Hope"]),
        ("at ease, ill at ease", "at ease", ["at ease", "at ease"]),
    ],
)
def test_leaks_are_whole_words_in_order_as_written(text, emotion, expected):
    assert leaks(text, emotion) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It was a kind of lamp, one of a kind, and all kinds of birds.", []),
        ("Such a kind man of many kind words.", ["kind", "kind"]),
        ("A kind of kindness.", ["kindness"]),
    ],
)
def test_kind_of_is_no_leak(text, expected):
    assert leaks(text, "kind") == expected


def test_in_spite_of_is_no_leak():
    assert leaks("In spite of the rain, out of spite.", "spiteful") == ["spite"]


@pytest.mark.parametrize("emotion", ["sadness", "SAD", "  sad ", "saddened"])
def test_a_form_of_a_listed_word_stands_for_it(emotion):
    assert word_family(emotion) == word_family("sad")
    assert banned(emotion) == banned("sad")


def test_any_other_word_gets_its_inflections():
    assert {"flummoxed", "flummox", "flummoxing"} <= word_family("flummoxed")
    assert leaks("It flummoxes me, it has flummoxed me.", "flummoxed") == ["flummoxes", "flummoxed"]


@pytest.mark.parametrize("ask", [word_family, banned, lambda word: leaks("text", word)])
def test_an_empty_word_is_refused(ask):
    with pytest.raises(InvalidInput, match="emotion word"):
        ask("  ")


def test_special_characters_of_a_users_word_are_taken_literally():
    assert leaks("hyperactive or hyper(active)", "hyper(active)") == ["hyper(active)"]
    assert leaks("aab", "a+b") == []


def test_named_emotions_are_found_in_technical_text_but_its_ordinary_words_are_not():
    assert named_emotions("Refresh the page, check its content, relax the tense, safe limit.") == []
    assert named_emotions("I'm happy to help. Thank you, I was worried!") == [
        "happy",
        "Thank",
        "worried",
    ]
    assert named_emotions("In spite of it she wrote a resignation letter.") == []


def test_no_topic_counts_as_naming_an_emotion():
    assert [topic for topic in topics() if named_emotions(topic)] == []
