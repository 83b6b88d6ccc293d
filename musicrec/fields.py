"""Fields of requests that take what JSON means and nothing that Python makes of it."""

from typing import Any

from rest_framework import serializers


class NumberField(serializers.FloatField):
    """A number; true and false are none, though Python counts with them."""

    def to_internal_value(self, data: Any) -> float:
        """Return the number."""
        if isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)
