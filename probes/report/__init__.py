"""The report of a run: one page for people, one text for a repository.

1. `contents` is what both say, as plain values: no drawing, no markup.
2. `claims`, `limits`, `maps`, `stories` and `pictures` work out its parts; `summary` and
   `scorecard` are shown by other commands too.
3. `page` writes ``report.html``, one file that opens without a network; `markdown` writes
   ``report.md``, which shows the figures of the run's folder.

Contract
--------
* Nothing is measured here but where the examples' tokens point; every other number was left by an
  earlier stage.
* Every text that comes from a model, a file or a config is shown as text, whatever it contains.
* The same run gives the same bytes. Importing this package imports no torch.
"""
