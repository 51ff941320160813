"""Arguments that are missing, or that nothing would come of: one sentence each, that says what to write."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.cli import main
from deployments.exit_codes import INTERRUPTED, TERMINATED, TROUBLE

REPLAYED = "SETTINGS.yaml: name the settings file of the feed, too, after the delivery"
NO_ID = "ID: name one delivery, or list those that the ledger does not know with --missing alone"
NO_DELIVERY = "ID: name a delivery after show; px-import deliveries lists them"
NO_CALLBACK = "ID: name a callback after resend; px-import callbacks list shows them"
NOT_NOTIFIED = "--notify: automations send the messages; add --automations, or leave --notify out"
NOT_DEPLOYED = "--deploy: name the settings files of the feeds to deploy, before any --automations"
ONE = "show tells of the one delivery that is named; leave"


@pytest.mark.rule("S9")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("apply", "name a settings file, or give --automations"),
        ("apply users.yaml --notify slack-webhook/ops", NOT_NOTIFIED),
        ("apply --notify slack-webhook/ops", NOT_NOTIFIED),
        ("apply --automations --deploy", NOT_DEPLOYED),
        ("apply --deploy", NOT_DEPLOYED),
        ("deliveries show", NO_DELIVERY),
        ("deliveries show users.yaml", NO_DELIVERY),
        ("deliveries show 8e2b users.yaml --feed users", f"--feed: {ONE} --feed out"),
        ("deliveries show 8e2b --last 3", f"--last: {ONE} --last out"),
        ("callbacks resend users.yaml", NO_CALLBACK),
        ("replay 20260302", REPLAYED),
        ("replay 8e2bff --even-if-newer", REPLAYED),
        ("replay users.yaml", NO_ID),
        ("replay settings", NO_ID),
    ],
)
def test_what_is_missing_or_has_no_effect_is_said(arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("settings").touch()
    assert main(arguments.split()) == TROUBLE
    assert capsys.readouterr() == ("", f"px-import: {sentence}.\n")


@pytest.mark.parametrize("command", ["deliveries", "callbacks list"])
def test_the_little_server_that_a_command_starts_says_nothing(command, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90"}
    program = [sys.executable, "-m", "deployments.cli", *command.split()]
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("yet.\n")


def test_the_help_of_run_has_its_exit_codes(capsys):
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"nothing waited, {TROUBLE} if S3, the store or settings failed" in told
    assert f"{INTERRUPTED} if Ctrl-C and {TERMINATED} if SIGTERM stopped it" in told


@pytest.mark.parametrize("command", ["run", "doctor", "serve", "deliveries", "callbacks list"])
def test_the_help_says_where_a_feed_may_be_named_several_times(command, capsys):
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    assert "may be given several times" in " ".join(capsys.readouterr().out.split())
