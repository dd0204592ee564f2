"""Runs a graph on made-up inputs, to warm it up and to learn what it costs here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from diffpose_ros.runtime.protocol import Backend


def rehearse(
    backend: Backend,
    people: int,
    sizes: Mapping[str, int],
    trials: int,
    timer: Callable[[], float],
) -> float:
    """The least seconds of ``trials`` runs after a first one.

    Args:
        backend: what runs.
        people: rows.
        sizes: the graph's other sizes, where they differ from its own.
        trials: at least 1.
        timer: monotonic seconds.
    """
    feeds = backend.spec.example_feeds(backend.rows(people), sizes)
    backend.run(feeds)
    times = []
    for _ in range(trials):
        start = timer()
        backend.run(feeds)
        times.append(timer() - start)
    return min(times)
