"""Reads that every request makes, compiled to SQL once.

Django builds and compiles a queryset anew each time it is used; for a row found by its key that
takes several times as long as Postgres takes to answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from django.db import connections, models
from django.db.models.expressions import RawSQL
from django.db.models.query import get_related_populators

Row = TypeVar("Row", bound=models.Model)


@dataclass(frozen=True)
class Parameter:
    """A value that is given at each read."""

    name: str

    def __call__(self) -> RawSQL:
        """Return the expression to compare a field with."""
        return RawSQL("%s", (self,))


class PreparedRow(Generic[Row]):
    """One row of a queryset, with the rows it selects along.

    Args:
        build: returns the queryset; what differs from read to read stands in it as a called
            `Parameter`.  A value takes the place of its parameter as the database driver takes
            it, so it must have the type of the column.
    """

    def __init__(self, build: Callable[[], models.QuerySet[Row]]) -> None:
        self._build = build

    def get(self, **values: Any) -> Row | None:
        """Return the row, None where there is none; one query.

        Raises:
            KeyError: a parameter has no value.
        """
        sql, params, read = self._compiled
        filled = [values[p.name] if isinstance(p, Parameter) else p for p in params]
        with connections[self._queryset.db].cursor() as cursor:
            cursor.execute(sql, filled)
            found = cursor.fetchone()
        return None if found is None else read(found)

    @cached_property
    def _queryset(self) -> models.QuerySet[Row]:
        return self._build().order_by()[:1]

    @cached_property
    def _compiled(self) -> tuple[str, tuple[Any, ...], Callable[[tuple[Any, ...]], Row]]:
        """The statement, its parameters, and what makes instances of an answer."""
        using, model = self._queryset.db, self._queryset.model
        compiler = self._queryset.query.get_compiler(using)
        sql, params = compiler.as_sql()
        selected, klass = compiler.select, compiler.klass_info
        own = klass["select_fields"]
        names = [selected[place][0].target.attname for place in own]
        related = get_related_populators(klass, selected, using)
        converters = compiler.get_converters([expression for expression, _, _ in selected])

        def read(found: tuple[Any, ...]) -> Row:
            if converters:
                (found,) = compiler.apply_converters([list(found)], converters)
            row = model.from_db(using, names, [found[place] for place in own])
            for populator in related:
                populator.populate(found, row)
            return row

        return sql, tuple(params), read
