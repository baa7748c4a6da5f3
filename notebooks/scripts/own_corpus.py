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
# # Your own stories, from JSON lines to scores of new texts
#
# You have texts and labels; no writer is needed. Two files go in: stories with an emotion and a
# topic, and neutral texts. The stages of the pipeline run from Python, and what they leave is read
# back. Two small files beside this notebook stand in for yours; to use your own, change the paths.

# %%
import json
import tempfile
from pathlib import Path

from IPython.display import Image

import hooks
from probes import EmotionVectors, Run, load_config
from probes.figures import png
from probes.figures.description import Heatmap
from probes.runs.models import Models
from probes.runs.reporting import Silent
from probes.stages import find_stages, run_stage
from probes.storage import read_json

stories, neutral = Path("corpus/stories.jsonl"), Path("corpus/neutral.jsonl")
lines = [json.loads(line) for line in stories.read_text(encoding="utf-8").splitlines()]
print(len(lines), "stories;", len({line["emotion"] for line in lines}), "emotions;", end=" ")
print(len({line["topic"] for line in lines}), "topics")
lines[0]

# %% [markdown]
# Every emotion should be there on every topic. Where it is not, a vector learns the topics too: an
# emotion with stories of trains only becomes a vector of trains. The neutral texts are on the same
# topics, and what varies most among them is projected out of the vectors.
#
# ## A config is a YAML file
#
# Short texts need a smaller `token_offset` than the default of 50: this one skips five tokens.

# %%
folder = Path(tempfile.mkdtemp())
config_file = folder / "mine.yaml"
config_file.write_text(
    f"""
model:
  name: embedded:gemma-3-270m
  backend: huggingface
corpus:
  stories: {stories.resolve()}
  neutral: {neutral.resolve()}
activation:
  token_offset: 5
output_dir: {folder / "run"}
""",
    encoding="utf-8",
)
config = load_config(str(config_file), {"seed": 1})
run = Run(config, str(config_file))
run.emotions

# %% [markdown]
# A mistake stops before any work, with what would have been right:

# %%
try:
    load_config(str(config_file), {"activation.token_ofset": 5})
except hooks.InvalidInput as error:
    print(error)

# %% [markdown]
# ## The stages
#
# Each leaves files in the run's folder, and is skipped when it is complete.

# %%
STAGES = [
    "generate-stories",  # takes your texts in; nothing is written by a model
    "generate-neutral",
    "extract-activations",
    "compute-vectors",
    "analyze",
    "logit-lens",
]
run.prepare()
models = Models(config)
for stage in find_stages(STAGES):
    ran = run_stage(run, stage, models, Silent())
    print(f"{stage.name}: {'done' if ran else 'complete, skipped'}")
assert not any(run_stage(run, stage, models, Silent()) for stage in find_stages(STAGES))

# %% [markdown]
# ## What was left
#
# The tokens that each vector raises most. With three stories an emotion, few name it.

# %%
lens = read_json(run.root / "analysis" / "logit_lens.json")["emotions"]
for emotion in run.emotions:
    print(f"{emotion:10}", " ".join(token.strip() for token, _ in lens[emotion]["top"][:6]))

# %% [markdown]
# ## Score new texts
#
# Cosine of each text's centered residual with each emotion's vector. The texts are on none of the
# corpus' topics; the comments are what a reader would say.

# %%
vectors = EmotionVectors.load(run.root)
NEW = {
    "picnic": "We ate melon on the grass, and my cousin laughed so hard that the juice ran out of "
    "her nose. I grinned all the way home.",  # happy
    "exam": "I have sharpened four pencils and been to the bathroom twice. The proctor is handing "
    "out the sheets and my leg will not stop bouncing.",  # nervous
    "grave": "I brought the white roses again. I stayed until the gate was locked, and on the bus I "
    "turned to the window so that nobody would see my face.",  # sad
    "cellar": "Something heavy is being dragged across the cellar floor. The dog has crawled under "
    "the bed, and I dare not turn on the light.",  # afraid
    "neighbor": "He drove over my roses on purpose, waved, and did it again. I threw the watering "
    "can after his car and shouted every word I know.",  # angry
    "lake": "The lake is flat as glass. I have let the oars go and lie on my back; the clouds drift, "
    "and so do I.",  # calm
}
READER = ["happy", "nervous", "sad", "afraid", "angry", "calm"]
scores = vectors.score(models.subject(), list(NEW.values()), token_offset=5)
for place, (name, own) in enumerate(zip(NEW, READER, strict=True)):
    best = scores[place].argsort(descending=True)
    rank = 1 + best.tolist().index(vectors.emotions.index(own))
    first = ", ".join(vectors.emotions[index] for index in best[:3])
    print(f"{name:9} {first:32} a reader's word, {own}, has rank {rank} of {len(best)}")

# %%
largest = float(scores.abs().max())
figure = Heatmap(
    title="New texts beside the vectors of one's own corpus",
    subtitle=f"{vectors.provenance.model}, layer {vectors.provenance.target_layer}, vectors from "
    f"{sum(vectors.provenance.n_stories)} stories",
    caption="Cosine of a text's centered residual with an emotion's vector. Three short stories an "
    "emotion make rough vectors: read a row as a hint, not as a measurement.",
    rows=tuple(f"{name} ({own})" for name, own in zip(NEW, READER, strict=True)),
    columns=tuple(vectors.emotions),
    values=tuple(tuple(row) for row in scores.tolist()),
    value_label="cosine",
    x_label="emotion vector",
    y_label="text (a reader's word)",
    limits=(-largest, largest),
)
Image(png.render(figure, dots_per_inch=110))

# %% [markdown]
# ## Which words do it?
#
# The same, token by token: the five tokens closest to the vector of fear in the text about the cellar.

# %%
tokens, by_token = vectors.score_tokens(models.subject(), NEW["cellar"])
column = by_token[:, vectors.emotions.index("afraid")]
[(tokens[place], round(float(column[place]), 2)) for place in column.argsort(descending=True)[:5]]

# %% [markdown]
# ## How far to trust it
#
# The remaining stages, `validate`, `visualize` and `report`, hold the vectors against held-out topics,
# shuffled labels, random directions and word embeddings, and write one page that says how they fared.
# From a terminal, the same run is `emotion-probes run-all --config mine.yaml`.
