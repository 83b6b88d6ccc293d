import re
from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from rest_framework.test import APIClient

from bandits import services
from bandits.models import Archive, Arm
from bandits.serializers import BanditsSerializer
from bandits.tests.factories import ARMS, make_bandit, make_decision
from bandits.tests.test_reports import LATER, live_through

pytestmark = pytest.mark.django_db
URL = "/analytics/contextual-bandits"


@pytest.fixture
def staff(django_user_model):
    return django_user_model.objects.create_superuser("staff@example.com", "a password 123")


@pytest.fixture
def browser(client, staff):
    client.force_login(staff)
    return client


@pytest.fixture
def api(staff):
    api = APIClient()
    api.force_authenticate(staff)
    return api


class TestWhoMay:
    def test_staff_only(self, django_user_model):
        api = APIClient()
        assert api.get(URL).status_code in (401, 403)
        api.force_authenticate(django_user_model.objects.create_user("l@example.com", "pw 12345 x"))
        assert api.get(URL).status_code == 403

    def test_a_browser_that_is_not_logged_in_is_sent_to_the_login(self, client):
        answer = client.get(URL, headers={"accept": "text/html"})
        assert answer.status_code == 302
        assert answer.url.endswith(f"?next={URL}")


def test_without_an_accept_header_the_answer_is_json(api):
    answer = api.get(URL)
    assert answer["Content-Type"] == "application/json"
    (bandit,) = answer.json()["bandits"]
    assert bandit["decisions"] == 0


def test_the_json_is_what_the_schema_says(api):
    live_through(60)
    services.take_snapshot(make_bandit(), at=LATER)
    data = api.get(URL).json()
    assert BanditsSerializer(data).data == data

    def keys(serializer, value, path=""):
        assert set(value) <= set(serializer.fields), path
        for name, field in serializer.fields.items():
            if name in value and hasattr(field, "fields") and value[name]:
                keys(field, value[name], f"{path}/{name}")

    keys(BanditsSerializer().fields["bandits"].child, data["bandits"][0])


class TestPage:
    def page(self, browser):
        answer = browser.get(URL, headers={"accept": "text/html,*/*;q=0.8"})
        assert answer.status_code == 200
        return answer.content.decode()

    def test_without_decisions_it_says_so_and_draws_nothing(self, browser):
        text = self.page(browser)
        assert "No decision yet" in text
        assert "<figure" not in text
        for arm in ARMS:
            assert arm in text

    def test_with_decisions_it_draws_them_without_inline_style_or_script(self, browser):
        make_bandit(floor=0.15)
        live_through(400, n_listeners=40)
        bandit = make_bandit()
        for hours in (0, 1, 2):
            services.take_snapshot(bandit, at=LATER + timedelta(hours=hours))
        text = self.page(browser)
        content = text[text.index("<article") : text.index("</article>")]
        assert "style=" not in content
        assert "<script" not in content
        assert content.count("<figure") == 8
        assert "neural_cf" in content
        assert "at any time up to 20,000 decisions" in content
        assert not re.search(r"\b(nan|inf|None)\b", content)

    def test_it_costs_few_queries_however_many_decisions(
        self, browser, django_assert_max_num_queries
    ):
        live_through(100)
        services.take_snapshot(make_bandit(), at=LATER)
        with django_assert_max_num_queries(10):  # six of them sign the browser in
            self.page(browser)


class TestAdmin:
    def act(self, browser, model, action, pk, **more):
        url = reverse(f"admin:bandits_{model}_changelist")
        data = {"action": action, "_selected_action": pk, **more}
        return browser.post(url, data, follow=True)

    def arm(self, key):
        return Arm.objects.get(key=key)

    def test_pause_resume_pin_and_the_rule_that_stands_in_the_way(self, browser):
        arm = self.arm("trending")
        self.act(browser, "arm", "pause", arm.pk)
        assert self.arm("trending").status == "paused"
        answer = self.act(browser, "arm", "pin", arm.pk)
        assert "only an active arm pins" in answer.content.decode()
        self.act(browser, "arm", "resume", arm.pk)
        self.act(browser, "arm", "pin", arm.pk)
        assert make_bandit().pinned_arm == arm
        self.act(browser, "bandit", "unpin", make_bandit().pk)
        assert make_bandit().pinned_arm is None

    def test_reset_asks_first_and_can_be_restored(self, browser):
        bandit = make_bandit()
        answer = self.act(browser, "bandit", "reset", bandit.pk)
        assert "can be restored" in answer.content.decode()
        assert not Archive.objects.exists()
        self.act(browser, "bandit", "reset", bandit.pk, confirmed="yes", reason="because")
        archive = Archive.objects.get()
        assert archive.reason == "because"
        self.act(browser, "archive", "restore", archive.pk)
        archive.refresh_from_db()
        assert archive.restored_at is not None

    def test_settings_are_changed_with_history(self, browser, staff):
        bandit = make_bandit()
        url = reverse("admin:bandits_bandit_change", args=[bandit.pk])
        data = {
            "policy": "linear",
            "floor": "0.05",
            "exploration": "0.3",
            "prior_precision": "2",
            "half_life": "30 00:00:00",
            "attribution_window": "00:30:00",
        }
        assert browser.post(url, data).status_code == 302
        changed = make_bandit()
        assert (changed.floor, changed.version) == (0.05, 2)
        assert changed.history.first().history_user == staff
        assert browser.post(url, data | {"floor": "2"}).status_code == 200
        assert make_bandit().floor == 0.05

    def test_an_arm_is_added_warm(self, browser):
        url = reverse("admin:bandits_arm_add")
        answer = browser.post(
            url, {"bandit": make_bandit().pk, "key": "new_one", "warm_start": "on"}
        )
        assert answer.status_code == 302
        assert self.arm("new_one").learned.prior_mean is not None

    @pytest.mark.parametrize("model", ["bandit", "arm", "archive", "decision"])
    def test_every_list_opens(self, browser, model):
        make_decision(np.random.default_rng(0))
        assert browser.get(reverse(f"admin:bandits_{model}_changelist")).status_code == 200
