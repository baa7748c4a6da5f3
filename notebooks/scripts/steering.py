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
# # Steering a model with an emotion vector
#
# A vector is made from a handful of short texts, added to the residual stream while the model
# writes, and what that does and costs is measured. Everything runs on a CPU with a model that pip
# brings. Four texts an emotion are far too few for a vector to trust: a run of the pipeline
# (`python -m probes.run demo`) makes better ones and tests them.

# %%
import torch
from IPython.display import HTML, Image

import hooks
from probes.commands.steered_page import marked
from probes.experiments.steering.dose_cost import Budget, SteeringCost, usable_dose
from probes.figures import png
from probes.figures.description import Line, Lines, Panel

model = hooks.load("embedded:gemma-3-270m", backend="huggingface")
layer = round(model.n_layers * 2 / 3)
model

# %% [markdown]
# ## Two vectors from eight texts
#
# The emotion is shown, never named. A vector is the mean residual of an emotion's texts minus the
# mean over emotions, here of the tokens from the sixth on.

# %%
TEXTS = {
    "sad": [
        "Marta set two cups on the table, looked at the second one, and put it back on the shelf. "
        "She had not opened the curtains since the funeral, and her eyes stung again.",
        "He read her last letter until the paper went soft. The house was quiet, the bed too wide, "
        "and he lay awake with a weight on his chest that no morning took away.",
        "The dog's bowl still stood by the door. Ines sat down on the floor beside it, pulled her "
        "knees up, and let the tears run until there were none left.",
        "Nobody had come to the station. Old Piet watched the last train go, folded his hat, and "
        "walked home slowly through the rain with his head down.",
    ],
    "happy": [
        "The whole kitchen smelled of cake, and the children sang out of tune and laughed. Marta "
        "danced with the spoon in her hand and could not stop smiling.",
        "He had the job! He ran down the stairs, hugged the neighbor, and bought ice cream for "
        "everybody in the street, humming all the way.",
        "The sun came out just as the boat left the harbor. Ines threw her arms wide, breathed in, "
        "and laughed aloud because the whole summer lay before them.",
        "Old Piet found all his grandchildren at the station with a banner. His face lit up, and "
        "he lifted the smallest one high into the air.",
    ],
}
means = {
    emotion: hooks.pooled_resid_post(model, texts, hooks.FromToken(5), layers=[layer])
    for emotion, texts in TEXTS.items()
}
center = torch.stack([pooled.mean.mean(dim=0) for pooled in means.values()]).mean(dim=0)
vectors = {emotion: (pooled.mean.mean(dim=0) - center)[0] for emotion, pooled in means.items()}
norm = float(torch.cat([pooled.norm for pooled in means.values()]).mean())

# %% [markdown]
# ## Three lines to steer
#
# A *dose* is a fraction of the mean residual norm at that layer, so that 0.1 means the same at any
# layer of any model. After the `with` nothing is left on the model.

# %%
prompt = "When the door opened, she"
with hooks.steer(model, vectors["happy"], layers=[layer], dose=0.1, residual_norm=norm):
    [happy] = model.generate([prompt], max_new_tokens=30, seed=1)
happy.text

# %% [markdown]
# ## Side by side
#
# The same seed without steering and with either vector. Marked words differ from the unsteered text.

# %%
[plain] = model.generate([prompt], max_new_tokens=30, seed=1)
with hooks.steer(model, vectors["sad"], layers=[layer], dose=0.1, residual_norm=norm):
    [sad] = model.generate([prompt], max_new_tokens=30, seed=1)
rows = [("unsteered", plain.text), ("happy 0.1", happy.text), ("sad 0.1", sad.text)]
cells = "".join(
    f"<tr><td>{name}</td><td style='text-align:left'>{marked(text, plain.text)}</td></tr>"
    for name, text in rows
)
HTML(f"<table>{cells}</table>")

# %% [markdown]
# ## Dose and response
#
# What a dose does: the log-probability of ` sad` after "He feels". What it costs, on neutral text:
# KL divergence from the unsteered model and perplexity. A random direction is the control.

# %%
NEUTRAL = [
    "The bus line has eleven stops. The first bus leaves the depot at five in the morning, and a "
    "ticket for the whole route can be bought from the driver or at the machine.",
    "To change the filter, close the valve and turn the lid to the left. Rinse the housing, put in "
    "the new filter with the seal facing up, and close the lid by hand.",
]
DOSES = [0.05, 0.1, 0.2, 0.3]
budget = Budget(max_kl=1.0, max_perplexity_ratio=2.0)
gauge = SteeringCost(model, NEUTRAL)
word = model.encode("He feels sad")[-1]
random = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))


def log_prob(direction, dose):
    last = [model.n_layers - 1]
    with hooks.steer(model, direction, layers=[layer], dose=dose, residual_norm=norm):
        end = hooks.pooled_resid_post(model, ["He feels"], hooks.Last(), layers=last).mean[0, 0]
    return float(model.unembed(end).log_softmax(dim=-1)[word])


before = log_prob(vectors["sad"], 0.0)
response = [log_prob(vectors["sad"], dose) - before for dose in DOSES]
control = [log_prob(random, dose) - before for dose in DOSES]
costs = [gauge.cost(vectors["sad"], dose, layers=[layer], residual_norm=norm) for dose in DOSES]
usable = usable_dose(costs, budget)

figure = Lines(
    title="What a dose of sadness does, and what it costs",
    subtitle=f"{model.name}, layer {layer}, a vector from four texts",
    caption=f"Budget: {budget}. Dashed: the largest dose tried within it.",
    x_label="dose (fraction of the mean residual norm)",
    panels=(
        Panel(
            y_label="' sad' after 'He feels' (nats)",
            lines=(
                Line(name="sad vector", x=tuple(DOSES), y=tuple(response)),
                Line(name="random direction", x=tuple(DOSES), y=tuple(control)),
            ),
        ),
        Panel(
            y_label="KL (nats)",
            lines=(Line(name="KL", x=tuple(DOSES), y=tuple(cost.kl for cost in costs)),),
            height=0.6,
        ),
    ),
    mark=usable,
    mark_label="" if usable is None else f"usable up to {usable:g}",
)
Image(png.render(figure), width=760)

# %% [markdown]
# ## Nothing stays behind
#
# Outside the context the model is itself again, bit for bit, and a dose of 0 is no steering at all.

# %%
assert log_prob(vectors["sad"], 0.0) == before
{
    "usable dose": usable,
    "own word at it (nats)": dict(zip(DOSES, response, strict=True)).get(usable),
}
