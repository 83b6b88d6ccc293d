"""Each task of an operator, done in a browser."""

import re

from playwright.sync_api import expect

from e2e.conftest import at


def test_start_an_experiment(sign_in):
    page = sign_in("experimenter")
    page.get_by_role("navigation", name="Console", exact=True).get_by_role(
        "link", name="Experiments"
    ).click()
    page.get_by_role("link", name="New experiment").click()
    page.get_by_label("Key").fill("louder-lists")
    page.get_by_label("Hypothesis").fill("Trending pleases more than the network.")
    policies = page.get_by_label("Policies")
    if policies.evaluate("element => element.tagName") == "SELECT":
        policies.select_option(["neural_cf", "trending"])
    else:
        policies.fill("neural_cf, trending")
    page.get_by_role("button", name="Create draft").click()
    expect(page.get_by_role("heading", name=re.compile("Change experiment"))).to_be_visible()
    # The default experiment has the layer to itself: this one gets a layer of its own.
    page.get_by_label("Layer:", exact=True).fill("louder")
    page.get_by_role("button", name="Save and continue editing").click()
    page.get_by_role("link", name="Start experiment").click()
    page.get_by_role("button", name="Start experiment").click()
    expect(page.get_by_text("Start experiment: done.")).to_be_visible()
    page.goto("/analytics/ab-testing")
    expect(page.get_by_role("row", name=re.compile("louder-lists"))).to_contain_text("running")


def test_pause_an_arm_and_let_it_go_on(sign_in):
    page = sign_in("operator")
    for act, word in (("Pause: not chosen until resumed", "is paused"), ("Resume", "is active")):
        page.goto("/admin/bandits/arm/")
        row = page.get_by_role("row", name=re.compile("discovery"))
        row.get_by_role("checkbox").check()
        page.locator("select[name=action]").select_option(label=act)
        page.get_by_role("button", name="Go").click()
        expect(page.get_by_text(re.compile(f"discovery {word}", re.I))).to_be_visible()
    page.goto("/analytics/audit-log?words=discovery")
    expect(page.get_by_text("status: active → paused")).to_be_visible()


def test_roll_a_model_back(sign_in, console):
    page = sign_in("operator")
    page.get_by_role("navigation", name="Console", exact=True).get_by_role(
        "link", name="Models"
    ).click()
    first = console.facts["first"]
    page.get_by_role("link", name=f"Roll back to model {first}").click()
    page.get_by_label(re.compile("Why")).fill("lists look wrong since noon")
    page.get_by_role("button", name=f"Roll back to model {first}").click()
    expect(page.get_by_text(f"Model {first} serves again within 2 seconds.")).to_be_visible()
    registry = page.get_by_role("region", name="Registry")
    expect(registry.get_by_role("row", name=re.compile(rf"^{first}\b"))).to_contain_text("serves")
    page.goto("/analytics/audit-log")
    expect(page.get_by_text("lists look wrong since noon").first).to_be_visible()
    page.goto("/analytics/models")
    page.get_by_role("link", name=f"Promote model {console.facts['second']}").click()
    page.get_by_role("button", name=f"Promote model {console.facts['second']}").click()
    expect(page.get_by_text("serves within 2 seconds")).to_be_visible()


def test_find_out_why_a_listener_got_a_list(sign_in, console):
    page = sign_in("experimenter")
    page.keyboard.press("/")
    page.keyboard.type(console.facts["slate"])
    page.keyboard.press("Enter")
    page.get_by_role("link", name=console.facts["slate"]).click()
    expect(page.get_by_role("heading", name="1. Which strategy, and why")).to_be_visible()
    candidates = page.get_by_role("region", name="Candidates")
    expect(candidates.get_by_text("kept by every rule").first).to_be_visible()
    expect(
        page.get_by_text(re.compile(r"\d+ of the 10 tracks shown come out again"))
    ).to_be_visible()
    choice = page.get_by_label(re.compile("Another strategy"))
    other = choice.get_by_role("option").last.inner_text()
    choice.select_option(other)
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name=other)).to_be_visible()
    page.get_by_role("link", name=console.facts["listener"]).click()
    expect(page.get_by_role("heading", name="Taste")).to_be_visible()
    operator = sign_in("operator")
    operator.goto("/analytics/audit-log?act=looked+at&actor=experimenter")
    expect(operator.get_by_text(f"list {console.facts['slate']}").first).to_be_visible()


def test_import_a_catalogue_with_two_bad_rows(sign_in, tmp_path):
    page = sign_in("operator")
    file = tmp_path / "spring.csv"
    file.write_text(
        "track_id,name,artist,genres,year\n"
        "s1,Spring One,The Larks,pop,2020\n"
        "s2,Spring Two,The Larks,pop,twenty\n"
        "s3,Spring Three\n"
        "s4,Spring Four,The Larks,pop,2021\n"
    )
    page.get_by_role("navigation", name="Console", exact=True).get_by_role(
        "link", name="Catalogue"
    ).click()
    page.get_by_role("link", name="Import a file").click()
    page.get_by_label("CSV or CSV.gz").set_input_files(file)
    page.get_by_role("button", name="Look at it first").click()
    rejects = page.get_by_role("region", name="Rows that are no good")
    expect(rejects.get_by_text("year is no number: 'twenty'")).to_be_visible()
    expect(rejects.get_by_text("2 columns instead of 5")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert "year is no number" in download.value.path().read_text()
    page.get_by_role("button", name="Import 2 tracks").click()
    expect(page.get_by_text("2 tracks new, 0 changed")).to_be_visible()
    page.goto("/analytics/catalogue?q=Larks")
    tracks = page.get_by_role("region", name="Tracks")
    expect(tracks.get_by_role("row")).to_have_count(3)
    page.get_by_role("button", name="Hide artist The Larks").first.click()
    expect(page.get_by_text("The Larks is off every list within 2 seconds.")).to_be_visible()
    expect(page.get_by_text("artist hidden").first).to_be_visible()


def test_retry_a_dead_letter(sign_in):
    page = sign_in("operator")
    expect(page.get_by_text("failed too often: you have to look")).to_be_visible()
    page.get_by_role("link", name="Look and retry").click()
    expect(page.get_by_text("no space left on device")).to_be_visible()
    page.get_by_role("button", name="Try the chosen again").click()
    expect(page.get_by_text("1 effect will be tried again within a second.")).to_be_visible()
    expect(page.get_by_text("No effect waits for you.")).to_be_visible()


def test_a_page_refreshes_itself_and_asks_with_its_etag(sign_in):
    page = sign_in("viewer")
    page.goto("/analytics/models")
    with page.expect_response(lambda r: "/analytics/models" in r.url and r.ok) as first:
        pass
    assert first.value.headers["etag"]
    with page.expect_request(
        lambda r: "/analytics/models" in r.url and "if-none-match" in r.headers
    ) as again:
        pass
    assert again.value.headers["if-none-match"] == first.value.headers["etag"]
    expect(page.get_by_role("region", name="Registry")).to_be_visible()


def test_a_page_that_refreshes_itself_leaves_its_reader_where_they_were(sign_in):
    page = sign_in("operator", width=390)
    page.goto("/analytics/models")
    registry = page.get_by_role("region", name="Registry")
    promote = registry.get_by_role("link", name=re.compile("^Promote")).first
    promote.focus()
    registry.evaluate("element => { element.scrollLeft = 40; element.dataset.before = 'yes' }")
    expect(page.locator("[data-before]")).to_have_count(0, timeout=30_000)  # it was replaced
    assert registry.evaluate("element => element.scrollLeft") == 40
    expect(promote).to_be_focused()


def test_a_page_whose_session_ended_becomes_the_login_page_as_a_whole(sign_in):
    page = sign_in("viewer")
    page.goto("/analytics/system-metrics")
    page.context.clear_cookies()
    page.wait_for_url(at("/account/login"))
    expect(page.get_by_role("navigation", name="Console", exact=True)).to_have_count(0)


def test_a_viewer_is_offered_nothing_that_changes_anything(sign_in):
    page = sign_in("viewer")
    rail = page.get_by_role("navigation", name="Console", exact=True)
    expect(rail.get_by_role("link", name="Audit log")).to_have_count(0)
    expect(rail.get_by_role("link", name="Listeners")).to_have_count(0)
    page.goto("/analytics/models")
    expect(page.get_by_role("link", name="Train now")).to_have_count(0)
    assert page.goto("/analytics/audit-log").status == 403
