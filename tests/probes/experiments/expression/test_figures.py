"""Figures of expression hold what was measured."""

from expressed_worlds import WAYS

from probes import figures


def test_figures_hold_accuracies_and_what_words_reach(measured, tmp_path):
    result = measured()
    drawn = result.figures()
    assert set(drawn) == {"expression_by_layer", "expression_table", "expression_beyond_words"}
    [panel] = drawn["expression_by_layer"].panels
    flat = {line.name: line for line in panel.lines if line.name.startswith("words")}
    assert set(flat) == {"words: said -> shown", "words: shown -> said"}
    cell = result.cell("shown", "said")
    assert set(flat["words: shown -> said"].y) == {cell.controls[cell.better].value}
    table = drawn["expression_table"]
    assert table.values[WAYS.index("shown")][WAYS.index("said")] == cell.accuracy.value
    beyond = drawn["expression_beyond_words"]
    assert beyond.values[3][0] == cell.excess.value
    assert figures.draw_all(drawn, tmp_path)
