"""Several processes that train one network together, each on its share of every batch.

All of them run the same training from the same snapshot (one program, many data); only the steps of
the network are shared, by TensorFlow's `MultiWorkerMirroredStrategy`, which adds their gradients up
over the network before every update.  So all hold the same weights at every step, and whatever is
decided from them (early stopping, the fusion) is decided alike everywhere.  The first one, the
chief, keeps what comes of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Replica:
    """Which of how many processes this one is.

    Attributes:
        index: from 0, the chief.
        n: how many there are.
    """

    index: int = 0
    n: int = 1


ALONE = Replica()


@contextmanager
def cluster(addresses: Sequence[str], index: int) -> Iterator[None]:
    """Train together with the processes at `addresses` within the block; alone where it is one.

    Enter it before TensorFlow has computed anything.  It waits until all are there.

    Args:
        addresses: host and port of every process, the chief's first, the same list everywhere.
        index: which of them this one is.

    Raises:
        ValueError: `index` is no place in `addresses`.
    """
    if not addresses or len(addresses) == 1:
        yield
        return
    if not 0 <= index < len(addresses):
        raise ValueError(f"index must lie in [0, {len(addresses)}), got {index}")
    os.environ["TF_CONFIG"] = json.dumps(
        {"cluster": {"worker": list(addresses)}, "task": {"type": "worker", "index": index}}
    )
    with tf.distribute.MultiWorkerMirroredStrategy().scope():
        yield


def this_replica() -> Replica:
    """Return which process of the cluster this one is."""
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return ALONE
    return Replica(strategy.cluster_resolver.task_id, strategy.num_replicas_in_sync)
