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
# # A walk through the residual stream of a real model
#
# `hooks.ipynb` explains the hook points on a model small enough to check by hand. This walk looks at
# a real one: how large the stream is at each layer and token, which token is the sink, when the model
# settles on its next word, which tokens a rule counts, and whether both backends see the same.

# %%
import torch
from IPython.display import Image

import hooks
from probes.figures import png
from probes.figures.description import Heatmap, Line, Lines, Panel

model = hooks.load("embedded:gemma-3-270m", dtype="float32")
print(model.backend_reason)
model

# %% [markdown]
# ## How large is the stream?
#
# `resid_post` [layer position d_model] of one text, special tokens included.

# %%
text = (
    "The capital of France is Paris. The capital of Italy is Rome. The capital of Spain is Madrid."
)
read = hooks.resid_post(model, text)
norms = read.resid.norm(dim=-1)
content = torch.tensor([index not in model.special_ids for index in read.token_ids])
places = tuple(float(layer) for layer in range(model.n_layers))


def line(name, values):
    return Line(name=name, x=places, y=tuple(values.log10().tolist()))


figure = Lines(
    title="The first token is a sink, and the others grow",
    subtitle=f"{model.name}, {int(content.sum())} content tokens",
    caption="Norm of the residual stream after each block. A steering strength means something only "
    "relative to it, and a mean over tokens only without the first one.",
    x_label="layer",
    panels=(
        Panel(
            y_label="log10 of the norm",
            lines=(
                line(f"first token {read.token_strings[0]}", norms[:, 0]),
                line("largest content token", norms[:, content].max(dim=1).values),
                line("median content token", norms[:, content].median(dim=1).values),
            ),
        ),
    ),
)
Image(png.render(figure, dots_per_inch=110))

# %% [markdown]
# How many times the median content token's norm the first token has, and how much of the squared
# norm of the whole text that is:

# %%
median = norms[:, content].median(dim=1).values
for layer in (0, 4, 8, 12, model.n_layers - 1):
    share = float(norms[layer, 0] ** 2 / (norms[layer] ** 2).sum())
    print(f"layer {layer:2}: {float(norms[layer, 0] / median[layer]):6.1f} times, {share:4.0%}")

# %% [markdown]
# ## When does the next token show?
#
# The logit lens: every layer's residual through the final norm and the unembedding, as if it were the
# last. Each column is a token of the text; the color is the probability of the token that follows.

# %%
following = torch.tensor(read.token_ids[1:])
shown = slice(1, -1)
lens = torch.stack(
    [
        model.unembed(read.resid[layer, :-1]).softmax(dim=-1)[range(len(following)), following]
        for layer in range(model.n_layers)
    ]
)
figure = Heatmap(
    title="The logit lens over layers",
    subtitle=f"{model.name}: probability of the token that comes next in the text",
    caption="Column: the token that is read, with its place. Only the top row is what the model "
    "says; those below read a layer as if it were the last, which early layers are not made for.",
    rows=tuple(f"layer {layer}" for layer in reversed(range(model.n_layers))),
    columns=tuple(
        f"{place} {string.strip()}" for place, string in enumerate(read.token_strings[:-1])
    )[shown],
    values=tuple(tuple(row[shown]) for row in reversed(lens.tolist())),
    value_label="probability",
    x_label="",
    y_label="",
    limits=(0.0, 1.0),
    palette="sequential",
)
Image(png.render(figure, dots_per_inch=110))

# %% [markdown]
# The first layer at which the right city leads, after each "is":

# %%
for place, string in enumerate(read.token_strings[:-1]):
    if string.strip() == "is":
        best = [int(model.unembed(row[place]).argmax()) for row in read.resid]
        right = read.token_ids[place + 1]
        first = next((layer for layer, index in enumerate(best) if index == right), None)
        print(f"{read.token_strings[place + 1]!r} leads first at layer {first} of {model.n_layers}")

# %% [markdown]
# ## Which tokens count?
#
# A rule selects content tokens: neither padding nor specials, wherever a batch puts them. This is
# also what pooling and steering take.

# %%
rules = [hooks.FromToken(8), hooks.Span(2, 6), hooks.Last(3), hooks.Spaced(2, 5)]
for rule in rules:
    [selected] = rule.select(content.unsqueeze(0))
    picked = [string for string, yes in zip(read.token_strings, selected, strict=True) if yes]
    print(f"{rule!s:22} {picked}")

# %% [markdown]
# Padding makes no difference: a short text pooled alone, and beside a long one on either side.

# %%
short = "The capital of France"
[alone] = hooks.pooled_resid_post(model, [short]).mean
for side in ("right", "left"):
    beside = hooks.pooled_resid_post(model, [short, text], padding_side=side).mean[0]
    difference = float(((beside - alone).norm(dim=-1) / alone.norm(dim=-1)).max())
    print(f"padded on the {side}: relative difference {difference:.0e}")
    assert difference < 1e-4

# %% [markdown]
# ## Do both backends see the same?
#
# TransformerLens' hook points and plain hooks on the Hugging Face modules, same weights, same text.

# %%
plain = hooks.load("embedded:gemma-3-270m", backend="huggingface", dtype="float32")
other = hooks.resid_post(plain, text)
relative = (other.resid - read.resid).norm(dim=-1) / read.resid.norm(dim=-1)
print(
    f"{model.backend} and {plain.backend}: largest relative difference {float(relative.max()):.0e}"
)
assert model.backend != plain.backend
assert relative.max() < 1e-4
