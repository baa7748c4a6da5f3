"""From text to token ids, and which of the tokens count."""
