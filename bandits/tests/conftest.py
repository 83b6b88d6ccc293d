import pytest
from django.db import connection

from bandits import live, services
from bandits.models import Bandit, Decision
from bandits.tests.factories import ARMS, NOON


@pytest.fixture(autouse=True)
def fresh_policies():
    """The policies held by this process are of a database that the last test rolled back."""
    live.forget()
    yield
    live.forget()


@pytest.fixture
def committed_bandit(django_db_setup, django_db_blocker):
    """A bandit that other connections see too, removed afterwards.

    A transactional test would flush the database, and with it what migrations wrote.
    """
    with django_db_blocker.unblock():
        bandit = Bandit.objects.create(key="committed")
        for arm in ARMS:
            services.add_arm(bandit, key=arm, at=NOON)
        yield bandit
        Decision.objects.filter(bandit=bandit).delete()
        bandit.delete()
        Bandit.history.filter(key="committed").delete()
        connection.close()
