"""The two models of a run are loaded when they are wanted, and once."""

import subprocess
import sys

from probes.config import parse_config
from probes.runs.models import Models


def config(subject, writer=None):
    values = {"model": {"name": str(subject)}, "output_dir": "out"}
    return parse_config(values | ({"writer": {"name": str(writer)}} if writer else {}))


def test_a_model_is_loaded_once(tiny_folder):
    models = Models(config(tiny_folder("gpt2")))
    assert models.subject() is models.subject()


def test_the_subject_writes_where_no_writer_is_named(tiny_folder):
    models = Models(config(tiny_folder("gpt2")))
    assert models.writer() is models.subject()


def test_a_writer_of_its_own_makes_room_for_the_subject(tiny_folder):
    models = Models(config(tiny_folder("gpt2"), tiny_folder("llama")))
    writer = models.writer()
    assert writer is models.writer()
    assert writer.fingerprint != models.subject().fingerprint
    assert models.writer() is not writer  # the first was let go when the subject came


def test_importing_it_imports_no_torch():
    code = "import sys, probes.runs.models; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
