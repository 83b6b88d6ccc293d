"""Pages of long lists: `?cursor=&limit=`, the same for every list of the API."""

import base64
import binascii
import json
from typing import Any
from urllib.parse import urlencode

from django.core import exceptions
from django.db.models import Q, QuerySet
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

MAX_LIMIT = 100
MAX_CURSOR = 200
QUERY: list[dict[str, Any]] = [
    {
        "name": "cursor",
        "type": {"type": "string", "maxLength": MAX_CURSOR},
        "description": "from `next` or `previous` of another page",
    },
    {
        "name": "limit",
        "type": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 20},
        "description": "how many on a page",
    },
]
"""How a page is asked for, as the API's description says it."""

_LARGEST = 2**63 - 1


class KeysetPages:
    """Pages of a queryset in a fixed descending order of whole numbers, the last one unique.

    A page costs the same wherever it is, and rows that come or go meanwhile neither repeat nor
    skip any other.  The answer has `next`, `previous` (addresses, or null) and `results`.

    Attributes:
        fields: that the rows are ordered by, each descending, never null.
        limit: rows on a page where the request does not say.
    """

    def __init__(self, *fields: str, limit: int = 20) -> None:
        self.fields = fields
        self.limit = limit

    def page(self, request: Request, rows: QuerySet[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return the rows of the page asked for, and the addresses of those beside it.

        Raises:
            ValidationError: `limit` or `cursor` cannot be read.
        """
        limit = self._limit(request)
        backwards, place = self._cursor(request)
        ordered = rows.order_by(*(f"{'' if backwards else '-'}{name}" for name in self.fields))
        if place is not None:
            ordered = ordered.filter(self._beyond(place, backwards))
        found = list(ordered[: limit + 1])
        more = len(found) > limit
        found = found[:limit]
        if backwards:
            found.reverse()
        has_next = bool(found) and (more or backwards)
        has_previous = bool(found) and (more if backwards else place is not None)
        return found, {
            "next": self._address(request, "n", found[-1]) if has_next else None,
            "previous": self._address(request, "p", found[0]) if has_previous else None,
        }

    def answer(self, request: Request, rows: QuerySet[Any], render: Any) -> Response:
        """Return the response for a page, each row rendered by a function."""
        found, links = self.page(request, rows)
        return Response(links | {"results": [render(row) for row in found]})

    def _beyond(self, place: list[int], backwards: bool) -> Q:
        """Return the rows after a place in the order, or before it."""
        side = "gt" if backwards else "lt"
        beyond, equal = Q(), Q()
        for name, value in zip(self.fields, place, strict=True):
            beyond |= equal & Q(**{f"{name}__{side}": value})
            equal &= Q(**{name: value})
        # The first part alone lets an index find the beginning.
        return Q(**{f"{self.fields[0]}__{side}e": place[0]}) & beyond

    def _limit(self, request: Request) -> int:
        text = request.query_params.get("limit", str(self.limit))
        is_short = text.isascii() and text.isdigit() and len(text) < 10
        limit = int(text) if is_short else 0
        if not 1 <= limit <= MAX_LIMIT:
            raise ValidationError({"limit": f"This is a whole number from 1 to {MAX_LIMIT}."})
        return limit

    def _cursor(self, request: Request) -> tuple[bool, list[int] | None]:
        text = request.query_params.get("cursor", "")
        if not text:
            return False, None
        try:
            direction, *place = json.loads(base64.urlsafe_b64decode(text[:MAX_CURSOR].encode()))
        except (ValueError, TypeError, RecursionError, binascii.Error):
            raise self._unreadable() from None
        whole = all(type(value) is int and abs(value) <= _LARGEST for value in place)
        if direction not in ("n", "p") or len(place) != len(self.fields) or not whole:
            raise self._unreadable()
        return direction == "p", place

    def _unreadable(self) -> ValidationError:
        return ValidationError({"cursor": "This is no cursor that an earlier page gave."})

    def _address(self, request: Request, direction: str, row: Any) -> str:
        place = json.dumps([direction, *(getattr(row, name) for name in self.fields)])
        query = request.query_params.dict() | {
            "cursor": base64.urlsafe_b64encode(place.encode()).decode()
        }
        return f"{request.build_absolute_uri(request.path)}?{urlencode(query)}"


class Pages(CursorPagination):
    """Pages by cursor, so that rows that come in meanwhile shift nothing.

    A view names the order by `ordering`: unique, or nearly so, and indexed.
    """

    page_size = 20
    max_page_size = MAX_LIMIT
    page_size_query_param = "limit"
    cursor_query_param = "cursor"

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return what a page is asked for by."""
        return [
            {
                "name": one["name"],
                "in": "query",
                "required": False,
                "description": one["description"],
                "schema": one["type"],
            }
            for one in QUERY
        ]

    def paginate_queryset(
        self, queryset: QuerySet[Any], request: Request, view: Any = None
    ) -> list[Any]:
        """Return one page; a cursor that we did not make is answered with 404."""
        self.ordering = view.ordering
        try:
            return super().paginate_queryset(queryset, request, view)
        except (exceptions.ValidationError, ValueError, OverflowError) as error:
            raise NotFound(self.invalid_cursor_message) from error
