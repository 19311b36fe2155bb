"""The rules in docs/alerts.md are rules, and every field that there is stands in it."""

import re
from pathlib import Path

import pytest

from tapeline.alerts.fields import BAR_FIELDS, FIELDS
from tapeline.alerts.parsing import FUNCTIONS, parse
from tapeline.alerts.problems import RuleError
from tapeline.alerts.schedule import Schedule
from tapeline.alerts.syntax import UNITS

TEXT = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
LANGUAGE = TEXT[TEXT.index("## The language") : TEXT.index("## Targets")]


def rules() -> list[str]:
    """Every line of a fence of rules, and every one in the first column of the table of rules."""
    fences = re.findall(r"```rule\n(.*?)```", TEXT, re.DOTALL)
    table = LANGUAGE[LANGUAGE.index("| a rule |") :].split("\n\n")[0]
    cells = [row.split(" | ")[0] for row in table.splitlines()[2:]]
    return [line for fence in fences for line in fence.splitlines()] + [
        r for cell in cells for r in re.findall(r"`([^`]+)`", cell)
    ]


@pytest.mark.parametrize("rule", rules())
def test_a_rule_in_the_document_is_right(rule):
    assert str(parse(rule))


def test_there_are_rules_in_the_document():
    assert len(rules()) > 20


@pytest.mark.parametrize("name", [*FIELDS, *BAR_FIELDS, *FUNCTIONS, "abs"])
def test_every_name_stands_in_the_document(name):
    assert re.search(rf"[`\s(]{name}[`\s(]", LANGUAGE)


def test_every_unit_of_time_stands_in_the_document():
    assert f"`{' '.join(UNITS)}`" in LANGUAGE


def test_the_mistake_is_as_shown():
    with pytest.raises(RuleError) as e:
        parse("binance:BTC-USDT mdi > 5")
    assert f"```\n{e.value}\n```" in LANGUAGE


def test_the_schedules_are_right():
    line = next(line for line in LANGUAGE.splitlines() if "**Schedule**" in line)
    for text in re.findall(r"`([^`]+)`", line):
        assert not Schedule.of(text).always
