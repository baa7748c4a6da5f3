"""What a page of a figure holds: the data of its plot, and its markup without scripts."""

import json
import re
from typing import Any


def traces_in(page: str) -> list[dict[str, Any]]:
    """Data of the plot, as the browser will read it."""
    content = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL
    )
    assert content is not None
    return json.loads(content[1])["traces"]


def own_markup(page: str) -> str:
    """The page without its scripts and their data."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
