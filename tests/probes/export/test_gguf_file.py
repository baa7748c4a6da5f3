"""GGUF control vectors: what is written is read back bit for bit, here, in repeng and llama.cpp."""

import gguf
import numpy as np
import pytest
import real_llama_cpp
import torch

import hooks
from hooks.errors import DataError, InvalidInput
from probes.export import control_vector, read_gguf, write_gguf

TEXT = "The old man sat by the window."


def repeng_import(path) -> tuple[str, dict[int, np.ndarray]]:
    """Read a file as repeng's importer does: hint, and layer to direction."""
    reader = gguf.GGUFReader(path)
    architecture = reader.get_field("general.architecture")
    assert bytes(architecture.parts[-1]).decode() == "controlvector"
    hint = reader.get_field("controlvector.model_hint")
    directions = {
        int(tensor.name.split(".")[1]): tensor.data
        for tensor in reader.tensors
        if tensor.name.startswith("direction.")
    }
    return bytes(hint.parts[-1]).decode(), directions


class TestRoundTrip:
    def test_no_bit_changes(self, vectors, tmp_path):
        made = control_vector(vectors, "at ease", layers=[3, 1], dose=0.15)
        assert write_gguf(made, tmp_path / "v.gguf") == []
        again = read_gguf(tmp_path / "v.gguf")
        assert torch.equal(again.tensors, made.tensors)
        assert torch.equal(again.residual_norm, made.residual_norm)
        assert (again.emotion, again.layers, again.dose) == ("at ease", [1, 3], 0.15)
        assert again.made_from == made.made_from

    def test_the_same_vector_gives_the_same_bytes(self, vectors, tmp_path):
        made = control_vector(vectors, "sad")
        for name in ("a", "b"):
            write_gguf(made, tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_what_is_read_steers_as_the_bundle_does(self, model, vectors, tmp_path):
        write_gguf(control_vector(vectors, "sad", layers=[1, 2]), tmp_path / "v.gguf")
        read = read_gguf(tmp_path / "v.gguf")
        logits = []
        for vector, norms in (
            (vectors["sad"], vectors.residual_norm),
            (read.by_layer, read.norm_by_layer),
        ):
            with hooks.steer(model, vector, layers=[1, 2], dose=0.2, residual_norm=norms):
                logits.append(model.unembed(hooks.resid_post(model, TEXT, layers=[3]).resid))
        assert (logits[0] - logits[1]).abs().max() <= 1e-6 * logits[0].abs().max()
        plain = model.unembed(hooks.resid_post(model, TEXT, layers=[3]).resid)
        assert (logits[0] - plain).abs().max() > 0.05


class TestFormat:
    def test_is_what_repeng_imports(self, vectors, tmp_path):
        made = control_vector(vectors, "sad", layers=[1, 3])
        write_gguf(made, tmp_path / "v.gguf")
        hint, directions = repeng_import(tmp_path / "v.gguf")
        assert hint == "llama"
        assert sorted(directions) == [1, 3]
        assert np.array_equal(directions[3], made.tensors[1].numpy())

    def test_has_the_keys_and_types_that_llama_cpp_knows(self, vectors, tmp_path):
        write_gguf(control_vector(vectors, "sad", layers=[1, 2, 3]), tmp_path / "v.gguf")
        reader = gguf.GGUFReader(tmp_path / "v.gguf")
        assert reader.fields["controlvector.layer_count"].contents() == 3
        assert "dose = s * |direction|" in reader.fields["general.description"].contents()
        assert [tensor.name for tensor in reader.tensors] == [
            "direction.1",
            "direction.2",
            "direction.3",
        ]
        for tensor in reader.tensors:
            assert tensor.tensor_type == gguf.GGMLQuantizationType.F32
            assert list(tensor.shape) == [32]

    def test_says_in_keys_of_its_own_what_it_means(self, vectors, tmp_path):
        made = control_vector(vectors, "sad", layers=[1, 3], dose=0.2)
        write_gguf(made, tmp_path / "v.gguf")
        fields = gguf.GGUFReader(tmp_path / "v.gguf").fields
        said = {
            name.removeprefix("emotion_lens."): field.contents()
            for name, field in fields.items()
            if name.startswith("emotion_lens.")
        }
        assert said["operation"] == "add"
        assert said["hook_point"] == "blocks.{layer}.hook_resid_post"
        assert said["layers"] == [1, 3]
        assert said["dose"] == 0.2
        assert said["residual_norm"] == pytest.approx(made.residual_norm.tolist())

    def test_block_0_is_left_out_and_said(self, vectors, tmp_path):
        made = control_vector(vectors, "sad", layers=[0, 1])
        assert write_gguf(made, tmp_path / "v.gguf") == [0]
        assert read_gguf(tmp_path / "v.gguf").layers == [1]

    def test_block_0_alone_is_refused(self, vectors, tmp_path):
        with pytest.raises(InvalidInput, match="no slot for block 0"):
            write_gguf(control_vector(vectors, "sad", layers=[0]), tmp_path / "v.gguf")
        assert list(tmp_path.iterdir()) == []


def write(path, tensors=None, **keys):
    """Write a file with a direction at block 2 and some of our keys."""
    writer = gguf.GGUFWriter(path, "controlvector")
    writer.add_string("controlvector.model_hint", "mistral")
    kinds = {str: writer.add_string, float: writer.add_float64, list: writer.add_array}
    kinds[int] = writer.add_uint32
    for name, value in keys.items():
        kinds[type(value)](f"emotion_lens.{name}", value)
    for name, tensor in (tensors or {"direction.2": np.arange(4, dtype=np.float32)}).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class TestWhatAFileSays:
    @pytest.mark.parametrize(
        ("keys", "said"),
        [
            ({"operation": "project"}, "operation 'add', and the file says 'project'"),
            ({"operation": "project", "dose": 0.1}, "not to be added"),
            ({"hook_point": "blocks.{layer}.hook_mlp_out"}, "says 'blocks.{layer}.hook_mlp_out'"),
            ({"layers": [3]}, "its keys name blocks [3], its tensors [2]"),
            ({"layers": [1, 2]}, "its keys name blocks [1, 2], its tensors [2]"),
            ({"layers": 2}, "its keys name blocks 2"),
            ({"dose": -0.1}, "its dose is -0.1"),
            ({"dose": float("nan")}, "its dose is nan"),
            ({"dose": "high"}, "damaged"),
            ({"residual_norm": [1.0, 2.0]}, "its residual norms are"),
            ({"residual_norm": [float("inf")]}, "its residual norms are"),
            ({"residual_norm": "long"}, "damaged"),
            ({"residual_norm": 3.0}, "damaged"),
            (
                {"dose": 0.1, "residual_norm": [50.0]},
                "lengths [3.7416573867739413], not dose x nor",
            ),
            ({"made_from": "{"}, "damaged"),
            ({"made_from": "[1]"}, "damaged"),
        ],
    )
    def test_and_does_not_mean_what_we_add_is_refused(self, tmp_path, keys, said):
        with pytest.raises(DataError) as caught:
            read_gguf(write(tmp_path / "v.gguf", **keys))
        assert said in str(caught.value)
        assert str(tmp_path / "v.gguf") in str(caught.value)

    def test_and_means_what_we_add_is_read(self, tmp_path):
        norm = 14**0.5 / 0.1
        keys = {"operation": "add", "hook_point": "blocks.{layer}.hook_resid_post", "layers": [2]}
        read = read_gguf(write(tmp_path / "v.gguf", **keys, dose=0.1, residual_norm=[norm]))
        assert (read.layers, read.dose) == ([2], 0.1)
        assert read.norm_by_layer == {2: pytest.approx(norm)}

    @pytest.mark.parametrize(
        "tensors",
        [
            {"direction.2": np.array([1, float("nan")], dtype=np.float32)},
            {"direction.-1": np.ones(4, dtype=np.float32)},
            {"direction.x": np.ones(4, dtype=np.float32)},
            {"other.2": np.ones(4, dtype=np.float32)},
            {"direction.2": np.ones((2, 2), dtype=np.float32)},
            {"direction.2": np.ones(4, dtype=np.float16)},
            {f"direction.{n}": np.ones(n, dtype=np.float32) for n in (1, 2)},
        ],
    )
    def test_with_directions_that_are_none_is_refused(self, tmp_path, tensors):
        with pytest.raises(DataError):
            read_gguf(write(tmp_path / "v.gguf", tensors))


class TestFilesFromElsewhere:
    def test_a_file_without_our_keys_is_read_without_a_dose(self, tmp_path):
        read = read_gguf(write(tmp_path / "joy.gguf"))
        assert (read.emotion, read.layers, read.dose) == ("joy", [2], None)
        assert read.tensors.tolist() == [[0.0, 1.0, 2.0, 3.0]]
        assert "does not say" in read.description

    @pytest.mark.parametrize("keep", [0, 10, 200, -40])
    def test_a_truncated_file_is_refused(self, vectors, tmp_path, keep):
        path = tmp_path / "v.gguf"
        write_gguf(control_vector(vectors, "sad"), path)
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(DataError, match="damaged"):
            read_gguf(path)

    def test_a_damaged_byte_is_refused_or_changes_nothing_that_is_said(self, vectors, tmp_path):
        path = tmp_path / "v.gguf"
        made = control_vector(vectors, "sad", layers=[1, 3])
        write_gguf(made, path)
        whole = path.read_bytes()
        outcomes = set()
        for place in range(0, len(whole), 11):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xC0]) + whole[place + 1 :])
            try:
                read = read_gguf(path)
            except DataError:
                outcomes.add("refused")
                continue
            outcomes.add("read")
            assert (read.layers, read.tensors.shape) == ([1, 3], made.tensors.shape)
            assert read.tensors.isfinite().all()
        assert outcomes == {"refused", "read"}

    def test_a_missing_file_is_refused(self, tmp_path):
        with pytest.raises(DataError, match="missing"):
            read_gguf(tmp_path / "none.gguf")


@pytest.mark.skipif(
    real_llama_cpp.library() is None, reason="no llama.cpp: the xllamacpp wheel is not installed"
)
class TestLlamaCpp:
    """One distribution, computed by llama.cpp with the exported file and by `hooks.steer`.

    llama.cpp keeps keys and values in 16 bits, so the two agree to some thousandths of a nat, also
    without steering; a vector at the block before or after is off by tenths.
    """

    def compare(self, model, vectors, layers, tmp_path, strength, text):
        """Largest difference in log-probability: (unsteered, steered, steered a block later)."""
        real_llama_cpp.write_model(model.hf, tmp_path / "model.gguf")
        made = control_vector(vectors, "sad", layers=layers, dose=0.1)
        write_gguf(made, tmp_path / "sad.gguf")
        ids = model.tokenizer(text)["input_ids"]

        def ours() -> torch.Tensor:
            return model.hf(torch.tensor([ids])).logits[0, -1].detach().log_softmax(-1)

        def difference(mine: torch.Tensor, *words) -> float:
            theirs = real_llama_cpp.next_token_logits(tmp_path / "model.gguf", ids, *words)
            return float((torch.tensor(theirs).log_softmax(-1) - mine).abs().max())

        plain = difference(ours())
        dose, norms, directions = 0.1 * strength, made.norm_by_layer or {}, made.by_layer
        with hooks.steer(model, directions, layers=layers, dose=dose, residual_norm=norms):
            steered = ours()
        directions = {layer + 1: direction for layer, direction in directions.items()}
        norms = {layer + 1: norm for layer, norm in norms.items()}
        later = list(directions)
        with hooks.steer(model, directions, layers=later, dose=dose, residual_norm=norms):
            shifted = ours()
        file = (tmp_path / "sad.gguf", strength)
        return plain, difference(steered, *file), difference(shifted, *file)

    @pytest.mark.parametrize("layers", [[1], [2], [1, 2]])
    def test_steers_the_tiny_model_as_we_do(self, model, vectors, layers, tmp_path):
        plain, steered, shifted = self.compare(model, vectors, layers, tmp_path, 2.0, TEXT)
        assert plain < 0.01
        assert steered < 0.01
        assert shifted > 0.1

    @pytest.mark.embedded
    def test_steers_the_embedded_model_as_we_do(self, smollm2, tmp_path):
        text = "He opened the letter. He feels"
        plain, steered, shifted = self.compare(*smollm2, [20], tmp_path, 2.0, text)
        assert plain < 0.02
        assert steered < 0.02
        assert shifted > 0.5
