"""Fields that all requests share check each request by itself."""

from rest_framework import serializers

from musicrec.fields import SharedFields


class Wish(SharedFields, serializers.Serializer):
    n = serializers.IntegerField(min_value=1)
    words = serializers.ListField(child=serializers.CharField(max_length=3), default=list)


class LongerWish(Wish):
    name = serializers.CharField(required=False)


def test_one_request_leaves_nothing_for_the_next():
    first = Wish(data={"n": 2, "words": ["a"]})
    second = Wish(data={"n": 0, "words": ["long"]})
    assert first.is_valid()
    assert not second.is_valid()
    assert first.validated_data == {"n": 2, "words": ["a"]}
    assert first.errors == {}
    assert set(second.errors) == {"n", "words"}
    third = Wish(data={"n": 3})
    assert third.is_valid()
    assert third.validated_data["words"] == []


def test_the_fields_are_made_once_for_each_class():
    assert Wish(data={}).fields["n"] is Wish(data={}).fields["n"]
    assert LongerWish().fields["n"] is not Wish().fields["n"]
    assert list(LongerWish().fields) == ["n", "words", "name"]
    assert not hasattr(Wish().fields["n"].parent, "initial_data")
