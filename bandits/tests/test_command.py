"""``manage.py bandit simulate`` on worlds whose best arms are known."""

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from bandits.models import Arm, Decision

pytestmark = pytest.mark.django_db


def simulate(*arguments):
    out = StringIO()
    call_command("bandit", "simulate", *arguments, stdout=out)
    return out.getvalue()


def regrets(text):
    found = re.findall(r"^(\w+) +([\d.]+) ±", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize("world", ["linear", "logistic", "drifting"])
def test_the_bandit_regrets_less_than_chance_in_each_world(world):
    found = regrets(simulate("--world", world, "--rounds", "400", "--seeds", "2"))
    assert found["bandit"] < 0.8 * found["uniform"]


def test_trying_settings_writes_nothing():
    before = list(Arm.objects.values())
    simulate("--rounds", "50", "--seeds", "1", "--floor", "0.1", "--exploration", "0.5")
    assert list(Arm.objects.values()) == before
    assert not Decision.objects.exists()


def test_what_cannot_be_tried_is_said():
    with pytest.raises(CommandError, match="must be at least 1"):
        simulate("--rounds", "0")
    with pytest.raises(CommandError, match="prior_precision"):
        simulate("--rounds", "5", "--prior-precision", "-1")
