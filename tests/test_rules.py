"""Every rule of the rule book has a test that says so."""

import re
from pathlib import Path

ROOT = Path(__file__).parent


def test_every_rule_has_a_test_and_every_marker_names_a_rule():
    rules = set(re.findall(r"^\| ([A-Z][0-9]+) ", (ROOT.parent / "docs/rules.md").read_text(), re.MULTILINE))
    assert len(rules) > 50
    shown = {
        number
        for path in ROOT.rglob("test_*.py")
        for number in re.findall(r'mark\.rule\("([A-Z][0-9]+)"\)', path.read_text())
    }
    assert shown - rules == set(), "markers of rules that there are not"
    assert rules - shown == set(), "rules that no test shows"
