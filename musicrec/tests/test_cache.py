import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from rest_framework.test import APIClient

from accounts import services
from musicrec.cache import RedisOrLocalCache

AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture
def alone():
    local = RedisOrLocalCache(AWAY, {"OPTIONS": {"socket_connect_timeout": 0.1}})
    yield local
    local._local.clear()


def test_without_redis_a_process_remembers_by_itself(alone):
    assert alone.get("tries", 0) == 0
    alone.set("tries", 3, 60)
    assert alone.get("tries") == 3
    assert alone.add("tries", 4, 60) is False
    assert alone.delete("tries") is True
    assert alone.add("tries", 4, 60) is True


@pytest.mark.django_db
def test_with_redis_others_see_what_one_sets():
    cache.set("seen", [1], 60)
    assert RedisOrLocalCache(cache._servers, {}).get("seen") == [1]


@pytest.mark.django_db
def test_somebody_logs_in_while_redis_is_away(settings):
    services.register(email="mia@example.com", password="a long password")
    settings.CACHES = {
        "default": settings.CACHES["default"] | {"LOCATION": AWAY},
    }
    body = {"email": "mia@example.com", "password": "a long password"}
    client = APIClient()
    answer = client.post("/_allauth/browser/v1/auth/login", body, format="json")
    assert answer.status_code == 200
    assert not isinstance(answer.wsgi_request.user, AnonymousUser)
