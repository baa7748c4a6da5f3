"""Emotions, topics, prompts, messages, dialogues, ratings, ban lists: small files, read once."""

from probes.stimuli.challenges import Challenge, challenges
from probes.stimuli.claims import ClaimPair, claims
from probes.stimuli.dialogues import (
    CrossedDialogue,
    DeflectedDialogue,
    Script,
    crossed_dialogues,
    deflected_dialogues,
)
from probes.stimuli.inflection import lemmas
from probes.stimuli.lexicon import banned, leaks, named_emotions, word_family
from probes.stimuli.prompts import (
    STORY_MARKER,
    NeutralPrompt,
    StoryPrompt,
    feeling,
    neutral_prompts,
    story_prompts,
)
from probes.stimuli.situations import (
    Activity,
    Expectation,
    IntensityTemplate,
    Scenario,
    activities,
    intensity_templates,
    scenarios,
)
from probes.stimuli.steered import steered_by_default, steered_of
from probes.stimuli.topics import topics, topics_by_area
from probes.stimuli.words import (
    Rating,
    check_emotions,
    emotions,
    human_ratings,
    paper_clusters,
    paper_numbers,
)

__all__ = [
    "STORY_MARKER",
    "Activity",
    "ClaimPair",
    "CrossedDialogue",
    "DeflectedDialogue",
    "Challenge",
    "Expectation",
    "IntensityTemplate",
    "NeutralPrompt",
    "Rating",
    "Scenario",
    "Script",
    "StoryPrompt",
    "activities",
    "banned",
    "challenges",
    "check_emotions",
    "claims",
    "crossed_dialogues",
    "deflected_dialogues",
    "emotions",
    "feeling",
    "human_ratings",
    "intensity_templates",
    "leaks",
    "lemmas",
    "named_emotions",
    "neutral_prompts",
    "paper_clusters",
    "paper_numbers",
    "scenarios",
    "steered_by_default",
    "steered_of",
    "story_prompts",
    "topics",
    "topics_by_area",
    "word_family",
]
