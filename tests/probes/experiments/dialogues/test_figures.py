"""Figures of dialogues: bars and cells that can be drawn, whatever could be measured."""

from dataclasses import replace

import pytest
from planted_dialogues import deflection_crossing, plant, speakers_crossing

from probes.experiments.dialogues import deflection, speakers
from probes.experiments.dialogues.reading import gram_of
from probes.figures.draw import draw_all


@pytest.fixture(scope="module")
def of_speakers(planted):
    made = plant(speakers_crossing(), noise=1.0)
    run = planted(strength=[0.0, 0.5, 1.0, 1.0])
    return speakers.judge(run, made.rows, {"words": gram_of(made.rows)})


@pytest.fixture(scope="module")
def of_deflection(planted):
    made = plant(deflection_crossing(), noise=1.0)
    run = planted(strength=[0.0, 0.5, 1.0, 1.0])
    gram = gram_of(made.rows)
    return deflection.judge(run, made.rows, made.rows, {"words": gram}, gram)


def test_every_naming_has_bars_and_chance_in_gray(of_speakers, of_deflection):
    for bars, n in (
        (of_speakers.figures()["speakers"], 3 + 3 + 4),
        (of_deflection.figures()["deflection"], 5 + 3 + 1),
    ):
        assert len(bars.categories) == n
        chance = [part for part in bars.parts if part.name == "chance"]
        assert [part.muted for part in chance] == [True]
        assert sum(value > 0 for value in chance[0].values) == sum(
            label.endswith("chance") for label in bars.categories
        )


def test_cells_show_cosines_as_they_are_where_there_is_none_without_noise(of_speakers):
    table = of_speakers.cosines
    clean = of_speakers.figures()["speakers_cosines"]
    assert clean.values[0][1] == table.without_noise[0][1]
    assert "As they are" not in clean.caption
    unknown = [[*row[:3], None] for row in table.without_noise]
    noisy = replace(of_speakers, cosines=replace(table, without_noise=unknown))
    drawn = noisy.figures()["speakers_cosines"]
    assert drawn.values[0][3] == table.cosine[0][3]
    assert "As they are" in drawn.caption


def test_all_can_be_drawn(of_speakers, of_deflection, tmp_path):
    for result in (of_speakers, of_deflection):
        drawn = draw_all(result.figures(), tmp_path)
        assert {path.stem for path in drawn} == set(result.figures())
