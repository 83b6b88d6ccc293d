"""Reads and writes that every request makes, compiled to SQL once.

Django builds and compiles a queryset anew each time it is used; for a row found by its key that
takes several times as long as Postgres takes to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Generic, TypeVar

from django.db import connections, models, router
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


def insert_together(*groups: Sequence[models.Model], wait_for_disk: bool = True) -> None:
    """Insert rows of several tables by one statement, so all of them or none; one query.

    As with `bulk_create` no signals are sent; keys that the database gives are not read back.
    A row may refer to one of another group, since such references are checked at the end.

    Args:
        groups: each the rows of one model; empty ones are passed over.
        wait_for_disk: False ends the transaction that this is part of without waiting for the
            disk: everybody sees the rows at once, but the last half second of them may be gone
            should the database itself crash (Postgres' `synchronous_commit`).

    Raises:
        IntegrityError: a row breaks a rule of its table; nothing is written.
    """
    filled = [rows for rows in groups if rows]
    if not filled:
        return
    using = router.db_for_write(type(filled[0][0]))
    connection = connections[using]
    statements, values = [], []
    for rows in filled:
        insert = _insert(type(rows[0]), using)
        statements.append(insert.head + ", ".join([insert.row] * len(rows)))
        for row in rows:
            values += [
                field.get_db_prep_save(field.pre_save(row, add=True), connection)
                for field in insert.fields
            ]
    *first, last = statements
    named = ", ".join(f"w{place} AS ({statement})" for place, statement in enumerate(first))
    if not wait_for_disk:
        # For this transaction alone, and without a statement of its own.
        last += " RETURNING set_config('synchronous_commit', 'off', true)"
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {named} {last}" if first else last, values)
    for rows in filled:
        for row in rows:
            row._state.adding, row._state.db = False, using


@dataclass(frozen=True)
class _Insert:
    """The parts of a model's INSERT: up to VALUES, and the placeholders of one row."""

    head: str
    row: str
    fields: tuple[models.Field, ...]


@cache
def _insert(model: type[models.Model], using: str) -> _Insert:
    connection = connections[using]
    compiler = models.sql.InsertQuery(model).get_compiler(using)
    fields = tuple(
        field
        for field in model._meta.local_concrete_fields
        if not field.generated and not isinstance(field, models.AutoField)
    )
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    holders = [
        field.get_placeholder(None, compiler, connection)
        if hasattr(field, "get_placeholder")
        else "%s"
        for field in fields
    ]
    return _Insert(
        f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ",  # noqa: S608 (names of our tables)
        f"({', '.join(holders)})",
        fields,
    )
