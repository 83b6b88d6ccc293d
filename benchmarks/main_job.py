"""What the main job takes: import, train, score, recommend, learn; beside what it may take.

    make bench                or    python -m benchmarks.main_job [--only PART[,PART]] [--keep]

Real listening is read from ../shared/data (or $MUSICREC_SHARED) where that is there, else the demo
is used.  Everything runs in a folder of its own below var/bench, on an embedded Postgres that
keeps what it commits, and the web server runs as deploy/gunicorn.conf.py says.  `--keep` keeps the
folder, so that a further run need not import and train again for the parts that only use it.
"""

from __future__ import annotations

import argparse
import atexit
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy, as in a web process

import json  # noqa: E402 - threads are set above

from rich.box import MARKDOWN  # noqa: E402 - same
from rich.console import Console  # noqa: E402 - same
from rich.table import Table  # noqa: E402 - same

from benchmarks.machine import (  # noqa: E402 - same
    MEGABYTE,
    Finished,
    describe_load,
    describe_machine,
)
from benchmarks.stand import ROOT, Stand  # noqa: E402 - same
from benchmarks.web import (  # noqa: E402 - same
    Inside,
    WebFigures,
    connect_django,
    give_accounts,
    measure_inside,
    measure_web,
)

PARTS = ("import", "training", "requests", "memory", "feedback", "scoring")
SHARED = Path(os.environ.get("MUSICREC_SHARED", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        what: of what.
        value: in `unit`.
        most: what it may be at most, None where nothing is asked.
        least: what it must be at least.
    """

    part: str
    what: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def target(self) -> str:
        """The bound in words."""
        if self.most is not None:
            return f"<= {self.most:,g} {self.unit}"
        return f">= {self.least:,g} {self.unit}" if self.least is not None else ""

    @property
    def verdict(self) -> str:
        """Whether the bound holds."""
        if self.most is None and self.least is None:
            return ""
        held = (self.most is None or self.value <= self.most) and (
            self.least is None or self.value >= self.least
        )
        return "met" if held else "MISSED"

    @property
    def shown(self) -> str:
        """The value with as many digits as mean something."""
        digits = 0 if self.value >= 100 or self.value == int(self.value) else 1
        digits = 2 if self.value < 1 and self.value != int(self.value) else digits
        return f"{self.value:,.{digits}f} {self.unit}".strip()


class Job:
    """Prepares each stand once, and measures the parts asked for."""

    def __init__(self, folder: Path, say: Callable[[str], None], n_requests: int) -> None:
        self.folder, self.say, self.n_requests = folder, say, n_requests
        self._main: Stand | None = None
        self._import: Finished | None = None
        self._import_again: Finished | None = None
        self._training: Finished | None = None
        self._web: WebFigures | None = None
        self._inside: Inside | None = None

    @property
    def is_real(self) -> bool:
        """Whether the listening data is there."""
        return (SHARED / "listening" / "listens.csv.gz").is_file()

    def measure(self, part: str) -> list[Figure]:
        """Return the figures of a part."""
        return getattr(self, f"_measure_{part}")()

    def _stand(self, *, fresh: bool = False) -> Stand:
        """Return the installation with listening in it."""
        if self._main is None:
            folder = self.folder / ("listening" if self.is_real else "demo")
            if fresh:
                shutil.rmtree(folder, ignore_errors=True)
            self._main = Stand(folder)
            self._main.prepare()
            if self._main.is_new:
                self._fill(self._main)
        return self._main

    def _fill(self, stand: Stand) -> None:
        if not self.is_real:
            self.say("loading the demo")
            self._import = stand.manage("load_demo")
            return
        self.say("importing ../shared/data/listening")
        stand.manage("import_tracks", str(SHARED / "listening" / "tracks.csv"))
        listens = str(SHARED / "listening" / "listens.csv.gz")
        self._import = stand.manage("import_listens", listens)
        self._import_again = stand.manage("import_listens", listens)

    def _trained(self) -> Stand:
        """Return the installation with a model."""
        stand = self._stand()
        if not (stand.folder / "models").exists():
            self.say("training")
            self._training = stand.manage("train")
        return stand

    def _measure_import(self) -> list[Figure]:
        self._stand(fresh=True)
        if self._import is None or self._import_again is None:
            self.say("there is no listening data to import; the demo was loaded")
            return []
        self.say(self._import.output.strip().splitlines()[-1])
        return [
            Figure("import", "197,249 listens", self._import.seconds, "s", most=30),
            Figure("import", "processor time", self._import.processor, "s"),
            Figure("import", "the same again", self._import_again.seconds, "s"),
            Figure("import", "peak memory", self._import.peak / MEGABYTE, "MB", most=500),
        ]

    def _measure_training(self) -> list[Figure]:
        stand = self._stand()
        if self._training is None:
            shutil.rmtree(stand.folder / "models", ignore_errors=True)
            self._trained()
        assert self._training is not None  # noqa: S101 (just trained)
        self.say(self._training.output.strip().splitlines()[-1])
        return [
            Figure("training", "wall time", self._training.seconds, "s", most=90),
            Figure("training", "processor time", self._training.processor, "s"),
            Figure("training", "peak memory", self._training.peak / MEGABYTE, "MB"),
        ]

    def _served(self) -> tuple[WebFigures, Inside]:
        if self._web is None or self._inside is None:
            stand = self._trained()
            connect_django(stand)
            tokens = give_accounts()
            self._inside = measure_inside(tokens)
            self._web = measure_web(stand, tokens, n_requests=self.n_requests)
        return self._web, self._inside

    def _measure_requests(self) -> list[Figure]:
        web, inside = self._served()
        policies = ", ".join(f"{name} {count}" for name, count in sorted(web.policies.items()))
        self.say(f"{self.n_requests} requests by policy: {policies}; fallbacks {web.fallbacks}")
        return [
            Figure("requests", "/recommend p50", web.recommend.percentile(50), "ms", most=12),
            Figure("requests", "/recommend p99", web.recommend.percentile(99), "ms", most=30),
            Figure("requests", "/recommend processor time", web.processor_ms, "ms"),
            Figure("requests", "/recommend queries", inside.recommend_queries, most=6),
            Figure("requests", "  and once a second", inside.recommend_queries_at_most),
        ]

    def _measure_feedback(self) -> list[Figure]:
        web, inside = self._served()
        return [
            Figure("feedback", "/feedback p50", web.feedback.percentile(50), "ms"),
            Figure("feedback", "/feedback p99", web.feedback.percentile(99), "ms"),
            Figure("feedback", "/feedback queries", inside.feedback_queries),
            *(
                Figure("feedback", f"fold-in, history of {length:,}", ms, "ms", most=5)
                for length, ms in inside.fold_in_ms.items()
            ),
        ]

    def _measure_memory(self) -> list[Figure]:
        web, _ = self._served()
        resident = max(memory.resident for memory in web.memory) / MEGABYTE
        proportional = max(memory.proportional for memory in web.memory) / MEGABYTE
        return [
            Figure("memory", "web process, resident", resident, "MB", most=250),
            Figure("memory", "web process, shared pages once", proportional, "MB"),
        ]

    def _measure_scoring(self) -> list[Figure]:
        archive = SHARED / "lastfm-2k" / "hetrec2011-lastfm-2k.zip"
        if archive.is_file():
            stand = Stand(self.folder / "lastfm-2k")
            stand.prepare()
            if stand.is_new:
                self.say("importing ../shared/data/lastfm-2k")
                stand.manage("import_lastfm", str(archive))
        else:
            stand = self._stand()
        self.say("scoring, numpy and Keras")
        found = json.loads(stand.python("-m", "benchmarks.scoring").output.splitlines()[-1])
        self.say(
            f"{found['tracks']:,} tracks, history of {found['history']}; Keras predict with "
            f"batches of {found['keras_batch_size']:,}; largest difference of a score "
            f"{found['difference']:.1e}, of scores that deviate by {found['deviation']:.2f}"
        )
        ours = found["numpy_neural"]
        figures = [
            Figure("scoring", "neural_cf, numpy, one thread", ours, "ms"),
            Figure("scoring", "hybrid_ensemble, numpy, one thread", found["numpy_hybrid"], "ms", 6),
        ]
        for name in ("predict", "direct", "compiled"):
            theirs = found[f"keras_{name}"]
            least = 15 if name == "predict" else None
            figures += [
                Figure("scoring", f"neural_cf, Keras {NAMES[name]}", theirs, "ms"),
                Figure("scoring", "  times numpy", theirs / ours, "x", least=least),
            ]
        return figures


NAMES = {"predict": "predict", "direct": "called directly", "compiled": "as a tf.function"}


def print_figures(console: Console, figures: list[Figure]) -> None:
    """Print measured beside asked for, as a table in Markdown."""
    table = Table("part", "what", "measured", "asked for", "", box=MARKDOWN)
    for column in (2, 3):
        table.columns[column].justify = "right"
    for figure in figures:
        table.add_row(figure.part, figure.what, figure.shown, figure.target, figure.verdict)
    console.print(table)


def main() -> int:
    """Measure what was asked for, print it, and return 1 where a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--requests", type=int, default=500, help="to /recommend")
    parser.add_argument("--keep", action="store_true", help="keep var/bench for a further run")
    options = parser.parse_args()
    wanted = options.only.split(",")
    unknown = sorted(set(wanted) - set(PARTS))
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")

    console = Console(width=110 if not sys.stdout.isatty() else None, highlight=False)
    folder = ROOT / "var" / "bench"
    job = Job(folder, lambda text: console.print(f"- {text}"), options.requests)
    console.print(f"Machine: {describe_machine()}.")
    console.print(f"Data: {'listening of 1,850 Last.fm listeners' if job.is_real else 'demo'}.")
    if not options.keep:
        # Registered before any server starts, so it runs after the last one has stopped.
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    figures, loads = [], {}
    for part in PARTS:
        if part in wanted:
            figures += job.measure(part)
            loads[part] = describe_load()
    print_figures(console, figures)
    console.print("After each part: " + "; ".join(f"{p}, {load}" for p, load in loads.items()))
    return int(any(figure.verdict == "MISSED" for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
