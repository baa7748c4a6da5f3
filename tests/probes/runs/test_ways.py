"""A run on the corpus of the project: said, shown and carried, each read where it stands."""

import pytest
import reference_runs
import small_runs
import torch
from small_runs import SmallRun

import hooks
from hooks.errors import InvalidInput
from probes import EmotionVectors
from probes.corpus import reference
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent


@pytest.fixture(scope="module")
def materials(reference_run) -> Materials:
    run = reference_run.run()
    return Materials(run, Models(run.config), Silent())


@pytest.fixture(scope="module")
def model(reference_subject):
    return hooks.load(reference_subject, backend="huggingface", dtype="float32", device="cpu")


def pooled(model, before, text, after=""):
    """Mean residual at every layer over one piece of a text, read alone."""
    whole = " ".join(filter(None, (before, text, after)))
    start = len(model.encode(before)) if before else 0
    stop = len(model.encode(f"{before} {text}".strip()))
    return hooks.resid_post(model, whole).resid[:, start:stop].mean(dim=1)


def test_there_are_all_ways_and_their_units(materials):
    assert materials.ways == ["said", "narrated", "voiced", "shown", "carried"]
    assert materials.units("said") == ["n01", "v01", "n02"]
    first = [place.name for place in reference.situations()][:3]
    assert materials.units("shown") == materials.topics == first
    forms = {place.name: place.form for place in reference.situations()}
    narrated = materials.way("narrated")
    assert {forms[materials.topics[unit]] for unit in narrated.unit.tolist()} == {"narrated"}


def test_each_way_is_read_where_it_stands(materials, model):
    for way, layer in (("shown", 1), ("carried", 2), ("said", 1)):
        rows, placed = materials.way(way, layer), materials.placed_texts(way)
        assert len(rows.mean) == len(placed) == 9
        for number in (0, 4, 8):
            text = placed[number]
            assert materials.emotions[text.emotion] in reference_runs.EMOTIONS
            assert int(rows.emotion[number]) == text.emotion
            assert materials.units(way)[int(rows.unit[number])] == text.topic
            if way == "carried":
                expected = pooled(model, f"{text.opening} {text.text}", text.closing)
            elif way == "shown":
                expected = pooled(model, text.opening, text.text, text.closing)
            else:
                expected = pooled(model, text.opening, f"{text.text} {text.closing}".strip())
            assert torch.allclose(rows.mean[number], expected[layer], atol=1e-5)


def test_what_is_read_of_a_way_is_its_own_words(materials):
    [closing] = {
        text
        for text, row in zip(
            materials.way_texts("carried"), materials.way("carried").unit.tolist(), strict=True
        )
        if row == 0
    }
    assert closing == reference.situations()[0].closing
    assert all(
        text.split()[0].strip(".,") in reference_runs.EMOTIONS
        for text in materials.way_texts("said")
    )
    endings = {ending.text for ending in reference.endings()}
    assert set(materials.way_texts("shown")) <= endings


def test_the_bundle_holds_every_way_and_what_neutral_text_scores(reference_run, materials, model):
    loaded = EmotionVectors.load(reference_run.folder)
    assert loaded.way == loaded.provenance.way == "both", "of a corpus that has both"
    vectors = loaded.using("shown")
    assert vectors.ways == loaded.ways == ["shown", "said", "carried", "both"]
    assert vectors.using(None).vectors.equal(loaded.vectors)
    assert loaded.to_bytes() == vectors.to_bytes()
    rows = materials.way("said", 2)
    means = torch.stack([rows.mean[rows.emotion == n].mean(dim=0) for n in range(3)])
    said = means - means.mean(dim=0)
    basis = materials.neutral_components(2).float()
    said -= said @ basis.T @ basis
    assert torch.allclose(vectors.using("said").at(2), said, atol=1e-5)
    neutral = materials.matched(2)
    assert len(neutral) == 3 * 12
    cosine = vectors.cosine(neutral, 2)
    z = vectors.z(cosine, 2)
    assert torch.allclose(z.mean(dim=0), torch.zeros(3), atol=1e-4)
    assert torch.allclose(z.std(dim=0), torch.ones(3), atol=1e-4)
    both = vectors.using("both")
    unit = [
        torch.nn.functional.normalize(it.at(2), dim=1) for it in (vectors, vectors.using("said"))
    ]
    assert torch.allclose(both.at(2), unit[0] + unit[1], atol=1e-6)
    assert both.using("shown").at(2).equal(vectors.at(2))
    with pytest.raises(InvalidInput, match="got 'sung'"):
        vectors.using("sung")


def test_without_attention_to_the_past_nothing_is_carried(model):
    """What a closing holds of an emotion came to it through attention and through nothing else."""
    place = reference.situations()[0]
    texts = [it.text for it in reference.endings() if it.topic == place.name][:6]
    blocked, free = [], []
    for text in texts:
        before, closing = model.encode(f"{place.opening} {text}"), model.encode(place.closing)
        closing = closing[1:] if closing[0] == model.tokenizer.bos_token_id else closing
        ids, n = torch.tensor([[*before, *closing]]), len(before)
        mask = torch.ones(ids.shape[1], ids.shape[1]).tril().bool()
        places = torch.arange(ids.shape[1])
        places[n:] = torch.arange(200, 200 + len(closing))  # wherever the ending stopped
        for rows, past in ((free, True), (blocked, False)):
            mask[n:, :n] &= past
            added = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, -torch.inf)
            hidden = model.bulk.hf(
                input_ids=ids,
                attention_mask=added[None, None],
                position_ids=places[None],
                output_hidden_states=True,
            ).hidden_states
            rows.append(torch.stack(hidden[1:])[:, 0, n:].mean(dim=1))
    assert all(torch.allclose(rows, blocked[0], atol=1e-5) for rows in blocked)
    assert not any(torch.allclose(rows, free[0], atol=1e-5) for rows in free[1:])


def test_a_way_that_no_text_has_is_refused_before_any_work(reference_subject, tmp_path):
    values = small_runs.small_settings(reference_subject, tmp_path / "out")
    values["vectors"] = {"way": "said"}
    with pytest.raises(InvalidInput, match=r"vectors.way=said: .*corpus.stories=reference"):
        SmallRun(small_runs.write_config(tmp_path / "c.yaml", values), tmp_path / "out").run()
