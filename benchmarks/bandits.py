"""Regret and time per decision of the bandit beside three libraries, in one run.

    make bench-bandits        or, with benchmarks/requirements-bandits.txt installed:
    python -m benchmarks.bandits [--rounds 2000] [--seeds 20] [--world NAME] [--floor 0.02]
                                 [--learner NAME]

Every learner sees the same contexts and the same rewards of a world (bandits/core/worlds.py), one
round at a time, and learns from each reward before the next choice.  Libraries run with the
settings stated beside them: those that take a noise are told 0.25, that of the linear worlds;
those that forget do so as fast as musicrec does.

A floor under every arm's probability makes logs comparable offline and costs reward, whoever
chooses.  So all are compared twice: without one, and each with musicrec's default of 0.02, which
is mixed into what a library chooses where the library has none of its own.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import product

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy: 21 x 21 matrices gain nothing by threads

import numpy as np  # noqa: E402 - threads are set above

from bandits.core.worlds import World, linear_world, logistic_world  # noqa: E402 - same
from benchmarks.bandits_learners import N_ARMS, N_FEATURES, Floats, half_life, learners  # noqa: E402

FIRST_SEED = 1000  # the defaults were chosen on the worlds of other seeds, all below it
WORLDS = ("linear", "logistic", "drifting")
FLOORS = (0.0, 0.02)


def make_world(name: str, seed: int, rounds: int) -> World:
    """Return the world of a name; the same for every learner."""
    rng = np.random.default_rng(seed)
    if name == "logistic":
        return logistic_world(rng, n=rounds, n_arms=N_ARMS, n_features=N_FEATURES)
    return linear_world(
        rng, n=rounds, n_arms=N_ARMS, n_features=N_FEATURES, drift=name == "drifting"
    )


def play(
    world_name: str, learner_name: str, seed: int, rounds: int, floor: float
) -> tuple[float, float, float]:
    """Return total regret, and the median milliseconds of a choice and of a reward."""
    warnings.simplefilter("ignore")
    world = make_world(world_name, seed, rounds)
    learner = learners(world_name, rounds, floor)[learner_name](seed)
    regret = 0.0
    choosing, learning = np.empty(rounds), np.empty(rounds)
    for now, context in enumerate(world.contexts):
        start = time.perf_counter()
        arm = learner.choose(context)
        chosen = time.perf_counter()
        learner.learn(context, arm, float(world.rewards[now, arm]))
        choosing[now], learning[now] = chosen - start, time.perf_counter() - chosen
        regret += float(world.gaps[now, arm])
    return regret, 1e3 * float(np.median(choosing)), 1e3 * float(np.median(learning))


def report(world: str, floor: float, results: dict[str, Floats]) -> tuple[str, float]:
    """Print the table of one world and floor.

    Returns:
        the best of the others, and how many standard errors of the difference over the same seeds
        musicrec is behind it; up to 1 it is at least level.
    """
    seeds = len(next(iter(results.values())))
    print(
        f"\n{world} world, floor {floor:g}: total regret over rounds, mean ± standard error of "
        f"{seeds} seeds"
    )
    print(f"{'':30}{'regret':>16}{'choose ms':>11}{'learn ms':>10}")
    for name, rows in sorted(results.items(), key=lambda item: item[1][:, 0].mean()):
        error = rows[:, 0].std(ddof=1) / np.sqrt(seeds)
        print(
            f"{name:30}{rows[:, 0].mean():9.1f} ± {error:4.1f}"
            f"{np.median(rows[:, 1]):11.3f}{np.median(rows[:, 2]):10.3f}"
        )
    others = {name: rows for name, rows in results.items() if not name.startswith("musicrec")}
    best = min(others, key=lambda name: others[name][:, 0].mean())
    difference = results[ours(world)][:, 0] - others[best][:, 0]
    error = difference.std(ddof=1) / np.sqrt(seeds)
    behind = float(difference.mean() / error)
    print(
        f"{ours(world)} - {best}: {difference.mean():+.1f} ± {error:.1f}: "
        f"{'at least level' if behind <= 1 else 'behind'}",
        flush=True,
    )
    return best, behind


def ours(world: str) -> str:
    """Return the name of the learner that is for such a world."""
    return "musicrec logistic" if world == "logistic" else "musicrec"


def main() -> int:
    """Run it all; exit with 1 where musicrec is behind.

    Where it is behind by less than two standard errors, which a level pair is in one of seven
    tables, the two are played again with three times the seeds, and that decides.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--world", choices=WORLDS, action="append")
    parser.add_argument("--floor", type=float, action="append")
    parser.add_argument("--learner", action="append", help="its name begins so; all if not given")
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(
        f"{N_ARMS} arms, {N_FEATURES} features, {arguments.rounds} rounds, one reward at a time; "
        f"in the drifting world all weights change half-way and those that forget do so with a "
        f"half-life of {half_life(arguments.rounds):g} rounds",
        flush=True,
    )
    is_level = True
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:

        def results(world: str, floor: float, names: list[str], seeds: int) -> dict[str, Floats]:
            running = {
                name: [
                    pool.submit(play, world, name, seed, arguments.rounds, floor)
                    for seed in range(FIRST_SEED, FIRST_SEED + seeds)
                ]
                for name in names
            }
            return {
                name: np.array([future.result() for future in futures])
                for name, futures in running.items()
            }

        for world, floor in product(arguments.world or WORLDS, arguments.floor or FLOORS):
            wanted = tuple(arguments.learner or [""])
            names = [n for n in learners(world, arguments.rounds, floor) if n.startswith(wanted)]
            best, behind = report(world, floor, results(world, floor, names, arguments.seeds))
            if 1 < behind < 2:
                pair = [ours(world), best]
                _, behind = report(world, floor, results(world, floor, pair, 3 * arguments.seeds))
            is_level &= behind <= 1
    return 0 if is_level else 1


if __name__ == "__main__":
    sys.exit(main())
