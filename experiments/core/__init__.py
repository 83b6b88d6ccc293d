"""Assignment, statistics and decisions of experiments: numpy and scipy, plain values, sums."""
