"""What a listener does, and what comes of it, from the sign-up page to the database and back."""

import math
import re
from urllib.parse import urlsplit

from playwright.sync_api import expect

from e2e.conftest import IMAGES_THERE, at, fill_in_login, until

KEPT_HERE = """title => new Promise(done => {
  const opened = indexedDB.open('musicrec')
  opened.onsuccess = () => {
    const answers = opened.result.transaction('answers').objectStore('answers').getAll()
    answers.onsuccess = () => {
      opened.result.close()
      const kept = answers.result.flatMap(text => JSON.parse(text).clientState.queries)
      const rows = kept.filter(query => query.queryKey[0] === 'rows')
      done(JSON.stringify(rows).includes(JSON.stringify(title)))
    }
  }
})"""


def test_newcomer_chooses_and_a_first_list_appears_then_rates_and_the_list_changes(newcomer):
    page = newcomer.page
    page.get_by_role("group", name="Genres").get_by_role("button", name="jazz").click()
    first_list = page.get_by_role("complementary", name="Your first list").get_by_role("listitem")
    expect(first_list).to_have_count(6)
    page.get_by_role("searchbox", name="Find an artist").fill("bjork")  # found without the accent
    page.get_by_role("list", name="Artists found").get_by_role("button", name="Björk").click()
    expect(page.get_by_role("list", name="Artists chosen").get_by_text("Björk")).to_be_visible()
    page.get_by_role("button", name="Calm").click()
    page.get_by_role("button", name="Show my lists").click()
    page.wait_for_url(lambda url: urlsplit(url).path == "/app/")
    assert newcomer.call("GET", "/me")["preferences"] == {
        "genres": ["jazz"], "artists": ["Björk"], "energy": None, "mood": "calm",
    }  # fmt: skip

    expect(newcomer.cards().first).to_be_visible()
    # What was chosen last is a new version, which another list answers; these lists are of it.
    newcomer.open("/")
    expect(newcomer.cards().first).to_be_visible()
    before = newcomer.titles()
    for place in (0, 1):
        newcomer.cards().nth(place).get_by_role("button", name="5 of 5").click()
        expect(page.get_by_role("region", name="What changed")).to_contain_text("Rated")
    expect(page.get_by_role("region", name="What changed")).to_contain_text(
        re.compile("New here|Gone|Moved up")
    )
    assert newcomer.titles() != before
    assert before[0] in newcomer.titles(), "a card that was rated stays where one rated it"
    until(  # shown at once, and sent after
        page,
        """async () => {
          const rated = (await (await fetch('/me/history')).json()).results
          return rated.length == 2 && rated.every(row => row.rating == 5 && row.recommendation_id)
        }""",
    )


def test_undo_takes_a_rating_back_on_the_page_and_on_the_server(person):
    first = person.cards().first
    star = first.get_by_role("button", name="4 of 5")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    expect(first.get_by_text("Rated 4")).to_be_visible()
    person.page.get_by_role("button", name="Undo").click()
    expect(person.page.get_by_role("region", name="What changed")).to_contain_text("Undone")
    expect(star).to_have_attribute("aria-pressed", "false")
    until(
        person.page,
        """async () => {
          const given = (await (await fetch('/me/history')).json()).results
          return given.length == 1 && given[0].undone
        }""",
    )


def test_hidden_artist_is_gone_at_once_and_stays_gone_until_shown_again(person):
    page = person.page
    card = person.cards().first
    artist = card.locator("h3 + p").inner_text()
    card.get_by_role("button", name="Why this, and more").click()
    hide = page.get_by_role("dialog").get_by_text(f"Hide {artist} for").locator("..")
    hide.get_by_role("button", name="a week").click()
    expect(page.locator("[data-card]", has_text=artist)).to_have_count(0)
    page.reload()
    expect(person.cards().first).to_be_visible()
    person.page.get_by_role("button", name="Make new lists").click()
    expect(page.locator("main [data-card] h3 + p", has_text=artist)).to_have_count(0)
    person.open("/library?show=hidden")
    page.get_by_role("button", name=f"Show again: {artist}").click()
    expect(page.get_by_role("heading", name="Nothing is hidden")).to_be_visible()


def test_rating_given_offline_waits_is_said_and_arrives_once(person):
    page = person.page
    page.context.set_offline(True)
    person.cards().first.get_by_role("button", name="3 of 5").click()
    expect(page.get_by_text("1 response waits here and will be sent once")).to_be_visible()
    expect(person.cards().first.get_by_text("Rated 3, waiting")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_text("will be sent once")).to_have_count(0)
    until(page, "async () => (await (await fetch('/me/history')).json()).results.length")
    history = person.call("GET", "/me/history")["results"]
    assert [row["rating"] for row in history] == [3]


def test_page_opens_offline_with_what_was_loaded(person):
    page = person.page
    page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
    before = person.titles()
    until(page, KEPT_HERE, before[0])
    page.context.set_offline(True)
    for _ in range(2):  # that asking failed once must not cost what was kept
        page.reload()
        expect(person.cards().first).to_be_visible()
        assert person.titles() == before
        expect(page.get_by_text("What was loaded stays.")).to_be_visible()
        until(page, KEPT_HERE, before[0])
    page.context.set_offline(False)


def test_signing_out_on_a_page_of_the_server_leaves_nothing_in_the_browser(person):
    page = person.page
    title = person.titles()[0]
    until(page, KEPT_HERE, title)
    page.goto(f"{person.base_url}/account/")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(lambda url: urlsplit(url).path == "/")
    until(page, f"async title => !await ({KEPT_HERE})(title)", title)


def test_session_ended_elsewhere_leads_to_signing_in_and_back(person, sign_in):
    person.open("/library")
    other = sign_in(person.email)
    other.open("/settings")
    other.page.get_by_role("button", name="End", exact=True).click()
    expect(other.page.get_by_test_id("live")).to_contain_text("Ended")
    person.page.wait_for_url("**/account/login?next=*")
    fill_in_login(person.page, person.email)
    person.page.wait_for_url(at("/app/library"))
    expect(person.page.get_by_role("heading", name="Library")).to_be_visible()


def test_change_in_another_browser_appears_within_five_seconds(person, sign_in):
    person.open("/library?show=saved")
    expect(person.page.get_by_role("heading", name="Nothing saved yet")).to_be_visible()
    other = sign_in(person.email)
    expect(other.cards().first).to_be_visible()
    title = other.cards().first.locator("h3").inner_text()
    with other.page.expect_response("**/feedback") as saved:
        other.cards().first.get_by_role("button", name="Save").click()
    assert saved.value.status == 201
    expect(person.page.get_by_role("list", name="saved tracks")).to_contain_text(
        title, timeout=5_000
    )


def test_everything_can_be_done_by_keyboard_alone(person):
    page, keyboard = person.page, person.page.keyboard
    title, said = person.titles()[1], page.get_by_role("region", name="What changed")
    keyboard.press("ArrowRight")  # from the page itself to the first card
    expect(person.cards().first).to_be_focused()
    keyboard.press("ArrowRight")
    expect(person.cards().nth(1)).to_be_focused()
    with page.expect_response("**/recommend/rows"), page.expect_response("**/feedback") as rated:
        keyboard.press("5")
        expect(said).to_contain_text(f"Rated {title} 5 of 5.")
    expect(page.locator("[data-ranking]")).to_have_count(0)  # the lists are others, the card stayed
    with page.expect_response("**/feedback") as liked:
        keyboard.press("l")
        expect(said).to_contain_text(f"Liked {title}.")
    with page.expect_response("**/feedback/*") as undone:
        keyboard.press("u")
        expect(said).to_contain_text(f"Undone: Liked {title}.")
    assert [one.value.status for one in (rated, liked, undone)] == [201, 201, 204]
    history = person.call("GET", "/me/history")["results"]
    assert [(row["kind"], row["rating"], row["undone"]) for row in history] == [
        ("like", None, True), ("rating", 5, False),
    ]  # fmt: skip
    assert {row["track"]["track_name"] for row in history} == {title}
    assert len({row["recommendation_id"] for row in history}) == 1
    expect(person.cards().nth(1)).to_be_focused()
    keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_text("Why this track")).to_be_visible()
    keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keyboard.press("?")
    expect(page.get_by_role("dialog").get_by_text("go to another track")).to_be_visible()
    keyboard.press("Escape")
    keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    keyboard.type("abba")
    expect(page.get_by_role("heading", name="Artists")).to_be_visible()
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(page.get_by_role("heading", name="ABBA")).to_be_visible()


def test_first_list_is_there_within_a_second_and_nothing_shifts(person):
    page = person.page
    page.add_init_script(
        """window.shift = 0; new PerformanceObserver(list => {
             for (const entry of list.getEntries()) if (!entry.hadRecentInput) shift += entry.value
           }).observe({type: 'layout-shift', buffered: true});
           new MutationObserver((_, observer) => {
             if (document.querySelector('[data-card]')) {
               window.firstCard = performance.now(); observer.disconnect()
             }
           }).observe(document, {childList: true, subtree: true})"""
    )
    times = [math.inf]
    while min(times) >= 1000 and len(times) <= 8:  # a busy machine may need more than one try
        page.reload()
        expect(person.cards().first).to_be_visible()
        until(page, IMAGES_THERE)
        page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        times.append(page.evaluate("firstCard"))
        assert page.evaluate("shift") < 0.02
    assert min(times) < 1000, times[1:]
