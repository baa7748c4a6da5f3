"""Transformers is loaded by name and typed by what it gives: reading all of it takes minutes."""

from typing import Any

from .cache_utils import Cache as Cache
from .cache_utils import DynamicCache as DynamicCache

AutoConfig: Any
AutoModelForCausalLM: Any
AutoTokenizer: Any
BitsAndBytesConfig: Any
PreTrainedTokenizerFast: Any
