"""A request that is sent again: where a repeat would hurt, its key makes it count once."""

import threading
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import AnsweredRequest, ApiToken, Preferences
from accounts.repeats import KEPT, forget_answers
from bandits.models import Decision
from recommendations.models import (
    Feedback,
    Hidden,
    HistoryImport,
    Listener,
    OutboxEvent,
    Recommendation,
    Track,
)
from recommendations.tests.factories import (
    make_catalogue,
    make_listener,
    make_token,
    make_user,
    service_client,
)
