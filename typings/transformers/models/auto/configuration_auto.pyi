from typing import Any

CONFIG_MAPPING: Any
