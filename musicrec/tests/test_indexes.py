"""What listening writes keeps no index for nothing."""

import pytest
from django.db import connection

from bandits.models import Decision
from experiments.models import AppliedEvent, Exposure
from recommendations.models import Feedback, OutboxEvent, PlayCount, Recommendation

_BEGINS_ANOTHER = """
SELECT a.indexrelid::regclass::text, b.indexrelid::regclass::text
FROM pg_index a
JOIN pg_class c ON c.oid = a.indexrelid AND c.relam = (SELECT oid FROM pg_am WHERE amname = 'btree')
JOIN pg_index b ON b.indrelid = a.indrelid AND b.indexrelid <> a.indexrelid
WHERE a.indrelid = ANY(%s::regclass[]) AND NOT a.indisunique
  AND a.indpred IS NULL AND b.indpred IS NULL
  AND b.indkey::text || ' ' LIKE a.indkey::text || ' %%'
"""


@pytest.mark.django_db
def test_no_index_is_the_beginning_of_another():
    written = (Recommendation, Feedback, PlayCount, OutboxEvent, Decision, Exposure, AppliedEvent)
    with connection.cursor() as cursor:
        cursor.execute(_BEGINS_ANOTHER, [[model._meta.db_table for model in written]])
        assert cursor.fetchall() == []
