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
# # Hook points, the residual stream and the logit lens
#
# `hooks` reads and writes one place of a model: `resid_post[l]`, the residual stream after decoder
# block `l`, counted from 0, before the final norm. First on a tiny random model, where everything
# can be checked by hand, then on a real one that pip brings.

# %%
import torch
from IPython.display import Image
from transformers import LlamaConfig, LlamaForCausalLM

import hooks
from probes.figures import png
from probes.figures.description import Line, Lines, Panel

# %% [markdown]
# ## A tiny random model
#
# `hooks.load` takes a name, a folder, or a model that is already there.

# %%
real = hooks.load("embedded:smollm2-135m-instruct", backend="huggingface")
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=len(real.tokenizer),
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
)
tiny = hooks.load(
    LlamaForCausalLM(config).eval(), tokenizer=real.tokenizer, backend="transformerlens"
)
tiny

# %% [markdown]
# The backend is TransformerLens: `tiny.hooked` is a `TransformerBridge` with hook points by name.

# %%
[name for name in tiny.hooked.hook_dict if name.startswith("blocks.1.")][:12]

# %% [markdown]
# ## The residual stream of one text

# %%
text = "The letter lay on the table."
read = hooks.resid_post(tiny, text)
print(read.resid.shape, "layer position d_model")
read.token_strings

# %% [markdown]
# The same numbers come from TransformerLens by hand. `hooks` also stops after the last layer that is
# needed, masks padding, and pools inside the forward pass, which is what bulk reading wants.

# %%
with torch.no_grad():
    _, cache = tiny.hooked.run_with_cache(torch.tensor([read.token_ids]))
by_hand = cache["blocks.2.hook_resid_post"][0]
assert torch.allclose(read.resid[2], by_hand, atol=1e-5)

pooled = hooks.pooled_resid_post(tiny, [text, "Nobody came."], hooks.FromToken(1))
assert torch.allclose(
    hooks.pooled_resid_post(tiny, [text], hooks.FromToken(1)).mean[0], pooled.mean[0], atol=1e-5
)
pooled.mean.shape, pooled.n_tokens

# %% [markdown]
# ## From residual to logits
#
# `unembed` is the model's own way from the last residual to logits: final norm, unembedding, soft cap.

# %%
with torch.no_grad():
    logits = tiny.hf(torch.tensor([read.token_ids])).logits[0]
assert torch.allclose(tiny.unembed(read.resid[-1]), logits, atol=1e-4)

# %% [markdown]
# ## The same on a real model
#
# The logit lens reads every layer's residual as if it were the last one. Early layers of a small
# model say little when they are read this way; the last line is what the model itself would say.

# %%
text = "The opposite of hot is"
read = hooks.resid_post(real, text)
words = real.token_strings()
for layer in (*range(0, real.n_layers - 1, 4), real.n_layers - 1):
    best = real.unembed(read.resid[layer, -1]).topk(4).indices.tolist()
    print(f"layer {layer:2}", [words[index] for index in best])

# %% [markdown]
# ## How the stream grows
#
# Norms grow over the layers, and the first token's is many times larger: why a steering strength
# means something only relative to them, and why first tokens and specials are left out of means.

# %%
norms = read.resid.norm(dim=-1).log10()
layers = tuple(float(layer) for layer in range(real.n_layers))
parts = {"first token": norms[:, 0], "mean of the others": norms[:, 1:].mean(dim=1)}
figure = Lines(
    title="How the residual stream grows",
    subtitle=f"{real.name}; “{text}”",
    caption="Length of the stream after each block; 1 more is ten times as long.",
    x_label="layer",
    panels=(
        Panel(
            y_label="log10 of the norm",
            lines=tuple(
                Line(name=name, x=layers, y=tuple(values.tolist()))
                for name, values in parts.items()
            ),
        ),
    ),
)
Image(png.render(figure, dots_per_inch=110))
