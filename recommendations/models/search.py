"""Columns that make names searchable, whatever their accents and case."""

from typing import Any, Self

from django.contrib.postgres.search import SearchQuery, SearchVectorField
from django.db import models
from django.db.models import F, Func, Q, Value

from recommendations.core.search_text import MAX_TEXT, normalize, prefix_query


class NormalizedField(models.CharField):
    """The normalized text of another field, brought up to date by every save.

    `QuerySet.update` and plain SQL pass it by: who uses those writes this column too.
    """

    def __init__(self, *args: Any, source: str = "name", **kwargs: Any) -> None:
        self.source = source
        kwargs = {
            "max_length": MAX_TEXT,
            "editable": False,
            "default": "",
            "db_default": "",
        } | kwargs
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        """Add the source to what a migration says."""
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, kwargs | {"source": self.source}

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Return the source's text, normalized."""
        value = normalize(getattr(model_instance, self.source))
        setattr(model_instance, self.attname, value)
        return value


class PrefixQuery(SearchQuery):
    """Words that a text must have, each by its beginning; ``'hyper':* & 'bj':*``."""

    def __init__(self, text: str) -> None:
        super().__init__(Value(prefix_query(text)), search_type="raw")

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # type: ignore[override]
        """Return the cast, which takes the words as they are; a parser would split some."""
        sql, params = compiler.compile(self.get_source_expressions()[0])
        return f"{sql}::tsquery", params


def words_of(name: str) -> Func:
    """Return the SQL for the words of a normalized column, as a vector to search."""
    words = Func(F(name), Value(" "), function="string_to_array")
    return Func(words, function="array_to_tsvector", output_field=SearchVectorField())


class SearchQuerySet(models.QuerySet[Any]):
    """Reads of what can be searched: a column ``search_name`` and a vector ``search``."""

    def matching(self, text: str) -> Self:
        """Return the rows with words that begin with each word of `text`."""
        if prefix_query(text):
            return self.filter(search=PrefixQuery(text))
        return self.filter(search_name__startswith=normalize(text))

    def beginning(self, text: str) -> Self:
        """Return the rows whose name begins with `text`."""
        return self.filter(search_name__startswith=normalize(text))

    def best_known_first(self) -> Self:
        """Order by standing; among equals, the newest first."""
        return self.order_by("-standing", "-pk")


def best_matches(rows: SearchQuerySet, text: str, *, limit: int) -> list[Any]:
    """Return what a person who typed `text` most likely means, best first; two queries at most.

    Names that begin with it come before names that hold its words elsewhere.
    """
    if not normalize(text):
        return []
    found = list(rows.beginning(text).best_known_first()[:limit])
    if len(found) < limit:
        others = rows.matching(text).exclude(Q(search_name__startswith=normalize(text)))
        found += others.best_known_first()[: limit - len(found)]
    return found
