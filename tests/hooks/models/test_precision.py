from typing import Any

import pytest
import torch

from hooks.errors import InvalidInput
from hooks.models.precision import (
    computes_in_bfloat16,
    quantization_config,
    resolve_device,
    resolve_dtype,
)

CPU = torch.device("cpu")


class TestDevice:
    def test_auto_is_the_best_that_is_there(self):
        chosen = resolve_device("auto")
        if torch.cuda.is_available():
            assert chosen.type == "cuda"
        elif torch.backends.mps.is_available():
            assert chosen.type == "mps"
        else:
            assert chosen == CPU

    def test_a_named_device_is_taken(self):
        assert resolve_device("cpu") == CPU
        assert resolve_device(CPU) == CPU

    def test_an_unknown_device_is_refused(self):
        with pytest.raises(InvalidInput, match="got 'gpu'"):
            resolve_device("gpu")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
    def test_a_device_that_is_not_there_is_refused(self):
        with pytest.raises(InvalidInput, match="finds none"):
            resolve_device("cuda")


class TestDtype:
    @pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
    def test_a_name_becomes_the_type(self, name):
        assert resolve_dtype(name, CPU) == getattr(torch, name)
        assert resolve_dtype(getattr(torch, name), CPU) == getattr(torch, name)

    def test_auto_is_bfloat16_only_where_it_is_computed(self):
        expected = torch.bfloat16 if computes_in_bfloat16(CPU) else torch.float32
        assert resolve_dtype("auto", CPU) == expected

    def test_a_device_nothing_is_known_of_gets_float32(self):
        assert resolve_dtype("auto", torch.device("meta")) == torch.float32

    @pytest.mark.parametrize("name", ["int8", "half", ""])
    def test_other_names_are_refused(self, name):
        with pytest.raises(InvalidInput, match="bfloat16"):
            resolve_dtype(name, CPU)


class TestQuantization:
    def test_none_is_none(self):
        assert quantization_config(None, torch.float32) is None

    def test_what_is_asked_for_is_what_the_configuration_says(self):
        pytest.importorskip("bitsandbytes")
        four: Any = quantization_config("4bit", torch.bfloat16)
        assert (four.load_in_4bit, four.load_in_8bit) == (True, False)
        assert four.bnb_4bit_quant_type == "nf4"
        assert four.bnb_4bit_compute_dtype == torch.bfloat16
        eight: Any = quantization_config("8bit", torch.float32)
        assert (eight.load_in_4bit, eight.load_in_8bit) == (False, True)

    @pytest.mark.parametrize("name", ["2bit", "int4", ""])
    def test_other_names_are_refused(self, name):
        with pytest.raises(InvalidInput, match="'4bit' or '8bit'"):
            quantization_config(name, torch.float32)
