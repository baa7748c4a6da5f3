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
# # The same words after another past
#
# "In a kitchen close by, seven jars with tin lids stood on a shelf." These words are the same after a
# doctor has said *harmless* and after he has said *it has spread*. Count them, look up their
# embeddings: nothing tells the two apart. A model that has read what came before can. Three
# experiments by hand, each in some twenty lines.

# %%
import torch
from einops import einsum, rearrange
from IPython.display import Image

import hooks
from probes.corpus.reference import frames, phrase_of
from probes.figures import png
from probes.figures.description import Heatmap
from probes.stimuli import human_ratings
from probes.stimuli.pasts import negations, same_words
from probes.vectors.denoising import emotion_means, mean_difference
from probes.vectors.normalize import normalize

model = hooks.load("embedded:gemma-3-270m", backend="huggingface")
LAYER = round(model.n_layers * 2 / 3)

# %% [markdown]
# ## Vectors, and an axis from unpleasant to pleasant
#
# From sentences of the corpus that comes with the project: 36 emotions that people have rated, said in
# six frames that tell nothing else ("On the stairs she felt ..."). A vector is the mean over an
# emotion's sentences less the mean over emotions; the axis is the mean pleasant vector less the mean
# unpleasant one. No word of the frames comes back below.

# %%
ratings = {word: it.pleasure for word, it in human_ratings().items() if abs(it.pleasure) > 0.3}
emotions = list(ratings)
texts = [frame.around(phrase_of(name)).whole for frame in frames()[:6] for name in emotions]
pooled = hooks.pooled_resid_post(model, texts)
emotion = torch.arange(len(emotions)).repeat(6)
raw, _ = mean_difference(emotion_means(pooled.mean, emotion, len(emotions)))
vectors = normalize(raw.float())  # [layer emotion d_model]
norm = rearrange(pooled.norm.mean(dim=0), "layer -> layer 1")
pleasant = torch.tensor([ratings[name] > 0 for name in emotions])
axis = normalize(vectors[:, pleasant].mean(dim=1) - vectors[:, ~pleasant].mean(dim=1))
print(len(texts), "sentences say", len(emotions), "emotions")

# %% [markdown]
# ## One: good and bad turns of the same event
#
# 32 events take a good or a bad turn; the suffix after them is the same. What lies between the two
# readings, at every token and layer, is put on the axis, in thousandths of the residual norm.

# %%
stimuli = same_words()
suffix = stimuli.suffixes[3]
n_suffix = len(model.encode(f" {suffix}")) - 1  # without the token that begins a text


def ends(prefix, pair):
    return f"{prefix.replace('{name}', pair.names[0])} {suffix}"


def read(texts):
    rule = hooks.Last(n_suffix)
    tokens = hooks.pooled_resid_post(model, texts, rule, keep=rule).tokens
    return rearrange(tokens, "(text token) layer d -> text token layer d", token=n_suffix) / norm


goods = [ends(pair.good, pair) for pair in stimuli.pairs]
bads = [ends(pair.bad, pair) for pair in stimuli.pairs]
apart = einsum(read(goods) - read(bads), axis, "pair token layer d, layer d -> pair token layer")
by_pair = 1000 * apart[:, :, LAYER].mean(dim=1)
print(f"layer {LAYER}: {by_pair.mean():+.1f} thousandths,", end=" ")
print(f"{int((by_pair > 0).sum())} of {len(by_pair)} events on the pleasant side")

# %%
words = [model.tokenizer.decode([token]).strip() for token in model.encode(f" {suffix}")[1:]]
values = 1000 * apart.mean(dim=0).T.flip(0)  # the last layer on top
largest = float(values.abs().max())
figure = Heatmap(
    title="The same words after a good turn, less after a bad one",
    subtitle=f"{model.name}, {len(by_pair)} events",
    caption="Red: read as more pleasant after the good turn.",
    rows=tuple(str(layer) for layer in reversed(range(model.n_layers))),
    columns=tuple(f"{number} {word}" for number, word in enumerate(words, start=1)),
    values=tuple(map(tuple, values.tolist())),
    value_label="thousandths of the residual norm",
    x_label="token of the suffix",
    y_label="layer",
    limits=(-largest, largest),
)
Image(png.render(figure, dots_per_inch=90))

# %% [markdown]
# ## Two: "I am feeling sad", "I am not feeling sad"
#
# Read are the words after the emotion's, which are the same. Word counts find *sad* in both. In early
# layers, which have seen little of what came before, so does the model.

# %%
frame = negations()[0]
said = [frame.affirmed(phrase_of(name)["feel"]) for name in emotions]
denied = [frame.negated(phrase_of(name)["feel"]) for name in emotions]
tail = hooks.Last(3)
residual = [hooks.pooled_resid_post(model, texts, tail).mean / norm for texts in (said, denied)]
lost = residual[0] - residual[1]
scores = einsum(lost, vectors, "emotion layer d, layer vector d -> layer emotion vector")
own = scores.diagonal(dim1=1, dim2=2)
others = (scores.sum(dim=2) - own) / (len(emotions) - 1)
for layer in (0, 3, LAYER):
    right = int((own > others)[layer].sum())
    print(f"layer {layer:2}: {right} of {len(emotions)} emotions are read less where denied")

# %% [markdown]
# ## Three: carried, or recalled?
#
# Attention is knocked out from the second half of the suffix to everything before the suffix. What
# is left was written into the stream by the first half, and carried on; what is lost had been fetched
# by looking back. When the first half cannot look back either, nothing may be left.

# %%
half = n_suffix // 2


def effect(queries):
    content = [len(model.encode(text)) - 1 for text in goods + bads]
    before = [hooks.Span(0, n - n_suffix) for n in content]
    with hooks.block_attention(model, queries=queries, keys=before):
        read = hooks.pooled_resid_post(model, goods + bads, hooks.Last(half), layers=[LAYER])
    good, bad = rearrange(read.mean, "(turn pair) 1 d -> turn pair d", turn=2) / norm[LAYER]
    return 1000 * float(((good - bad) @ axis[LAYER]).mean())


with_all = 1000 * float(apart[:, -half:, LAYER].mean())
print(f"nothing blocked:                        {with_all:+.1f} thousandths")
print(f"the second half cannot look back:       {effect(hooks.Last(half)):+.1f}")
print(f"no word of the suffix can look back:    {effect(hooks.Last(n_suffix)):+.1f}")
