"""Texts to read: made of a few sentences, as long as stories are, long and short ones mixed."""

SENTENCES = (
    "He closed the door behind him and stood still for a while.",
    "The kettle whistled in the kitchen, and nobody took it off the stove.",
    "Her fingers drummed on the table while the clock went on.",
    "A bus rolled past the window and the glass trembled.",
    "They walked along the river without saying a word to each other.",
)


def texts(number: int) -> list[str]:
    """Texts of 4 to 15 sentences (about 50 to 200 tokens)."""
    return [
        " ".join(SENTENCES[(i + n) % 5] for n in range(4 + (7 * i) % 12)) for i in range(number)
    ]
