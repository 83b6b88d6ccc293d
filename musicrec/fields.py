"""Fields of requests that take what JSON means and nothing that Python makes of it."""

from typing import Any

from django.utils.functional import cached_property
from rest_framework import serializers


class NumberField(serializers.FloatField):
    """A number; true and false are none, though Python counts with them."""

    def to_internal_value(self, data: Any) -> float:
        """Return the number."""
        if isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class SharedFields:
    """A serializer whose fields are made once, and not copied for every request.

    Only where no field looks at the request: what they see as their parent is a serializer of
    nothing, which all requests share.
    """

    @cached_property
    def fields(self) -> Any:
        """The fields by name, bound."""
        cls = type(self)
        if "_shared_fields" not in cls.__dict__:
            cls._shared_fields = super(SharedFields, cls()).fields
        return cls._shared_fields
