"""The report of a run: one page for people, one text for a repository.

`contents` is what both say, as plain values; `page` writes ``report.html``, one file that opens
without a network, `markdown` ``report.md``.

Contract: nothing is measured here but where the examples' tokens point. Every text is shown as
text, whatever it contains. The same run gives the same bytes. Importing this package imports no
torch.
"""
