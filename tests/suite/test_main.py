"""The command line: its options come from the configuration, its refusals are one clear message."""

import subprocess
import sys

import pytest

from reidpapers.__main__ import main
from reidpapers.command_line import run as run_command
from reidpapers.mlsl.paper import PAPER, MLSLConfig
from reidpapers.run.config import Plan, configure
from reidpapers.run.papers import RUNS, load


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


@pytest.mark.parametrize("words, said", [
    (["--drop", "0.5"], "--drop: there is no such option; did you mean --dropout?"),
    (["--data-rot", "x"], "--data-rot: there is no such option; did you mean --data_root"),
    (["--nothing-like-it"], "--nothing-like-it: there is no such option; --help lists all"),
    (["0.5"], "'0.5' is one word too many"),
])  # fmt: skip
def test_what_is_no_option_ends_in_one_line_and_stands_for_nothing_else(words, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["run", "mlsl", *words])
    message = capsys.readouterr().err
    assert stopped.value.code == 2 and said in message and message.count("\n") == 1


@pytest.mark.parametrize("profile", ["smoke", "quick", "study", "paper"])
@pytest.mark.parametrize("name", RUNS)
def test_a_configuration_that_was_printed_is_read_as_it_was(name, profile, tmp_path, capsys):
    assert main(["run", name, "--profile", profile, "--print-config"]) == 0
    (tmp_path / "run.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    again, plan = configure(load(name).Config, run_command._read(tmp_path / "run.toml"))
    given, usual = configure(load(name).Config, {"profile": profile})
    assert again.portable() == given.portable() and plan == usual
    assert [again.but(seed=3).portable(), again.profile] == [given.but(seed=3).portable(), profile]


def test_the_command_line_goes_before_a_file(tmp_path, capsys):
    file = tmp_path / "run.toml"
    file.write_text('profile = "smoke"\ndropout = 0.25\nseeds = [4, 5]\n', encoding="utf-8")
    assert main(["run", "mlsl", "--config", str(file), "--dropout", "0.75", "--print_config"]) == 0
    shown = capsys.readouterr().out
    assert "dropout = 0.75\n" in shown and "seeds = [4, 5]\n" in shown and "iterations1 = 12\n" in shown
    for text, said in (("dropuot = 1", "did you mean dropout?"), ("a = [", "it is no TOML")):
        file.write_text(text, encoding="utf-8")
        assert main(["run", "mlsl", "--config", str(file)]) == 2
        assert said in capsys.readouterr().err


def test_what_will_be_done_is_said_before(monkeypatch, tmp_path):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    config, plan = configure(MLSLConfig, {"profile": "smoke", "committed": False, "workers": 1, "iterations1": 3})
    first = config.but(learning="feature")
    assert (
        run_command.announced([first, first], PAPER, plan) == "1 run, of which 0 are there, 1 to be computed: 3 steps"
    )
    from reidpapers.run import runs

    runs.run(first, PAPER, committed=False)
    assert run_command.announced([first], PAPER, plan) == "1 run, of which 1 are there, nothing is to be computed"
    more = run_command.announced([first, config.but(iterations2=4)], PAPER, plan)
    assert more.startswith("2 runs, of which 1 are there, 1 to be computed: 4 steps, about ") and more.endswith("here")
