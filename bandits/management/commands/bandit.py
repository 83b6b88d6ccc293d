"""``manage.py bandit show|verify|evaluate|reset|simulate``."""

import argparse
import json
from functools import partial
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bandits import reports, services
from bandits.core.context import N_FEATURES
from bandits.core.evaluation import ESTIMATORS, ThinSupport
from bandits.core.trial import Settings, play
from bandits.core.worlds import linear_world, logistic_world
from bandits.models import Archive, Bandit
from bandits.off_policy import history, off_policy, parse_target

WORLDS = {
    "linear": linear_world,
    "logistic": logistic_world,
    "drifting": partial(linear_world, drift=True),
}


class Command(BaseCommand):
    """Looks at a bandit, proves it, asks what another policy would have earned, or resets it."""

    help = "Show, verify, evaluate, reset or simulate a bandit."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare one subcommand per act."""
        acts = parser.add_subparsers(dest="act", required=True)

        def act(name: str, text: str) -> argparse.ArgumentParser:
            sub = acts.add_parser(name, help=text, description=text)
            sub.add_argument("--bandit", default="recommendation_strategy", metavar="KEY")
            return sub

        show = act("show", "What is known of the arms now.")
        show.add_argument("--json", action="store_true", help="the whole report")
        act("verify", "Replay every decision, and compare the posteriors with the closed form.")
        evaluate = act("evaluate", "What another policy would have earned, from the log.")
        evaluate.add_argument(
            "target",
            nargs="+",
            help="always:ARM, uniform, or settings that differ, as exploration=0.5,floor=0.05",
        )
        evaluate.add_argument("--newest", type=int, default=20_000, help="decisions to look at")
        evaluate.add_argument("--seed", type=int, default=0, help="of the bootstrap")
        evaluate.add_argument("--json", action="store_true")
        reset = act("reset", "Archive what was learned and begin from nothing, or undo that.")
        reset.add_argument("--reason", default="", help="kept with the archive")
        reset.add_argument("--restore", type=int, metavar="ARCHIVE", help="id of an archive")
        reset.add_argument("--yes", action="store_true", help="do not ask")
        simulate = act(
            "simulate",
            "Try the bandit's settings, or others, on a world whose best arms are known. "
            "Nothing is written. (Simulated listeners: manage.py simulate.)",
        )
        simulate.add_argument("--world", choices=sorted(WORLDS), default="linear")
        simulate.add_argument("--rounds", type=int, default=2000)
        simulate.add_argument("--seeds", type=int, default=3)
        simulate.add_argument("--floor", type=float)
        simulate.add_argument("--exploration", type=float)
        simulate.add_argument("--prior-precision", type=float)
        simulate.add_argument(
            "--half-life", type=float, default=np.inf, help="in rounds; nothing is forgotten else"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the act."""
        try:
            bandit = Bandit.objects.get(key=options["bandit"])
        except Bandit.DoesNotExist:
            known = ", ".join(Bandit.objects.values_list("key", flat=True)) or "none"
            raise CommandError(f"no bandit {options['bandit']!r}; there is {known}") from None
        getattr(self, options["act"])(bandit, options)

    def show(self, bandit: Bandit, options: dict[str, Any]) -> None:
        """Print one row per arm."""
        report = reports.build(bandit, at=timezone.now())
        if options["json"]:
            self.stdout.write(json.dumps(report, indent=2))
            return
        self.stdout.write(
            f"{bandit}: {bandit.get_policy_display()}, version {bandit.version}, "
            f"{report['decisions']} decisions, {report['waiting']} waiting for a reward"
        )
        if pinned := report["bandit"]["pinned_arm"]:
            self.stdout.write(f"pinned to {pinned}")
        self.stdout.write(
            f"{'arm':<20}{'status':<9}{'pulls':>8}{'share':>8}"
            f"{'mean reward, 95 % at any time':>32}{'P(best)':>9}"
        )
        for arm in report["arms"]:
            reward = "no reward yet"
            if arm["mean_reward"] is not None:
                reward = (
                    f"{arm['mean_reward']:.3f} "
                    f"({arm['mean_reward_low']:.3f} to {arm['mean_reward_high']:.3f})"
                )
            self.stdout.write(
                f"{arm['arm']:<20}{arm['status']:<9}{arm['pulls']:>8}"
                f"{_share(arm['share']):>8}{reward:>32}{_share(arm['probability_best']):>9}"
            )

    def verify(self, bandit: Bandit, options: dict[str, Any]) -> None:
        """Exit with an error where anything logged or learned is untrue."""
        found = services.verify(bandit, at=timezone.now())
        for mismatch in found.mismatches:
            self.stderr.write(mismatch)
        self.stdout.write(
            f"{found.decisions} decisions replayed, {found.n_mismatches} wrong; "
            f"{found.lost} reward changes lost; posteriors within {found.largest_deviation:.1e} "
            "of the closed form"
        )
        if not found.is_clean:
            raise CommandError("the log or the posterior is not what it should be")

    def evaluate(self, bandit: Bandit, options: dict[str, Any]) -> None:
        """Print every estimator for every target, or why there is no answer."""
        try:
            targets = {text: parse_target(text, bandit) for text in options["target"]}
        except ValueError as error:
            raise CommandError(str(error)) from None
        log = history(bandit, at=timezone.now(), newest=options["newest"])
        answers: dict[str, Any] = {}
        for text, target in targets.items():
            rng = np.random.default_rng(options["seed"])
            try:
                found = off_policy(log, target, rng)
            except ThinSupport as error:
                answers[text] = {"refused": str(error)}
                continue
            answers[text] = {
                "estimates": {name: vars(found.estimates[name]) for name in ESTIMATORS},
                "advantages": {name: vars(found.advantages[name]) for name in ESTIMATORS},
                "decisions": found.n,
                "left_out": found.left_out,
                "listeners": found.n_listeners,
                "effective_sample_size": found.effective_sample_size,
                "largest_weight": found.largest_weight,
                "logged_mean": found.logged_mean,
            }
        if options["json"]:
            self.stdout.write(json.dumps(answers, indent=2))
            return
        for text, answer in answers.items():
            self._print(text, answer)

    def _print(self, text: str, answer: dict[str, Any]) -> None:
        if "refused" in answer:
            self.stdout.write(f"{text}: no answer, {answer['refused']}")
            return
        self.stdout.write(
            f"{text}: {answer['decisions']} decisions of {answer['listeners']} listeners "
            f"({answer['left_out']} left as they were), "
            f"worth {answer['effective_sample_size']:.0f}; "
            f"largest weight {answer['largest_weight']:.1f}; "
            f"the log itself earned {answer['logged_mean']:.4f}"
        )
        self.stdout.write(
            f"  {'':<10}{'reward':>9}  {'95 % by bootstrap':<20}  difference to the log"
        )
        for name in ESTIMATORS:
            value, advantage = answer["estimates"][name], answer["advantages"][name]
            self.stdout.write(
                f"  {name:<10}{value['value']:9.4f}  "
                f"{value['low']:.4f} to {value['high']:.4f}    "
                f"{advantage['value']:+.4f} ({advantage['low']:+.4f} to {advantage['high']:+.4f})"
            )

    def reset(self, bandit: Bandit, options: dict[str, Any]) -> None:
        """Reset, or restore an archive."""
        now = timezone.now()
        if options["restore"] is not None:
            archive = Archive.objects.filter(bandit=bandit, pk=options["restore"]).first()
            if archive is None:
                raise CommandError(f"{bandit} has no archive {options['restore']}")
            try:
                services.restore(archive, at=now)
            except services.BanditRuleViolation as error:
                raise CommandError(str(error)) from None
            self.stdout.write(f"restored archive {archive.pk} of {archive.archived_at:%F %H:%M}")
            return
        if not options["yes"] and input(f"Reset {bandit}? [y/N] ").strip().lower() != "y":
            raise CommandError("nothing was changed")
        archive = services.reset(bandit, at=now, reason=options["reason"])
        self.stdout.write(
            f"archived as {archive.pk}; undo with: "
            f"manage.py bandit reset --bandit {bandit} --restore {archive.pk}"
        )

    def simulate(self, bandit: Bandit, options: dict[str, Any]) -> None:
        """Print regret and how often the best arm was played, beside choosing at random."""
        if min(options["rounds"], options["seeds"]) < 1:
            raise CommandError("--rounds and --seeds must be at least 1")
        given = {
            name: getattr(bandit, name) if options[name] is None else options[name]
            for name in ("floor", "exploration", "prior_precision")
        }
        try:
            settings = Settings(policy=bandit.policy, half_life=options["half_life"], **given)
        except ValueError as error:
            raise CommandError(str(error)) from None
        names = ", ".join(f"{name} {value:g}" for name, value in given.items())
        self.stdout.write(
            f"{bandit.policy}, {names}, half-life {options['half_life']:g} rounds, in the "
            f"{options['world']} world: {len(bandit.arms.all())} arms, {options['rounds']} rounds, "
            f"{options['seeds']} seeds"
        )
        self.stdout.write(f"{'':<10}{'regret':>18}   best arm played, by fifth of the rounds")
        for name, tried in (("bandit", settings), ("uniform", Settings(policy="uniform"))):
            trials = []
            for seed in range(options["seeds"]):
                world = WORLDS[options["world"]](
                    np.random.default_rng(seed),
                    n=options["rounds"],
                    n_arms=bandit.arms.count(),
                    n_features=N_FEATURES,
                )
                trials.append(play(world, tried))
            regrets = np.array([trial.regret.sum() for trial in trials])
            best = np.mean([trial.was_best for trial in trials], axis=0)
            shares = " ".join(f"{part.mean():>5.0%}" for part in np.array_split(best, 5))
            error = regrets.std(ddof=1) / np.sqrt(len(regrets)) if len(regrets) > 1 else np.nan
            self.stdout.write(f"{name:<10}{regrets.mean():>10.1f} ± {error:<5.1f}   {shares}")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
