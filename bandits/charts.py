"""The charts of a bandit's report."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString

from musicrec.charts import Interval, Series, interval_rows, line_chart, split_bar


def of_report(report: Mapping[str, Any]) -> dict[str, SafeString]:
    """Return the page's charts by name; an empty string where there is nothing to draw."""
    arms = [arm for arm in report["arms"] if arm["status"] != "retired"]
    rewards = [
        Interval(
            arm["arm"],
            arm["mean_reward"],
            arm["mean_reward_low"],
            arm["mean_reward_high"],
            f"{arm['rewarded']} reward{'s' * (arm['rewarded'] != 1)}"
            if arm["rewarded"]
            else "no reward yet",
            strategy=arm["arm"],
        )
        for arm in arms
    ]
    off_policy = [
        Interval(
            arm["arm"],
            answer.get("advantage"),
            answer.get("advantage_low"),
            answer.get("advantage_high"),
            f"worth {answer['effective_sample_size']:.0f} decisions"
            if "value" in answer
            else "not enough in the log",
            strategy=arm["arm"],
        )
        for arm in arms
        if (answer := report["off_policy"]["arms"].get(arm["arm"]))
    ]
    exploration = report["exploration"]
    return {
        "rewards": interval_rows(rewards, title="Mean reward by arm", unit="mean reward"),
        "off_policy": interval_rows(
            off_policy,
            title="Each arm wherever it may be chosen, against the log",
            unit="difference in reward per list",
            zero=True,
        ),
        "over_time": _over_time(report["over_time"]),
        "exploration": split_bar(
            ("best guess", exploration["exploited"]),
            ("another arm", exploration["explored"]),
            title="Exploration",
        )
        if exploration
        else SafeString(""),
    }


def of_situations(report: Mapping[str, Any]) -> list[SafeString]:
    """Return what is believed of each arm in each situation, all on one axis."""
    order = [arm["arm"] for arm in report["arms"]]
    situations = report["situations"]
    ends = [
        belief["expected_reward"] + side * belief["sd"]
        for situation in situations
        for belief in situation["arms"].values()
        for side in (-1, 1)
    ]
    return [
        interval_rows(
            [
                Interval(
                    arm,
                    belief["expected_reward"],
                    belief["expected_reward"] - belief["sd"],
                    belief["expected_reward"] + belief["sd"],
                    f"best with {belief['probability_best']:.0%}",
                    strategy=arm,
                )
                for arm in order
                if (belief := situation["arms"].get(arm))
            ],
            title=f"Expected reward {situation['label']}",
            unit="expected reward",
            within=ends,
        )
        for situation in situations
    ]


def _over_time(points: Sequence[Mapping[str, Any]]) -> SafeString:
    """Return a line per arm; needs two points in time."""
    if len(points) < 2:
        return SafeString("")
    arms = sorted({arm for point in points for arm in point["probability_best"]})
    return line_chart(
        [
            Series(
                arm,
                [
                    (datetime.fromisoformat(point["at"]), 100 * point["probability_best"][arm])
                    for point in points
                    if arm in point["probability_best"]
                ],
                strategy=arm,
            )
            for arm in arms
        ],
        title="Probability of being the best arm over time",
        description="The table below the chart has every number.",
        unit=" %",
        limits=(0, 100),
    )
