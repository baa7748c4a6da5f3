"""A run ends with its claims on one screen; every number is a flag away."""

import json

from probes.experiments import read_words
from probes.run import main
from probes.storage import read_json


def test_a_run_ends_with_its_claims_and_where_the_rest_is(finished, capsys):
    assert main([finished.config, "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) <= 25
    [(name, short)] = read_json(finished.folder / "analysis" / "steering.json")["claims"]
    assert name in printed
    assert short.split(";")[0].split("[")[0] in " ".join(printed.split())
    assert str(finished.folder / "report.html") in "".join(printed.split())
    assert "--full" in printed
    assert "seconds: analyze" not in printed


def test_every_number_is_printed_when_asked_for(finished, capsys):
    assert main([finished.config, "--quiet", "--full"]) == 0
    at_the_end = capsys.readouterr().out
    main(["status", finished.config, "--quiet", "--full"])
    afterwards = capsys.readouterr().out
    for printed in (at_the_end, afterwards):
        assert "what the experiments found" in printed
        assert "seconds: analyze" in printed
    assert "what the experiments found" not in _printed(["status", finished.config], capsys)


def test_an_experiment_that_failed_is_named_among_the_claims(finished, capsys):
    kept = finished.folder / "stages" / "validate.json"
    before = kept.read_bytes()
    try:
        record = json.loads(before)
        record["counts"]["failed"] = {"clusters": "no memory"}
        kept.write_text(json.dumps(record))
        assert "FAILED: clusters" in _printed([finished.config], capsys)
    finally:
        kept.write_bytes(before)


def test_a_file_of_an_earlier_version_has_no_claims():
    content = {"rows": [], "paragraph": "", "limits": []}
    assert read_words("steering", content).claims == ()


def _printed(words, capsys):
    main([*words, "--quiet"])
    return capsys.readouterr().out
