"""Pure numbers: geometry, logit lens, statistics, intervals, held-out topics."""
