"""Browser sessions without an account get lists, and keep what they did when they sign up."""

from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Listener, Preferences
from experiments.models import Exposure, ListenerTotal
from experiments.services import recompute, settle_history
from recommendations.models import Feedback, Hidden, Recommendation, Taste
from recommendations.services import undo
from recommendations.services.effects import all_listener_events, drain_outbox
from recommendations.services.recommend import recommend as make_list
from recommendations.services.visitors import forget_visitors, merge
from recommendations.services.wishes import Wishes
from recommendations.tests.factories import NOW, make_feedback, make_listener

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD = "mia@example.com", "a long password"


def browser():
    """A browser that has seen a page, hence has the CSRF cookie, and sends its token."""
    client = APIClient(enforce_csrf_checks=True)
    client.get("/account/login")
    client.defaults["HTTP_X_CSRFTOKEN"] = client.cookies["csrf"].value
    return client


def recommend(client, **body):
    answer = client.post("/recommend", body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_visitor_gets_what_is_trending(tracks, version):
    answer = recommend(browser())
    assert answer["strategy"] == "trending"
    assert answer["experiment"] is answer["bandit"] is None
    assert len(answer["recommendations"]) == 10
    assert not Exposure.objects.exists()


def test_a_visitor_who_names_artists_gets_what_is_like_them(tracks, version):
    client = browser()
    artist = tracks[0].artist.name
    answer = recommend(client, artists=[artist], mood="happy")
    assert answer["strategy"] == "content_based"
    again = recommend(client)  # named once is enough
    assert again["strategy"] == "content_based"
    assert Listener.objects.filter(is_visitor=True).count() == 1


def test_a_visitor_who_names_genres_gets_these(tracks):
    answer = recommend(browser(), genres=[tracks[0].genres.first().name])
    assert answer["strategy"] == "content_based"


def test_a_client_without_a_browser_session_is_no_visitor(tracks):
    assert APIClient().post("/recommend", {}).status_code == 401
    without_token = browser()
    del without_token.defaults["HTTP_X_CSRFTOKEN"]
    assert without_token.post("/recommend", {}).status_code in (401, 403)
    wrong_token = APIClient()
    wrong_token.credentials(HTTP_AUTHORIZATION="Bearer mr_wrong")
    assert wrong_token.post("/recommend", {}).status_code == 401
    assert not Listener.objects.exists()


def test_a_visitor_speaks_for_nobody_else(tracks):
    other = services.register(email=EMAIL, password=PASSWORD)
    assert browser().post("/recommend", {"user_id": other.key}).status_code == 404
    said = {"user_id": other.key, "track_id": "t1", "kind": "like"}
    assert browser().post("/feedback", said).status_code == 404


@pytest.mark.parametrize("path", ["/me", "/me/state", "/me/history", "/me/export", "/me/tokens"])
def test_a_visitor_has_no_account(path):
    client = browser()
    client.post("/preferences/set", {"genres": ["jazz"]})
    assert client.get(path).status_code in (401, 403)


def visit(client, track_id="t1"):
    recommend(client, mood="happy")
    assert client.post("/feedback", {"track_id": track_id, "kind": "like"}).status_code == 201
    assert client.post("/preferences/set", {"genres": ["jazz"]}).status_code == 200


def test_signing_up_keeps_what_the_visitor_did(tracks):
    client = browser()
    visit(client)
    client.post("/feedback", {"track_id": "t2", "kind": "hide"})
    session_before = client.cookies["session"].value
    answer = client.post("/_allauth/browser/v1/auth/signup", {"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    assert client.cookies["session"].value != session_before  # a new session at login
    listener = Listener.objects.get()
    assert listener.user.email == EMAIL
    assert not listener.is_visitor
    assert Feedback.objects.by(listener).count() == 2
    assert Recommendation.objects.of(listener).count() == 1
    assert listener.preferences.genres == ["jazz"]
    taste = Taste.objects.get(listener=listener)
    assert (taste.n_feedback, list(taste.hidden["tracks"])) == (2, [str(tracks[2].pk)])


def test_signing_in_adds_to_what_the_account_has(tracks):
    listener = services.register(email=EMAIL, password=PASSWORD)
    services.set_preferences(listener=listener, genres=["rock"])
    client = browser()
    visit(client)
    client.post("/preferences/set", {"artists": ["Somebody"]})
    answer = client.post("/_allauth/browser/v1/auth/login", {"email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    assert Feedback.objects.by(listener).count() == 1
    stated = Preferences.objects.get()
    assert (stated.genres, stated.artists) == (["rock"], ["Somebody"])
    assert list(Listener.objects.all()) == [listener]


@pytest.mark.parametrize(
    ("account_until", "visitor_until", "stays"),
    [(-1, None, "visitor"), (1, 2, "visitor"), (2, 1, "account"), (None, 1, "account")],
)
def test_of_two_hidings_of_a_track_the_one_that_ends_later_counts(
    tracks, account_until, visitor_until, stays
):
    account, visitor = make_listener(), make_listener(is_visitor=True)
    ends = {"account": account_until, "visitor": visitor_until}
    ends = {who: days and NOW + timedelta(days=days) for who, days in ends.items()}
    for listener, until in zip((account, visitor), ends.values(), strict=True):
        make_feedback(listener=listener, track=tracks[0], kind="hide")
        Hidden.objects.by(listener).update(until=until)
    merge(visitor, into=account)
    hidden = Hidden.objects.get()
    assert (hidden.listener, hidden.until) == (account, ends[stays])
    undo.show_again(hidden, at=NOW)
    assert not Hidden.objects.exists()
    assert not Feedback.objects.standing().exists()


def test_registering_by_the_api_in_a_visited_browser_keeps_it_too(tracks):
    client = browser()
    visit(client)
    client.post("/auth/register", {"email": EMAIL, "password": PASSWORD})
    assert Feedback.objects.by(Listener.objects.get()).count() == 1


@pytest.mark.parametrize(
    ("door", "refused"), [("/auth/register", 403), ("/_allauth/browser/v1/auth/signup", 401)]
)
def test_where_mail_must_be_verified_the_visitor_stays_one_until_the_login(
    tracks, settings, door, refused
):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    client = browser()
    visit(client)
    assert client.post(door, {"email": EMAIL, "password": PASSWORD}).status_code == refused
    visitor = Listener.objects.get(is_visitor=True)  # as after asking for a taken address
    assert Feedback.objects.get().listener == visitor
    EmailAddress.objects.update(verified=True)
    client.post("/account/login", {"login": EMAIL, "password": PASSWORD}, format="multipart")
    assert Feedback.objects.get().listener == Listener.objects.get(user__email=EMAIL)
    assert not Listener.objects.filter(pk=visitor.pk).exists()


def test_new_visitors_from_one_address_are_limited(tracks, one_minute):
    codes = [browser().post("/recommend", {}).status_code for _ in range(22)]
    assert codes[:20] == [200] * 20
    assert set(codes[20:]) == {429}


def test_visitors_who_never_sign_up_are_forgotten(tracks):
    visit(browser())
    now = timezone.now()
    assert forget_visitors(at=now + timedelta(days=29)) == 0
    assert forget_visitors(at=now + timedelta(days=31)) == 1
    assert not Listener.objects.exists()
    assert Feedback.objects.get().listener is None


class TestExperiments:
    """Sums after a merge are those of an account that did everything itself, and stay so."""

    LATER = NOW + timedelta(minutes=1)

    @pytest.fixture
    def account(self, tracks):
        """An account that an experiment counts."""
        account = make_listener()
        slate = make_list(listener=account, wishes=Wishes(), at=NOW).recommendation
        assert slate.experiment
        return account

    def undo(self, feedback):
        undo.retract(Feedback.objects.get(pk=feedback.pk), at=self.LATER)

    def total(self, account, metric):
        drain_outbox(at=self.LATER)
        assert recompute(all_listener_events()).changed == 0
        row = ListenerTotal.objects.get(exposure__listener=account, metric__key=metric)
        return row.numerator, row.denominator

    @pytest.mark.parametrize("drained", [True, False])
    def test_what_a_visitor_did_counts_for_the_account(self, account, tracks, drained):
        visitor = make_listener(is_visitor=True)
        make_list(listener=visitor, wishes=Wishes(), at=self.LATER)
        liked, skipped, undone = (
            make_feedback(listener=visitor, track=track, kind=kind, at=self.LATER)
            for track, kind in zip(tracks, ("like", "skip", "like"), strict=False)
        )
        if drained:
            drain_outbox(at=self.LATER)
        self.undo(undone)
        merge(visitor, into=account)
        assert self.total(account, "like_rate") == (1, 2)
        assert self.total(account, "latency_ms")[1] == 2  # both lists
        make_feedback(listener=account, track=tracks[3], kind="like", at=self.LATER)
        self.undo(skipped)
        assert self.total(account, "like_rate") == (2, 2)
        self.undo(liked)
        assert self.total(account, "like_rate") == (1, 1)

    def test_an_undoing_that_was_under_way_is_no_second_one(self, account, tracks):
        visitor = make_listener(is_visitor=True)
        kept, undone = (
            make_feedback(listener=visitor, track=track, at=self.LATER) for track in tracks[:2]
        )
        drain_outbox(at=self.LATER)
        self.undo(undone)
        merge(visitor, into=account)
        assert self.total(account, "like_rate") == (1, 1)
        self.undo(kept)
        drain_outbox(at=self.LATER)
        assert not ListenerTotal.objects.filter(metric__key="like_rate").exists()

    @pytest.mark.parametrize("drained", [True, False])
    def test_what_a_new_account_did_as_a_visitor_is_its_past(self, tracks, drained):
        visitor, account = make_listener(is_visitor=True), make_listener()
        days_before = NOW - timedelta(days=2)
        make_feedback(listener=visitor, track=tracks[0], at=days_before)
        if drained:
            drain_outbox(at=NOW)
        merge(visitor, into=account)
        make_list(listener=account, wishes=Wishes(), at=NOW)
        drain_outbox(at=NOW)
        settle_history()
        row = ListenerTotal.objects.get(metric__key="like_rate")
        assert (row.numerator, row.denominator) == (0, 0)
        assert (row.pre_numerator, row.pre_denominator) == (1, 1)
        assert recompute(all_listener_events()).changed == 0
