"""Shares of time: every operator is of one kind, and all kinds make the whole."""

import pytest

from benchmarks.time_shares import ATTENTION, BETWEEN, PRODUCTS, kind_of, prepare, shares


def test_operators_have_a_kind():
    assert kind_of("aten::addmm") == kind_of("aten::linear") == PRODUCTS
    assert kind_of("aten::_scaled_dot_product_flash_attention_for_cpu") == ATTENTION
    assert kind_of("aten::mul") == BETWEEN


def test_shares_add_up_and_name_the_slowest_between():
    taken = {"aten::mm": 50.0, "aten::mul": 30.0, "aten::add": 20.0}
    assert shares(taken) == [
        (PRODUCTS, 0.5),
        (ATTENTION, 0.0),
        (BETWEEN, 0.5),
        ("aten::mul", 0.3),
        ("aten::add", 0.2),
    ]


def test_a_real_pass_has_products_attention_and_more(tiny_folder):
    told = dict(prepare(str(tiny_folder("llama")), "float32")(2))
    assert sum(told[kind] for kind in (PRODUCTS, ATTENTION, BETWEEN)) == pytest.approx(1)
    assert told[PRODUCTS] > 0 and told[ATTENTION] > 0
