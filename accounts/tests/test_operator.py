"""The operator that `make run` creates gets in where staff need a second factor."""

import re

import pytest
from django.test import Client

from accounts.models import User
from accounts.tests.test_headless import EMAIL, HTML, PASSWORD, another_code, code_of


@pytest.mark.usefixtures("committed")
def test_the_operator_sets_up_a_second_factor_at_the_first_login_and_is_in(settings):
    settings.STAFF_MFA = True
    User.objects.create_superuser(EMAIL, PASSWORD)
    page = Client(headers=HTML)
    page.post("/account/login", {"login": EMAIL, "password": PASSWORD})
    led = page.get("/admin/")
    assert led.headers["Location"].startswith("/account/second-factor/totp/activate/")
    asked = page.get(led.headers["Location"])  # who they are comes first
    confirm = asked.headers["Location"]
    assert confirm.startswith("/account/confirm")
    form = page.post(confirm, {"password": PASSWORD, "next": led.headers["Location"]}, follow=True)
    html = form.content.decode()
    assert "data:image/svg+xml" in html
    secret = re.search(r'id="authenticator_secret"[^>]*value="(\w+)"', html)[1]
    done = page.post("/account/second-factor/totp/activate/", {"code": code_of(secret)})
    assert done.headers["Location"] == "/account/second-factor/recovery-codes/"
    assert page.get("/account/second-factor/recovery-codes/").status_code == 200
    assert page.get("/admin/").status_code == 200
    assert page.get("/analytics/ab-testing").status_code == 200
    again = Client(headers=HTML)
    answer = again.post("/account/login?next=/admin/", {"login": EMAIL, "password": PASSWORD})
    assert answer.headers["Location"].startswith("/account/second-factor/authenticate")
    assert again.get("/admin/").status_code == 302
    answer = again.post("/account/second-factor/authenticate/", {"code": another_code(secret)})
    assert again.get("/admin/").status_code == 200
