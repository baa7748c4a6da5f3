# ---
# jupyter:
#   jupytext:
#     formats: ipynb,scripts//py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
# %% [markdown]
# # Does a message that implies an emotion point to it?
#
# "There are footsteps on the stairs and I live by myself" names no emotion, and every reader knows
# which one it is. Here vectors are made from 36 stories, and shown two batteries of 48 such
# messages. Whether the matrix that comes out means anything is asked with permutations, and with a
# reading of the same messages by their words alone.

# %%
import json
from pathlib import Path

import torch
from IPython.display import Image

import hooks
from hooks.reading.embeddings import mean_input_embedding
from probes.experiments.messages.reading import cosines, read_messages, where_read
from probes.experiments.messages.scenario_matrix import judge
from probes.experiments.messages.scenarios import SIDES
from probes.figures import png
from probes.figures.description import Heatmap
from probes.stimuli import scenarios
from probes.stimuli.lexicon import leaks
from probes.vectors.denoising import emotion_means, mean_difference, neutral_components, project_out

model = hooks.load("embedded:gemma-3-270m", backend="huggingface")
layer = round(model.n_layers * 2 / 3)


def read_lines(name):
    text = Path("corpus", name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


stories, neutral = read_lines("stories.jsonl"), read_lines("neutral.jsonl")
emotions = list(dict.fromkeys(story["emotion"] for story in stories))
label = torch.tensor([emotions.index(story["emotion"]) for story in stories])
print(len(stories), "stories of", ", ".join(emotions))

# %% [markdown]
# ## Vectors
#
# Mean difference between emotions, components of neutral text projected out.


# %%
def make_vectors(activations, label):
    raw, _ = mean_difference(emotion_means(activations, label, len(emotions)))
    return project_out(raw[0], components)


first = hooks.FromToken(5)
neutral_texts = [text["text"] for text in neutral]
calm = hooks.pooled_resid_post(model, neutral_texts, first, layers=[layer]).mean
components = neutral_components(calm[:, 0], 0.5).directions
activations = hooks.pooled_resid_post(
    model, [story["text"] for story in stories], first, layers=[layer]
).mean
vectors = make_vectors(activations, label)
vectors.shape

# %% [markdown]
# ## Messages
#
# Neither a story nor a message names its emotion or a synonym of it.

# %%
battery = {name: [s for s in scenarios() if s.battery == name] for name in ("first", "held-out")}
assert not any(leaks(message.text, message.emotion or "") for message in battery["held-out"])
assert not any(leaks(story["text"], story["emotion"]) for story in stories)
for message in battery["held-out"][20:28:3]:
    print(f"{message.emotion}: {message.text}\n")

# %% [markdown]
# ## The matrix
#
# A message is read where a reply would begin; the mean of its battery is subtracted. `judge` compares
# the diagonal with the rest, and asks how often dealing the emotions out anew does as well: freely
# (p), and only within pleasant and within unpleasant ones (p_within), where telling good from bad is
# no longer enough.

# %%
SEED, N = 0, 2000


def judged(values, directions, messages):
    own = [emotions.index(message.emotion) for message in messages]
    matrix = cosines(values - values.mean(dim=0), directions)
    return matrix, judge(matrix, own, emotions, SIDES, n_permutations=N, seed=SEED)


residual = {
    name: read_messages(model, [message.text for message in messages], layer)
    for name, messages in battery.items()
}
matrix, result = judged(residual["held-out"], vectors, battery["held-out"])
implied = list(dict.fromkeys(message.emotion for message in battery["held-out"]))
order = [emotions.index(emotion) for emotion in implied]
by_emotion = matrix[:, order].unflatten(0, (len(implied), -1)).mean(dim=1)
largest = float(by_emotion.abs().max())
heatmap = Heatmap(
    title="Messages that imply an emotion without naming it",
    subtitle=f"{model.name}, layer {layer}, {len(battery['held-out'])} held-out messages",
    caption=f"Read {where_read(model)}. Own emotion above the others: {result.contrast:+.3f}.",
    rows=tuple(implied),
    columns=tuple(implied),
    values=tuple(map(tuple, by_emotion.tolist())),
    value_label="cosine",
    x_label="emotion vector",
    y_label="implied emotion",
    limits=(-largest, largest),
)
Image(png.render(heatmap, dots_per_inch=90))

# %% [markdown]
# ## What else could have done it?
#
# * Shuffled labels: vectors from the same stories with the emotions dealt out anew within each topic.
# * Word embeddings: stories and messages as the mean of their tokens' input embeddings. What they
#   reach is in the words, and no layer of the model was needed for it.

# %%
topics = [story["topic"] for story in stories]
dealt, generator = label.clone(), torch.Generator().manual_seed(SEED)
for topic in dict.fromkeys(topics):
    rows = torch.tensor([place for place, name in enumerate(topics) if name == topic])
    dealt[rows] = dealt[rows[torch.randperm(len(rows), generator=generator)]]

words = mean_input_embedding(model, [story["text"] for story in stories], first)
word_means = emotion_means(words.unsqueeze(1), label, len(emotions))
word_vectors = mean_difference(word_means)[0][0]

print(f"{'':28}{'own - others':>14}{'p':>9}{'p_within':>10}{'rank':>7}{'chance':>8}")
for name, messages in battery.items():
    texts = [message.text for message in messages]
    in_words = mean_input_embedding(model, texts, hooks.FromToken(0))
    rows = {
        "vectors": (residual[name], vectors),
        "shuffled labels": (residual[name], make_vectors(activations, dealt)),
        "word embeddings": (in_words, word_vectors),
    }
    for reading, (values, directions) in rows.items():
        _, b = judged(values, directions, messages)
        print(
            f"{name + ', ' + reading:28}{b.contrast.value:+14.3f}{b.p:9.4f}{b.p_within:10.4f}"
            f"{b.mean_rank.value:7.1f}{b.chance_rank:8.1f}"
        )
