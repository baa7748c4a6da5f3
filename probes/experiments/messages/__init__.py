"""Whether vectors read messages that imply an emotion without naming it."""
