import pytest

from bandits import live, services
from bandits.models import Bandit
from bandits.tests.factories import ARMS, NOON


@pytest.fixture(autouse=True)
def fresh_policies():
    """The policies held by this process are of a database that the last test rolled back."""
    live.forget()
    yield
    live.forget()


@pytest.fixture
def committed_bandit(committed):
    """A bandit that other connections see too."""
    bandit = Bandit.objects.create(key="committed")
    for arm in ARMS:
        services.add_arm(bandit, key=arm, at=NOON)
    return bandit
