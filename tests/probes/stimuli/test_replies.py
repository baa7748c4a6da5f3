"""Messages that want a reply: two of each feeling, and none names an emotion."""

import collections

from probes.stimuli import emotions, leaks, named_emotions
from probes.stimuli.replies import reply_messages

MESSAGES = reply_messages()


def test_32_messages_of_sixteen_feelings_each_with_a_question_and_a_statement():
    assert len({message.id for message in MESSAGES}) == len(MESSAGES) == 32
    asked = collections.defaultdict(list)
    for message in MESSAGES:
        asked[message.implies[0]].append(message.text.endswith("?"))
    assert len(asked) == 16
    assert all(sorted(each) == [False, True] for each in asked.values())


def test_a_good_reply_has_another_mood_than_the_message_and_all_words_are_of_the_171():
    known = {*emotions()}
    for message in MESSAGES:
        assert message.asks and {*message.implies, *message.asks} <= known
    shared = [it.id for it in MESSAGES if it.implies[0] == it.asks[0]]
    assert shared == []


def test_no_message_names_an_emotion_or_a_synonym_of_its_own():
    for message in MESSAGES:
        assert named_emotions(message.text) == []
        named = [leaks(message.text, name) for name in (*message.implies, *message.asks)]
        assert not any(named), message.id
        assert 25 <= len(message.text.split()) <= 45
        assert message.text == " ".join(message.text.split())
