"""A JSON parser that bounds what a body may make the server do."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from django.http import HttpRequest
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

MAX_BYTES = 1024 * 1024
MAX_BULK_BYTES = 10 * MAX_BYTES
MAX_LINES = 10_000
MAX_DEPTH = 32
MAX_DIGITS = 30

# A text or a bracket.  A text that never ends counts too, to the end of the body, and nothing is
# looked at twice: with a search per quote, one megabyte of them would take hours.
_TEXT_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


class TooLarge(APIException):
    """A body over its limit."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"
    default_detail = "The body is too large."


class BoundedJSONParser(JSONParser):
    """JSON of at most 1 MiB and 32 levels, without NaN, NUL or lone surrogates.

    Raises:
        ParseError: the body breaks a bound or is no JSON; answered with 400.
        TooLarge: it is longer than `max_bytes`; answered with 413.
    """

    max_bytes = MAX_BYTES

    def parse(self, stream, media_type=None, parser_context=None) -> Any:
        """Return the parsed body."""
        return parse_json(self.read(stream))

    def read(self, stream) -> str:
        """Return the body as text."""
        body = stream.read(self.max_bytes + 1)
        if len(body) > self.max_bytes:
            raise TooLarge(f"The body is larger than {self.max_bytes} bytes.")
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ParseError(
                f"The body is not UTF-8: {error.reason} at byte {error.start}."
            ) from None


class TakesBulk:
    """A view whose body may have `MAX_BULK_BYTES`.

    Django lets a request's body be read into memory up to one limit for all views; such a view
    reads it before, up to its own.
    """

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Read the body, unless it is too long; then Django refuses it when it is asked for."""
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length.isdigit() and int(length) <= MAX_BULK_BYTES and not hasattr(request, "_body"):
            request._body = request.read()
        return super().initialize_request(request, *args, **kwargs)  # type: ignore[misc]


class BulkJSONParser(BoundedJSONParser):
    """The same of at most 10 MiB, for bulk."""

    max_bytes = MAX_BULK_BYTES


class BulkJSONLinesParser(BulkJSONParser):
    """JSON Lines: a value on each line. A line that is no JSON becomes a `BadLine`."""

    media_type = "application/x-ndjson"

    def parse(self, stream, media_type=None, parser_context=None) -> list[Any]:
        """Return the value of each line that is not blank."""
        lines = [line for line in self.read(stream).split("\n") if line.strip()]
        if len(lines) > MAX_LINES:
            raise ParseError(f"There are {len(lines)} lines, {MAX_LINES} are allowed.")
        return [_parse_line(line) for line in lines]


@dataclass(frozen=True)
class BadLine:
    """A line that could not be read, and why."""

    reason: str


def _parse_line(line: str) -> Any:
    try:
        return parse_json(line)
    except ParseError as error:
        return BadLine(str(error.detail))


def parse_json(text: str) -> Any:
    """Return the value that a text stands for.

    Raises:
        ParseError: it breaks a bound or is no JSON.
    """
    _check_depth(text)
    try:
        value = json.loads(
            text, parse_int=_parse_int, parse_float=_parse_float, parse_constant=_refuse
        )
    except ValueError as error:
        raise ParseError(f"The body is not JSON: {error}.") from None
    if "\\u" in text:  # only an escape brings in what a decoded text cannot hold
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
