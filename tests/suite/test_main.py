"""The command line: its options come from the configuration, its refusals are one clear message."""

import subprocess
import sys

import pytest

from reidpapers.__main__ import main
from reidpapers.mlsl.paper import MLSLConfig
from reidpapers.run.config import Plan


def test_help_lists_every_option_with_range_and_default(capsys):
    with pytest.raises(SystemExit):
        main(["run", "mlsl", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name in {*MLSLConfig.model_fields, *Plan.model_fields} - {"seed"}:
        assert f"--{name} " in text
    assert "a number >= 0 and < 1; default 0.5" in text


@pytest.mark.parametrize(
    "option", [["--dropout", "1.5"], ["--distance", "manhatan"], ["--pairs", "7"], ["--labels", "x"], ["--seeds", "-1"]]
)
def test_a_wrong_value_is_refused_by_name(option, capsys):
    assert main(["run", "mlsl", *option]) == 2
    message = capsys.readouterr().err
    assert option[0].removeprefix("--") in message and option[1] in message and "allowed" in message


def test_run_prints_a_table_and_verify_finds_the_records_fresh(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    common = ["run", "mlsl", "--profile", "smoke", "--workers", "1", "--committed", "false"]
    assert main([*common, "--seeds", "0", "1"]) == 0
    printed = capsys.readouterr().out
    assert "given configuration" in printed and "FL continued" in printed
    assert len(list((tmp_path / "records" / "mlsl").glob("*.json"))) == 6
    command = [sys.executable, "-m", "reidlib", "verify", "--own", "--replay", "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "6 records: 6 fresh, 0 fresh by probe, 0 stale, 0 broken" in done.stdout


def test_data_list_names_what_is_there(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    assert main(["data", "list"]) == 0
    printed = capsys.readouterr().out
    assert "rendered:" in printed and "digits:" in printed
