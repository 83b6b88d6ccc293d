"""A JSON parser that bounds what a body may make the server do."""

import json
import math
import re
from typing import Any, NoReturn

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_DIGITS = 30

# A text or a bracket.  A text that never ends counts too, to the end of the body, and nothing is
# looked at twice: with a search per quote, one megabyte of them would take hours.
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


class BoundedJSONParser(JSONParser):
    """JSON of at most 1 MiB and 32 levels, without NaN, NUL or lone surrogates.

    Raises:
        ParseError: the body breaks a bound or is no JSON; answered with 400.
    """

    def parse(self, stream, media_type=None, parser_context=None) -> Any:
        """Return the parsed body."""
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise ParseError(f"The body is larger than {MAX_BYTES} bytes.")
        try:
            text = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ParseError(
                f"The body is not UTF-8: {error.reason} at byte {error.start}."
            ) from None
        _check_depth(text)
        try:
            value = json.loads(
                text, parse_int=_parse_int, parse_float=_parse_float, parse_constant=_refuse
            )
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}.") from None
        _check_text(value)
        return value


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the recursive parser meets it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _TEXT_OR_BRACKET.finditer(text):
        sign = match[0][0]
        if sign == '"':
            continue
        depth += 1 if sign in "[{" else -1
        if depth > MAX_DEPTH:
            raise ParseError(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _parse_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"a number out of range, {digits[:MAX_DIGITS]}")
    return number


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def _check_text(value: Any) -> None:
    """Refuse text that Postgres cannot hold: NUL and lone surrogates."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ParseError("A text holds NUL or a lone surrogate.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in value:
            _check_text(item)
