import pytest
from django.utils import timezone

from accounts import services
from accounts.models import ApiToken, Listener, User

pytestmark = pytest.mark.django_db


def test_registering_creates_a_user_and_their_listener():
    listener = services.register(email="Mia@Example.com", password="a long password")
    assert listener.user.email == "mia@example.com"
    assert listener.user.check_password("a long password")
    assert listener.key == str(listener.uuid)


def test_an_email_registers_once_whatever_its_case():
    services.register(email="mia@example.com", password="a long password")
    with pytest.raises(services.EmailTaken):
        services.register(email="MIA@example.com", password="another password")
    assert User.objects.count() == Listener.objects.count() == 1


def test_a_token_is_kept_only_as_its_digest():
    user = services.register(email="mia@example.com", password="a long password").user
    now = timezone.now()
    secret = services.issue_token(user=user, name="phone", at=now)
    token = ApiToken.objects.get()
    assert secret.encode() not in bytes(token.digest)
    assert ApiToken.objects.valid_for(secret, at=now) == token
    assert ApiToken.objects.valid_for(secret, at=token.expires_at) is None
    assert ApiToken.objects.valid_for(secret + "x", at=now) is None


def test_setting_one_preference_keeps_the_others():
    listener = services.register(email="mia@example.com", password="a long password")
    services.set_preferences(listener=listener, genres=["pop", "rock"], energy=0.7)
    preferences = services.set_preferences(listener=listener, mood="happy")
    preferences.refresh_from_db()
    assert (preferences.genres, preferences.energy, preferences.mood) == (
        ["pop", "rock"],
        0.7,
        "happy",
    )
