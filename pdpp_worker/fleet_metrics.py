"""Tells Prometheus the numbers of the whole fleet, read from PostgreSQL when it asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pdpp_worker.store.engine import Database
from pdpp_worker.store.process_marks import AWAY
from pdpp_worker.store.views import fleet_views
from pdpp_worker.store.views.fleet_views import FleetNumber, Samples

FRESH_S = 5.0
"""So long an answer stands: several that ask cost the database one look."""
PATIENCE_S = 3.0
"""So long a scrape waits for the database; then it goes without these numbers."""

Read = list[tuple[FleetNumber, Samples]]


class FleetCollector(Collector):
    """Gauges of the whole fleet. Without the database there are none, and `pdpp_database_up` is 0."""

    def __init__(self, db: Callable[[], Database], *, clock: Callable[[], float] = time.monotonic) -> None:
        """`db` opens the database, or returns the one that is open."""
        self._db = db
        self._clock = clock
        self._lock = threading.Lock()
        self._look: Future[Read] | None = None
        self._looked_at = 0.0

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing, so that nothing is read when it is registered."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The numbers of the last look, which is at most `FRESH_S` old."""
        try:
            found = self._current().result(PATIENCE_S)
        except (*AWAY, TimeoutError):  # a scrape goes on without them, and the gauge says so
            found = None
        yield GaugeMetricFamily("pdpp_database_up", "1 where the database answers.", 0.0 if found is None else 1.0)
        for number, samples in found or ():
            family = GaugeMetricFamily(number.metric, number.about, labels=number.labels)
            for labels, value in samples:
                family.add_metric(labels, value)
            yield family

    def _current(self) -> Future[Read]:
        """The look that is under way or fresh, or a new one, in a thread of its own: a database may not answer."""
        with self._lock:
            look = self._look
            if look is None or (look.done() and self._clock() - self._looked_at > FRESH_S):
                look = self._look = Future[Read]()
                self._looked_at = self._clock()
                threading.Thread(target=self._read, args=(look,), name="fleet-metrics", daemon=True).start()
            return look

    def _read(self, look: Future[Read]) -> None:
        try:
            with self._db().begin() as connection:
                found = fleet_views.read(connection)
        except AWAY as error:
            look.set_exception(error)
        else:
            look.set_result(found)
