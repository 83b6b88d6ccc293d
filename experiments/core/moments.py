"""Sufficient statistics of one metric in one group of listeners, and winsorizing.

Everything downstream works on these sums alone, so that they may be added over days, segments
and machines, and come from one grouped query.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Kind = Literal["mean", "proportion", "ratio"]

COLUMNS = ("numerator", "denominator", "pre_numerator", "pre_denominator")


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, sums and cross products of four per-listener columns.

    The columns are numerator and denominator after exposure, and the same two before it.  A mean
    or proportion is the ratio whose denominator is 1 for every listener.

    Attributes:
        n: listeners.
        sums: shape (4,).
        products: shape (4, 4), sums of products of every two columns; symmetric.
    """

    n: int
    sums: Floats
    products: Floats

    @classmethod
    def zero(cls) -> "Moments":
        """Return the moments of no listeners, the neutral element of addition."""
        return cls(n=0, sums=np.zeros(4), products=np.zeros((4, 4)))

    @classmethod
    def of_values(
        cls,
        numerator: ArrayLike,
        denominator: ArrayLike | None = None,
        pre_numerator: ArrayLike | None = None,
        pre_denominator: ArrayLike | None = None,
    ) -> "Moments":
        """Return the moments of per-listener values, each of shape (n,).

        A missing denominator is 1 for everyone, a missing numerator before exposure 0.

        Raises:
            ValueError: the columns differ in length, or a value is not finite.
        """
        first = np.asarray(numerator, dtype=np.float64)
        columns = [first]
        for column, default in ((denominator, 1.0), (pre_numerator, 0.0), (pre_denominator, 1.0)):
            columns.append(
                np.full_like(first, default) if column is None else np.asarray(column, np.float64)
            )
        if any(column.shape != first.shape or column.ndim != 1 for column in columns):
            raise ValueError(f"columns must all have shape (n,), got {[c.shape for c in columns]}")
        values = np.stack(columns)  # (4, n)
        if not np.isfinite(values).all():
            raise ValueError("values must be finite")
        return cls(n=len(first), sums=values.sum(axis=1), products=values @ values.T)

    @classmethod
    def of_mean(
        cls,
        n: int,
        total: float,
        squares: float,
        *,
        pre_total: float = 0.0,
        pre_squares: float = 0.0,
        cross: float = 0.0,
    ) -> "Moments":
        """Return the moments of a mean metric from its own sums.

        Args:
            n: listeners.
            total: sum of the values.
            squares: sum of their squares.
            pre_total: sum of the values before exposure.
            pre_squares: sum of their squares.
            cross: sum of the products of value and value before.
        """
        sums = np.array([total, n, pre_total, n], dtype=np.float64)
        products = np.array(
            [
                [squares, total, cross, total],
                [total, n, pre_total, n],
                [cross, pre_total, pre_squares, pre_total],
                [total, n, pre_total, n],
            ],
            dtype=np.float64,
        )
        return cls(n=n, sums=sums, products=products)

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(self.n + other.n, self.sums + other.sums, self.products + other.products)

    @property
    def mean(self) -> Floats:
        """Means of the four columns, shape (4,).

        Raises:
            ValueError: there are no listeners.
        """
        if self.n < 1:
            raise ValueError("the mean of no listeners is undefined")
        return self.sums / self.n

    def covariance(self, *, kind: Kind = "mean") -> Floats:
        """Return the covariance of the columns, shape (4, 4).

        Divided by n - 1, and by n for a proportion, whose variance is then p(1 - p).

        Raises:
            ValueError: fewer than two listeners.
        """
        if self.n < 2:
            raise ValueError(f"a variance needs two listeners or more, got {self.n}")
        centred = self.products - np.outer(self.sums, self.sums) / self.n
        # Differences of large sums leave rounding noise where a column is constant.
        centred[np.abs(centred) <= 1e-12 * np.abs(self.products)] = 0.0
        divisor = self.n if kind == "proportion" else self.n - 1
        covariance: Floats = centred / divisor
        return covariance


def winsor_cap(values: ArrayLike, percentile: float) -> float | None:
    """Return the value at `percentile` of the non-zero `values`, or None where there are none.

    Zeros are left out, because most listeners have none of a rare thing and the cap of all would
    be 0.  Linear interpolation between order statistics, as Postgres' `percentile_cont` does.

    Raises:
        ValueError: `percentile` is outside (0, 100].
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must be in (0, 100], got {percentile}")
    array = np.asarray(values, dtype=np.float64)
    array = array[array != 0]
    return float(np.percentile(array, percentile)) if array.size else None


def winsorize(values: ArrayLike, percentile: float) -> Floats:
    """Return `values` with everything above `winsor_cap` set to the cap, shape unchanged."""
    array = np.asarray(values, dtype=np.float64)
    cap = winsor_cap(array, percentile)
    return array if cap is None else np.minimum(array, cap)
