"""Reads and writes that every request makes, compiled to SQL once and planned once.

Django builds and compiles a queryset anew each time it is used, and Postgres parses and plans what
it is sent; for a row found by its key both take several times as long as finding it.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from django.contrib.postgres.fields import ArrayField
from django.db import DatabaseError, connections, models, router
from django.db.backends.utils import CursorWrapper
from django.db.models.expressions import DatabaseDefault, RawSQL
from django.db.models.query import get_related_populators

Row = TypeVar("Row", bound=models.Model)

# The statements that the server keeps, by the driver's connection.
_kept: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()


class Statement:
    """SQL that Postgres parses and plans once for each connection.

    It is sent whole each time where ``DISABLE_SERVER_SIDE_CURSORS`` says that a pooler hands a
    connection from one transaction to the next, as Django itself then keeps nothing there.  A
    migration that changes the type of a column that it reads makes it fail until the connection is
    opened anew; none may, while the release before still runs (`docs/operations.md`).

    Args:
        name: begins its name on the server, for who looks into `pg_stat_activity`.
        sql: with ``%s`` for each value.
    """

    def __init__(self, name: str, sql: str) -> None:
        self._sql = sql
        first, *others = sql.split("%s")
        numbered = first + "".join(f"${place}{text}" for place, text in enumerate(others, 1))
        digest = hashlib.sha256(sql.encode()).hexdigest()
        self._name = f"{name[:40]}_{digest[:12]}"
        self._prepare = f"PREPARE {self._name} AS {numbered.replace('%%', '%')}"
        self._execute = f"EXECUTE {self._name} ({', '.join(['%s'] * len(others))})"

    def execute(self, cursor: CursorWrapper, values: Sequence[Any]) -> None:
        """Execute it; one query, and in a connection's first use one that nobody counts."""
        if not values or cursor.db.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            cursor.execute(self._sql, values)
            return
        driver = cursor.db.connection
        kept = _kept.setdefault(driver, set())
        if self._name not in kept:
            with cursor.db.wrap_database_errors, driver.cursor() as raw:
                raw.execute(self._prepare)
            kept.add(self._name)
        cursor.execute(self._execute, values)


@dataclass(frozen=True)
class Parameter:
    """A value that is given at each read."""

    name: str

    def __call__(self) -> RawSQL:
        """Return the expression to compare a field with."""
        return RawSQL("%s", (self,))


class _Compiled(NamedTuple, Generic[Row]):
    """A statement, its parameters, and what makes an instance of an answer."""

    statement: Statement
    params: tuple[Any, ...]
    read: Callable[[tuple[Any, ...]], Row]


class PreparedRow(Generic[Row]):
    """One row of a queryset, with the rows it selects along and its annotations.

    Args:
        build: returns the queryset; what differs from read to read stands in it as a called
            `Parameter`.  A value takes the place of its parameter as the database driver takes
            it, so it must have the type of the column.
    """

    def __init__(self, build: Callable[[], models.QuerySet[Row]]) -> None:
        self._build = build
        self._compiled: dict[str, _Compiled[Row]] = {}  # by the database that the router chooses

    def get(self, **values: Any) -> Row | None:
        """Return the row, None where there is none; one query.

        Raises:
            KeyError: a parameter has no value.
        """
        using = self._queryset.db  # asks the router each time
        if using not in self._compiled:
            self._compiled[using] = self._compile(using)
        statement, params, read = self._compiled[using]
        filled = [values[p.name] if isinstance(p, Parameter) else p for p in params]
        with connections[using].cursor() as cursor:
            statement.execute(cursor, filled)
            found = cursor.fetchone()
        return None if found is None else read(found)

    @cached_property
    def _queryset(self) -> models.QuerySet[Row]:
        return self._build()

    def _compile(self, using: str) -> _Compiled[Row]:
        # A query of its own, since to compile one changes it, and another thread may be at it too.
        queryset = self._build().order_by()[:1]
        model = queryset.model
        compiler = queryset.query.get_compiler(using)
        sql, params = compiler.as_sql()
        selected, klass = compiler.select, compiler.klass_info
        own = klass["select_fields"]
        names = [selected[place][0].target.attname for place in own]
        related = get_related_populators(klass, selected, using)
        beside = compiler.annotation_col_map.items()
        converters = compiler.get_converters([expression for expression, _, _ in selected])

        def read(found: tuple[Any, ...]) -> Row:
            if converters:
                (found,) = compiler.apply_converters([list(found)], converters)
            row = model.from_db(using, names, [found[place] for place in own])
            for populator in related:
                populator.populate(found, row)
            for name, place in beside:
                setattr(row, name, found[place])
            return row

        return _Compiled(Statement(f"read_{model._meta.db_table}", sql), tuple(params), read)


def write_together(
    *inserted: Sequence[models.Model],
    updated: Sequence[models.Model] = (),
    wait_for_disk: bool = True,
) -> None:
    """Write rows of several tables by one statement, so all of them or none; one query.

    As with `bulk_create` no signals are sent.  A row may refer to one of another group, since such
    references are checked at the end; where the database chooses the key of that one, it must be
    the only one of its group and come first, and is given its key.  Other keys are not read back.

    Args:
        inserted: each the rows of one model; empty ones are passed over.
        updated: rows that are there already, all of whose fields are written.
        wait_for_disk: False ends the transaction that this is part of without waiting for the
            disk: everybody sees the rows at once, but the last half second of them may be gone
            should the database itself crash (Postgres' `synchronous_commit`).

    Raises:
        IntegrityError: a row breaks a rule of its table; nothing is written.
        DatabaseError: a row to be updated is not there; the caller's transaction is to be given up.
        ValueError: a row refers to one that has no key and is not among those before it.
    """
    groups = [rows for rows in inserted if rows]
    if not groups and not updated:
        return
    using = router.db_for_write(type((updated or groups[0])[0]))
    parts, values, told = [], [], []
    for row in updated:
        change = _update(type(row), using)
        told.append(f"(SELECT count(*) FROM w{len(parts)})")  # noqa: S608 (no name but ours)
        parts.append(change.sql)
        values += [*_prepared(row, change.fields, add=False), row.pk]
    alone: dict[int, int] = {}  # the part of each row that is the only one of its group, by id()
    keyed: dict[int, models.Model] = {}  # the rows whose key others need, by their part

    def key_of(row: models.Model) -> str:
        if id(row) not in alone:
            raise ValueError(f"{row!r} has no key, and is not written before what refers to it")
        keyed[alone[id(row)]] = row
        return f"(SELECT key FROM w{alone[id(row)]})"  # noqa: S608 (no name but ours)

    for rows in groups:
        one = _insert(type(rows[0]), using)
        written = [_values(row, one, key_of) for row in rows]
        values += [value for _, given in written for value in given]
        if len(rows) == 1:
            alone[id(rows[0])] = len(parts)
        parts.append(one.head + ", ".join(holders for holders, _ in written))
    for part, row in keyed.items():
        parts[part] += f" RETURNING {_insert(type(row), using).key} AS key"
        told.append(f"(SELECT key FROM w{part})")  # noqa: S608 (no name but ours)
    if not wait_for_disk:
        # For this transaction alone, and without a statement of its own.
        told.append("set_config('synchronous_commit', 'off', true)")
    named = ", ".join(f"w{place} AS ({part})" for place, part in enumerate(parts))
    sql = f"WITH {named} SELECT {', '.join(told) or '1'}"
    with connections[using].cursor() as cursor:
        if all(len(rows) == 1 for rows in groups):
            _statement("write_together", sql).execute(cursor, values)
        else:
            cursor.execute(sql, values)
        found = cursor.fetchone()
    if 0 in found[: len(updated)]:
        raise DatabaseError("a row that was to be updated is not there")
    for row, key in zip(keyed.values(), found[len(updated) :], strict=False):
        row.pk = key
    for row in itertools.chain(*groups):
        row._state.adding, row._state.db = False, using


_statement = cache(Statement)


@dataclass(frozen=True)
class _Insert:
    """The parts of a model's INSERT: up to VALUES, a placeholder a field, and its key's column."""

    head: str
    holders: tuple[str, ...]
    fields: tuple[models.Field, ...]
    key: str

    @cached_property
    def references(self) -> tuple[models.ForeignKey, ...]:
        """The fields that refer to other rows."""
        return tuple(field for field in self.fields if isinstance(field, models.ForeignKey))


@dataclass(frozen=True)
class _Update:
    """A model's UPDATE of one row: every field, and last the key."""

    sql: str
    fields: tuple[models.Field, ...]


@cache
def _insert(model: type[models.Model], using: str) -> _Insert:
    quote = connections[using].ops.quote_name
    fields = tuple(
        field for field in _written_fields(model) if not isinstance(field, models.AutoField)
    )
    columns = ", ".join(quote(field.column) for field in fields)
    return _Insert(
        f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ",  # noqa: S608 (names of our tables)
        tuple(_placeholders(model, fields, using)),
        fields,
        quote(model._meta.pk.column),
    )


@cache
def _update(model: type[models.Model], using: str) -> _Update:
    quote = connections[using].ops.quote_name
    fields = tuple(field for field in _written_fields(model) if not field.primary_key)
    holders = _placeholders(model, fields, using)
    changes = ", ".join(
        f"{quote(field.column)} = {holder}" for field, holder in zip(fields, holders, strict=True)
    )
    table, key = quote(model._meta.db_table), quote(model._meta.pk.column)
    return _Update(f"UPDATE {table} SET {changes} WHERE {key} = %s RETURNING 1", fields)  # noqa: S608 (names of our tables)


def _values(
    row: models.Model, one: _Insert, key_of: Callable[[models.Model], str]
) -> tuple[str, list[Any]]:
    """Return the placeholders of a row to be inserted, and the values for them."""
    holders, fields = list(one.holders), list(one.fields)
    for field in one.references:
        other = field.get_cached_value(row, default=None)
        if other is not None and other.pk is None:
            holders[one.fields.index(field)] = key_of(other)
            fields.remove(field)
    return f"({', '.join(holders)})", _prepared(row, fields, add=True)


def _written_fields(model: type[models.Model]) -> list[models.Field]:
    return [field for field in model._meta.local_concrete_fields if not field.generated]


def _placeholders(
    model: type[models.Model], fields: Sequence[models.Field], using: str
) -> list[str]:
    connection = connections[using]
    compiler = models.sql.InsertQuery(model).get_compiler(using)
    return [
        field.get_placeholder(None, compiler, connection)
        if hasattr(field, "get_placeholder")
        else "%s"
        for field in fields
    ]


def _prepared(row: models.Model, fields: Sequence[models.Field], *, add: bool) -> list[Any]:
    """Return the values of a row as the driver takes them; the row takes constant defaults."""
    connection = connections[router.db_for_write(type(row))]
    values = []
    for field in fields:
        value = field.pre_save(row, add=add)
        if isinstance(value, DatabaseDefault):
            value = value.expression.value
            setattr(row, field.attname, value)
        if isinstance(value, list) and _holds_numbers(field):
            values.append(f"{{{','.join(map(str, value))}}}")
        else:
            values.append(field.get_db_prep_save(value, connection))
    return values


def _holds_numbers(field: models.Field) -> bool:
    """Return whether a field is an array of numbers, which Postgres reads from a plain text.

    The driver would write an expression, which Postgres takes for decimals and converts one by one.
    """
    return isinstance(field, ArrayField) and isinstance(
        field.base_field, models.FloatField | models.IntegerField
    )
