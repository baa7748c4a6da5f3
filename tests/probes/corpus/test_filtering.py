"""Raw answers of a writer are cleaned or rejected for the right reason."""

import pytest

from probes.corpus.filtering import fingerprint, judge_dialogue, judge_story, split_stories
from probes.stimuli import STORY_MARKER

STORY = "Mara set the cup down. Her hands would not stay still, and the rain kept on."
DIALOGUE = "Person: How tall is the tower?\nAssistant: It is 54 meters tall."


def story(raw, **changes):
    settings = {
        "finished": True,
        "emotion": "sad",
        "min_words": 5,
        "truncation": "trim",
        "seen": frozenset(),
    }
    return judge_story(raw, **{**settings, **changes})


def dialogue(raw, **changes):
    settings = {"finished": True, "min_words": 5, "truncation": "trim", "seen": frozenset()}
    return judge_dialogue(raw, **{**settings, **changes})


def test_a_good_story_is_accepted_as_it_is():
    verdict = story(STORY)
    assert (verdict.text, verdict.rejected, verdict.trimmed) == (STORY, None, False)


def test_words_that_name_the_emotion_are_told_whatever_the_reason():
    for raw, changes, reason in [
        ("He was sad.", {}, "too short"),
        (f"Sadness came. {STORY} And then", {"truncation": "reject"}, "truncated"),
        (f"{STORY} She was sad.", {}, "leak: sad"),
    ]:
        verdict = story(raw, **changes)
        assert verdict.rejected == reason
        assert [word.casefold()[:3] for word in verdict.named] == ["sad"]
    assert story(STORY).named == ()


@pytest.mark.parametrize(
    "before",
    [
        "Sure! Here is a story:\n\n",
        "Sure! Here's a short story about a ferry: ",
        "Sure!\n\n",
        "Here are 12 stories:\n\n",
        "Here is a paragraph\n\n",
        "I'd be happy to write a story for you:\n",
        "**Title: The Cup**\n\n",
        "Title: The Cup\n",
        "**The Cup**\n\n",
        "# The Cup\n\n",
        "## Story 1\n",
        "Story 1:\n",
        "Story 1: ",
        "**Story 1:** ",
        "Story 1: The Cup\n\n",
        "Story:\n",
        "1. ",
        "Chapter 3\n\n",
        "---\n",
        "Assistant: ",
        "Here are 12 stories:\n\n---\n\n**Story 1: The Cup**\n\n",
    ],
)
def test_a_preamble_is_cut(before):
    verdict = story(before + STORY)
    assert (verdict.text, verdict.rejected) == (STORY, None)


@pytest.mark.parametrize(
    "after",
    [
        "\n\nI hope this story meets your needs.",
        "\n\nLet me know if you would like any changes!",
        "\n\n(Word count: 17)",
        "\n\nThe End.",
        "\n\n---",
        "\n\nNote: the word was not used.",
        "\n\nStory 2: Another day came and went.",
        "\n\nTopic: another one\nMain character: very sad\nStory:\nIt was",
    ],
)
def test_what_follows_the_story_is_cut(after):
    verdict = story(STORY + after)
    assert (verdict.text, verdict.rejected, verdict.trimmed) == (STORY, None, False)


@pytest.mark.parametrize(
    ("left", "right"), [('"', '"'), ("“", "”"), ("```\n", "\n```"), ("```text\n", "\n```")]
)
def test_quotes_and_fences_around_the_whole_story_are_cut(left, right):
    assert story(left + STORY + right).text == STORY


@pytest.mark.parametrize(
    "text",
    [
        '"Wait here," she said, and looked at the road. "It is late."',
        "Sure, I was late, and the door was shut. Nobody came.",
        "I couldn't write another word that night. The lamp went out.",
        "Here is the thing about ferries: they leave. I ran and ran.",
        "He asked OpenAI: was there an AI: or not? The story: nobody knew it.",
        "The road was long.\nThe title: nobody read it. He kept on walking.",
        "I had read the story 12: times. The paragraph: gone by now.",
        "I'm sorry, but I can't stay here any longer. The bus leaves at nine.",
        "Mr. Hale came at 3.5 hours past noon. The U. S. mail was there...",
    ],
)
def test_text_that_only_looks_like_a_preamble_or_refusal_is_untouched(text):
    verdict = story(text)
    assert (verdict.text, verdict.rejected, verdict.trimmed) == (text, None, False)


@pytest.mark.parametrize(
    "raw", ["", "  \n ", "**Title: The Cup**", "```\n```", "Sure!", "Here is a story:"]
)
def test_an_answer_without_a_story_is_empty(raw):
    assert story(raw).rejected == "empty"


@pytest.mark.parametrize(
    "raw",
    [
        "I'm sorry, but I can't assist with that.",
        "I’m sorry, but I can’t.",
        "I am sorry, I cannot write this story.",
        "I apologize, but I am unable to fulfill this request.",
        "As an AI language model, I have no body.",
        "Sorry, as an AI, I do not have a body to write about.",
        "I cannot create a story like this one for you.",
        "Sure! \nAs an AI, I do not feel.",
    ],
)
def test_a_refusal_is_named_as_one(raw):
    assert story(raw).rejected == "refusal"


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (STORY + " Then the doo", STORY),
        (STORY + ' "Stop!" he sa', STORY),
        (STORY + " She saw Mr. Ha", STORY),
        (STORY + " She saw Mr.", STORY),
        (STORY + " It cost 3.", STORY + " It cost 3."),
        (
            'She looked up for a long time. "Wait there!" Then it w',
            'She looked up for a long time. "Wait there!"',
        ),
        ("He walked home in the rain… Then he sto", "He walked home in the rain…"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_a_story_that_stops_within_a_sentence_is_trimmed_to_the_last_full_one(raw, kept, finished):
    verdict = story(raw, finished=finished)
    assert (verdict.text, verdict.rejected, verdict.trimmed) == (kept, None, raw != kept)


@pytest.mark.parametrize("finished", [True, False])
def test_a_story_that_stops_within_a_sentence_is_rejected_on_request(finished):
    assert (
        story(STORY + " Then the doo", finished=finished, truncation="reject").rejected
        == "truncated"
    )


def test_a_story_at_the_token_limit_is_truncated_even_if_it_ends_with_a_full_stop():
    assert story(STORY, finished=False, truncation="reject").rejected == "truncated"
    assert story(STORY, finished=False, truncation="trim").rejected is None


def test_a_story_without_one_full_sentence_is_truncated():
    assert (
        story("and then they went along the road without", finished=False).rejected == "truncated"
    )


def test_words_are_counted_after_trimming():
    assert story("One two three. Four five six seven", min_words=4).rejected == "too short"
    assert story("One two three. Four five six seven.", min_words=7).rejected is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("She was so sad, and her sorrow grew by the hour.", "leak: sad, sorrow"),
        ("Sadly the ferry left without her that day.", "leak: Sadly"),
    ],
)
def test_a_story_that_names_its_emotion_is_rejected_with_the_words(text, reason):
    assert story(text).rejected == reason
    assert story(text, emotion="triumphant").rejected is None


def test_a_leak_in_the_cut_off_part_does_not_count():
    assert story(STORY + " The sad", finished=False).rejected is None
    assert story("**Title: A Sad Day**\n\n" + STORY).rejected is None


def test_a_text_that_repeats_itself_is_rejected():
    assert story("The rain fell on the old road. " * 6).rejected == "repetitive"


def test_a_duplicate_is_seen_through_case_and_punctuation():
    seen = {fingerprint(STORY)}
    assert story(STORY.upper().replace(".", " !"), seen=seen, finished=True).rejected == "duplicate"
    assert story(STORY + " It ended.", seen=seen).rejected is None


def test_fingerprints_differ_where_words_differ():
    assert fingerprint("One  TWO, three!") == fingerprint("one two three")
    assert fingerprint("one two three") != fingerprint("one twothree")
    assert len(fingerprint("")) == 16


def test_a_good_dialogue_is_accepted_as_it_is():
    verdict = dialogue(DIALOGUE)
    assert (verdict.text, verdict.rejected, verdict.trimmed) == (DIALOGUE, None, False)


@pytest.mark.parametrize(
    "raw",
    [
        "Here is a dialogue:\n\n" + DIALOGUE,
        "User: How tall is the tower?\n\nAI: It is 54 meters tall.",
        "Human: How tall is the tower?\nChatbot: It is 54 meters tall.",
        "**Person:** How tall is the tower?\n**Assistant:** It is 54 meters tall.",
        "**Person**: How tall is the tower?\n**Assistant**: It is 54 meters tall.",
        "- person: How tall is the tower?\n- assistant: It is 54 meters tall.",
        "Person:\nHow tall is the tower?\nAssistant:\nIt is 54 meters tall.",
        "Assistant: Go ahead.\n" + DIALOGUE,
        DIALOGUE + "\nPerson:",
        DIALOGUE + "\n\nTopic: something else\nPerson: What is",
        DIALOGUE + "\n\n---",
    ],
)
def test_labels_are_normalized_and_what_stands_around_is_cut(raw):
    verdict = dialogue(raw)
    assert (verdict.text, verdict.rejected) == (DIALOGUE, None)


def test_labels_are_normalized_at_the_start_of_lines_only():
    raw = (
        "User: What did OpenAI: the company publish?\n"
        "AI: See the page AI: overview, column User: name."
    )
    expected = (
        "Person: What did OpenAI: the company publish?\n"
        "Assistant: See the page AI: overview, column User: name."
    )
    assert dialogue(raw).text == expected
    inside = (
        "Person: Which line names the vendor?\n"
        "Assistant: This one:\nOpenAI: text models.\nThat is all."
    )
    assert dialogue(inside).text == inside


@pytest.mark.parametrize(
    "raw",
    [
        "A tower is tall.",
        "Person: How tall is it?",
        "Assistant: It is 54 meters tall.",
        "Persona: x\nAssist: y",
    ],
)
def test_both_must_speak(raw):
    assert dialogue(raw).rejected == "no dialogue"


def test_an_empty_dialogue_is_empty():
    assert dialogue(" \n").rejected == "empty"


def test_a_refused_dialogue_is_a_refusal():
    assert dialogue("I'm sorry, but I can't assist with that.").rejected == "refusal"


def test_an_unfinished_last_turn_is_trimmed_or_dropped():
    half = DIALOGUE + "\nPerson: How wide is it? And how"
    assert dialogue(half, finished=False).text == DIALOGUE + "\nPerson: How wide is it?"
    none = DIALOGUE + "\nPerson: And how"
    verdict = dialogue(none, finished=False)
    assert (verdict.text, verdict.rejected, verdict.trimmed) == (DIALOGUE, None, True)
    assert dialogue(none, finished=False, truncation="reject").rejected == "truncated"


def test_a_number_of_a_list_is_not_the_end_of_a_sentence():
    steps = "Person: How do I open it?\nAssistant: Do this.\n1. Turn the key.\n2. Pull"
    assert dialogue(steps, finished=False).text.endswith("1. Turn the key.")
    assert dialogue(steps, finished=True).text == steps


def test_an_unfinished_only_answer_is_truncated():
    assert (
        dialogue("Person: How tall is it?\nAssistant: It is", finished=False).rejected
        == "truncated"
    )


def test_a_dialogue_that_names_an_emotion_is_rejected():
    raw = "Person: I am worried about the tower.\nAssistant: It is 54 meters tall."
    assert dialogue(raw).rejected == "leak: worried"


def test_ordinary_technical_words_are_no_emotion():
    raw = (
        "Person: How do I refresh the content?\n"
        "Assistant: Open a safe mode and relax the patient limit."
    )
    assert dialogue(raw).rejected is None


def test_closing_pleasantries_are_cut_off():
    verdict = dialogue(DIALOGUE + "\nPerson: Thank you!\nAssistant: I'm happy to help.")
    assert (verdict.text, verdict.rejected, verdict.trimmed) == (DIALOGUE, None, True)


def test_a_short_repetitive_or_known_dialogue_is_rejected():
    assert dialogue(DIALOGUE, min_words=12).rejected == "too short"
    assert dialogue(DIALOGUE, seen={fingerprint(DIALOGUE)}).rejected == "duplicate"
    assert dialogue("\n".join([DIALOGUE] * 5)).rejected == "repetitive"


def test_several_stories_are_split_at_the_marker_line():
    raw = f"One ends. \n{STORY_MARKER}\n\nTwo ends.\n**{STORY_MARKER.upper()}**\nThree ends."
    assert split_stories(raw, STORY_MARKER) == ["One ends.", "Two ends.", "Three ends."]


def test_the_marker_inside_a_line_does_not_split():
    raw = f"He wrote {STORY_MARKER} on the wall."
    assert split_stories(raw, STORY_MARKER) == [raw]


def test_the_last_story_is_kept_only_if_it_is_finished():
    raw = f"One ends.\n{STORY_MARKER}\nTwo ends."
    assert split_stories(raw, STORY_MARKER, finished=False) == ["One ends."]
    assert split_stories(raw + " And then", STORY_MARKER) == ["One ends."]
    assert split_stories(f"{raw}\n{STORY_MARKER}\n", STORY_MARKER, finished=False) == [
        "One ends.",
        "Two ends.",
    ]
    assert split_stories("", STORY_MARKER) == []


def test_the_preamble_of_a_batch_goes_with_the_first_story():
    raw = f"Here are 2 stories:\n\n{STORY}\n{STORY_MARKER}\nStory 2: {STORY}"
    texts = [story(part).text for part in split_stories(raw, STORY_MARKER)]
    assert texts == [STORY, STORY]
