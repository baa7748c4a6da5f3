"""A user's own words: scored, swept, shown token by token, and steered in the app."""
