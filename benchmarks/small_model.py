"""A random model that writes and reads one-word sentences: quick, with a stream of real size.

Its residual stream is 512 numbers wide, as a real small model's, so that whatever is kept of every
text shows in the memory; its matrices are narrow, so that thousands of texts take seconds. It knows
a few dozen words that are each a sentence ("Door."), so that what it writes at random passes the
filter.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.texts import SENTENCES

WORDS = sorted({f"{w.strip('.,').capitalize()}." for text in SENTENCES for w in text.split()})


def save(folder: Path, n_layers: int) -> Path:
    """Write the model and its tokenizer; the same weights every time."""
    words = ["<s>", "</s>", "<unk>", *WORDS]
    vocabulary = {word: number for number, word in enumerate(words)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<s>"
    )
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=512,
        intermediate_size=64,
        num_hidden_layers=n_layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
