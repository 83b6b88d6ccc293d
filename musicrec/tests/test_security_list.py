"""docs/security.md: the list of ASVS 5.0 is whole, and every test it names exists."""

import re
from functools import cache

from django.conf import settings

TEXT = (settings.BASE_DIR / "docs" / "security.md").read_text()

# Numbers of the last item of each section at levels 1 and 2 (level 3 left out), of the standard's
# table of requirements, version 5.0.0; chapters 10 and 17 are for what is not here at all.
SECTIONS = {
    1: [2, 9, 11, 3, 2],
    2: [3, 3, 4, 1],
    3: [0, 2, 4, 6, 5, 0, 2],
    4: [3, 1, 2, 4],
    5: [1, 3, 2, 3],
    6: [3, 11, 3, 4, 5, 3, 0, 4],
    7: [3, 4, 2, 5, 2, 2],
    8: [2, 3, 1, 1],
    9: [3, 4],
    11: [2, 3, 3, 4, 1, 1],
    12: [3, 2, 4],
    13: [1, 5, 2, 5],
    14: [2, 4, 3],
    15: [3, 3, 7],
    16: [1, 5, 4, 3, 3],
}


def items():
    """Every item that the page has a row for; 1.2.6–1.2.8 are three."""
    found = []
    for line in TEXT.splitlines():
        if not line.startswith(("| ", "Not used:")):
            continue
        cell = line.split("|")[1] if line.startswith("| ") else line
        for first, last in re.findall(r"(\d+\.\d+\.\d+)(?:–(\d+\.\d+\.\d+))?", cell):
            section, _, begin = first.rpartition(".")
            end = (last or first).rpartition(".")[2]
            found += [f"{section}.{number}" for number in range(int(begin), int(end) + 1)]
    return found


@cache
def names_of_tests():
    folders = ("accounts", "bandits", "e2e", "experiments", "musicrec", "recommendations")
    return {
        name
        for folder in folders
        for path in (settings.BASE_DIR / folder).rglob("test_*.py")
        for name in (path.name, *re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    }


def test_the_list_has_every_item_of_levels_one_and_two_once():
    wanted = [
        f"{chapter}.{section}.{number}"
        for chapter, sections in SECTIONS.items()
        for section, last in enumerate(sections, start=1)
        for number in range(1, last + 1)
    ]
    assert sorted(items()) == sorted(wanted)


def test_every_test_that_the_page_names_exists():
    named = set(re.findall(r"`(test_\w+(?:\.py)?)`", TEXT))
    assert len(named) > 80
    assert named - names_of_tests() == set()


def test_what_is_not_met_is_collected_with_its_number():
    collected = TEXT.split("### What is not met")[1].split("\n## ")[0]
    table = TEXT.split("### What is not met")[0]
    for line in table.splitlines():
        if line.startswith("| ") and "**not met**" in line:
            numbers = re.findall(r"\d+\.\d+\.\d+", line.split("|")[1])
            assert any(number in collected for number in numbers), line
