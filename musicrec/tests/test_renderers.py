"""Answers are the JSON that DRF writes."""

import json
import math
import uuid
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import NamedTuple

import pytest
from django.utils.translation import gettext_lazy
from rest_framework import renderers

from musicrec.renderers import JSONRenderer


class Point(NamedTuple):
    x: int
    y: float


@pytest.mark.parametrize(
    "data",
    [
        {"name": 'Zoë "☃" \u2028 \\ \x00', "n": 3, "share": 0.1, "none": None, "yes": True},
        [1e300, -0.0, 2**63 - 1, 1e-7],
        datetime(2026, 11, 24, 3, 4, 5, 678900, tzinfo=UTC),
        datetime(2026, 11, 24, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
        [date(2026, 11, 24), time(3, 4, 5), timedelta(days=1)],
        [uuid.UUID(int=7), Decimal("1.50"), gettext_lazy("password"), Point(1, 0.5), b"bytes"],
        OrderedDict(b=1, a={"c": (1, 2)}),
        {1: "a key that is a number"},
        2**64,
        "",
        [],
    ],
)
def test_an_answer_says_what_drf_would_say(data):
    expected = json.loads(renderers.JSONRenderer().render(data))
    assert json.loads(JSONRenderer().render(data)) == expected


def test_what_is_walked_through_once_is_a_list():
    assert JSONRenderer().render({"a": (n for n in (1, 2))}) == b'{"a":[1,2]}'


def test_nothing_is_no_bytes():
    assert JSONRenderer().render(None) == b""


def test_indentation_is_there_for_who_asks():
    asked = JSONRenderer().render({"a": 1}, "application/json; indent=2")
    assert asked == b'{\n  "a": 1\n}'


def test_a_number_that_json_cannot_hold_is_null():
    assert JSONRenderer().render([math.nan, math.inf]) == b"[null,null]"


def test_what_nobody_can_write_is_an_error():
    with pytest.raises(TypeError):
        JSONRenderer().render(object())
