"""The written-out form of an answer, held to its declaration."""

import pytest
from django.utils import timezone
from rest_framework.renderers import JSONRenderer

from recommendations.serializers import AnswerSerializer, answer_data
from recommendations.services.recommend import recommend
from recommendations.services.wishes import Wishes
from recommendations.tests import factories

pytestmark = pytest.mark.django_db


def test_an_answer_is_written_as_its_fields_declare():
    listener = factories.make_listener()
    factories.make_track()
    answer = recommend(listener=listener, wishes=Wishes(), at=timezone.now())
    assert answer.items
    written = answer_data(answer)
    declared = AnswerSerializer().to_representation(written)
    assert JSONRenderer().render(written) == JSONRenderer().render(declared)
