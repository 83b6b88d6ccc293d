"""Experiments from the terminal."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from experiments import ledger, reports, services
from experiments.analysis import Options
from experiments.core.intervals import Method
from experiments.models import Experiment
from musicrec.exceptions import RuleViolation


class Command(BaseCommand):
    """List, show, start, stop, ship, plan, roll up and recompute."""

    help = "List, show, start, pause, stop, ship, plan, roll up and recompute experiments."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the acts."""
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("list", help="every experiment with its state")
        for name, words in (
            ("show", "results and verdict"),
            ("start", "start a draft, or go on"),
            ("pause", "serve the default for a while"),
            ("stop", "end it"),
            ("ship", "make a variant's policy the default"),
            ("power", "how many listeners it needs"),
        ):
            act = acts.add_parser(name, help=words)
            act.add_argument("key")
            if name in ("pause", "stop", "ship"):
                act.add_argument("--reason", required=True)
            if name == "ship":
                act.add_argument("--variant", required=True)
            if name == "power":
                act.add_argument("--listeners", type=int)
        acts.add_parser("rollup", help="bring sums and verdicts up to date")
        acts.add_parser("recompute", help="rebuild every sum from the ledger")

    def handle(self, *args: Any, act: str, **options: Any) -> None:
        """Perform the act; a broken rule is one sentence."""
        try:
            getattr(self, f"do_{act}")(**options)
        except (RuleViolation, ValueError) as error:
            raise CommandError(str(error)) from error

    def do_list(self, **_: Any) -> None:
        """Print one line per experiment."""
        for summary in reports.summaries(at=timezone.now()):
            badges = ", ".join(badge.words for badge in summary.badges)
            self.stdout.write(
                f"{summary.experiment.key:32} {summary.listeners:>9,} listeners "
                f"{summary.days:>6.1f} days  {badges}"
            )

    def do_show(self, *, key: str, **_: Any) -> None:
        """Print results and verdict."""
        experiment = self._experiment(key)
        report = reports.report(
            experiment, at=timezone.now(), options=Options(method=Method(experiment.method))
        )
        phase = report.summary.phase
        self.stdout.write(f"{key}: {experiment.status}, phase {experiment.phase_number}")
        self.stdout.write(experiment.hypothesis)
        if phase is not None and phase.verdict:
            self.stdout.write(f"Verdict: {phase.verdict}. {phase.verdict_words}")
        metric = None
        for result in report.results:
            if result.metric != metric:
                metric = result.metric
                self.stdout.write(f"\n{metric.name} ({metric.key}, {result.role})")
            value = "-" if result.value is None else f"{result.value:.4g}"
            line = f"  {result.variant.key:20} {value:>10}  n = {result.n:,}"
            if result.lift and result.interval:
                line += (
                    f"  {result.lift.estimate:+.2%} ({result.interval.low:+.2%} to "
                    f"{result.interval.high:+.2%}), p = {result.p_adjusted:.3g}"
                )
            elif result.problem:
                line += f"  {result.problem}"
            self.stdout.write(line)
        for check in phase.checks if phase else ():
            self.stdout.write(f"{'ok' if check['ok'] else 'BROKEN':7}{check['words']}")

    def do_start(self, *, key: str, **_: Any) -> None:
        """Start, saying what was checked."""
        experiment = self._experiment(key)
        for check in services.check_before_launch(experiment):
            self.stdout.write(f"{'ok' if check.ok else 'no':4}{check.name}: {check.words}")
        services.start(experiment, at=timezone.now())
        self.stdout.write(f"{key} runs.")

    def do_pause(self, *, key: str, reason: str, **_: Any) -> None:
        """Pause."""
        services.pause(self._experiment(key), reason=reason)
        self.stdout.write(f"{key} is paused.")

    def do_stop(self, *, key: str, reason: str, **_: Any) -> None:
        """Stop."""
        services.stop(self._experiment(key), reason=reason, at=timezone.now())
        self.stdout.write(f"{key} is stopped.")

    def do_ship(self, *, key: str, variant: str, reason: str, **_: Any) -> None:
        """Ship."""
        services.ship(self._experiment(key), variant_key=variant, reason=reason, at=timezone.now())
        self.stdout.write(f"{variant} of {key} is the default: {services.default_policy()}.")

    def do_power(self, *, key: str, listeners: int | None, **_: Any) -> None:
        """Print what the plan can find."""
        experiment = self._experiment(key)
        plan = services.plan_power(experiment, listeners=listeners)
        needed = f"{plan.needed:,}" if plan.needed else "more than ten billion"
        self.stdout.write(
            f"{plan.metric}: {plan.baseline.mean:.4g} over {plan.n_history:,} listeners\n"
            f"{plan.listeners:,} listeners find {experiment.smallest_effect:.1%} with "
            f"{plan.power:.1%} power; smallest effect found with 80 %: {plan.detectable:.2%}\n"
            f"listeners for 80 % power at {experiment.smallest_effect:.1%}: {needed}"
        )

    def do_rollup(self, **_: Any) -> None:
        """Run the job here and now."""
        roll_up = services.roll_up(at=timezone.now())
        done = roll_up.steps.exclude(finished_at=None)
        self.stdout.write(f"{done.count()} of {roll_up.steps.count()} steps done.")

    def do_recompute(self, **_: Any) -> None:
        """Rebuild, and say whether anything was wrong."""
        result = services.recompute(ledger.events())
        self.stdout.write(
            f"{result.events:,} events, {result.totals:,} totals, {result.changed:,} changed."
        )

    def _experiment(self, key: str) -> Experiment:
        experiment = Experiment.objects.filter(key=key).first()
        if experiment is None:
            raise CommandError(f"There is no experiment {key!r}; see: experiment list")
        return experiment
