"""The written-out form of an answer, held to its declaration."""

import pytest
from django.utils import timezone
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer

from recommendations.serializers import AnswerSerializer
from recommendations.services.recommend import Wishes, recommend
from recommendations.tests import factories

pytestmark = pytest.mark.django_db


def test_an_answer_is_written_as_its_fields_declare():
    listener = factories.make_listener()
    factories.make_track()
    answer = recommend(listener=listener, wishes=Wishes(), at=timezone.now())
    declared = serializers.Serializer.to_representation(AnswerSerializer(), answer)
    assert answer.items
    written = JSONRenderer().render(AnswerSerializer(answer).data)
    assert written == JSONRenderer().render(declared)
