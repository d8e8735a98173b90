"""Runs a storm on one pair, from the first process to the account."""

from __future__ import annotations

import dataclasses
import itertools
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

from tests.faults.ledger import CONFIRMED, HANDLED, REFUSED, Account, Ledger
from tests.faults.pairs import Pair
from tests.faults.storm import schedule as kinds
from tests.faults.storm.checks import check_logs, check_outage, check_queues
from tests.faults.storm.children import Child
from tests.faults.storm.draining import drain
from tests.faults.storm.program import PREFETCH, READY, TIMEOUTS, WORKERS
from tests.faults.storm.report import Incident, Result
from tests.faults.storm.schedule import Fault
from tests.faults.storm.weather import strike

IN_FLIGHT = PREFETCH + len(TIMEOUTS) + WORKERS
"""What one process may have in flight: its credit, and a send of each of its threads."""
_READY = 60.0
_AT_WORK = 75.0
"""Seconds until a process must be at work again after a fault: the longest pause of a reconnect, and a busy machine."""
_OLD_ENOUGH = {"artemis": 0.0, "rabbitmq": 10.0}
"""Seconds that the queues of listeners must have been there before a broker may be killed: a quorum queue that is
younger than a second may come back without a leader, and then takes nothing any more."""


class Storm:
    """One shop and two warehouses on a pair, and the faults that they go through. Use it once.

    folder: for the ledger and the logs. rate: events a second of each sending thread. say: hears how it goes.
    """

    def __init__(
        self,
        pair: Pair,
        seed: int,
        folder: Path,
        *,
        rate: float = 10.0,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.broker = pair.broker
        self.never = threading.Event()
        self.pair = pair
        self.seed = f"{seed}/{pair.name}"
        self.troubles: list[str] = []
        self.incidents: list[Incident] = []
        self.children: dict[str, Child] = {}
        self._folder = folder
        self._rate = rate
        self._say = say

    def run(self, kinds_of_fault: Sequence[str], *, seconds: float = 0.0) -> Result:
        """Every kind of fault as often as it is listed, and all of them again until ``seconds`` are over."""
        begin = time.monotonic()
        faults = kinds.schedule(self.seed, kinds_of_fault)
        with Ledger(self._folder / "ledger.db") as ledger, self._processes(ledger):
            if not self.troubles:
                self._storm(ledger, faults, len(kinds_of_fault), begin + seconds)
                memory = self._calm(ledger)
            else:
                memory = {}
            return self._result(ledger, memory, time.monotonic() - begin)

    def trouble(self, text: str) -> None:
        """Note what is not as promised."""
        self.troubles.append(text)
        self._say(f"{self.pair.name}: TROUBLE: {text}")

    @contextmanager
    def _processes(self, ledger: Ledger) -> Iterator[None]:
        try:
            for name in kinds.PROCESSES:
                role, _, number = name.partition("-")
                child = Child(role, int(number), pair=self.pair, folder=self._folder, rate=self._rate)
                self.children[name] = child
                child.start()
            if not self._wait(lambda: ledger.ids(READY).keys() >= self.children.keys(), _READY):
                self.trouble(f"only {sorted(ledger.ids(READY))} were ready within {_READY:g} s: {self._last_words()}")
            yield
        finally:
            for child in self.children.values():
                child.close()

    # -- the storm

    def _storm(self, ledger: Ledger, faults: Iterator[Fault], count: int, until: float) -> None:
        self.never.wait(_OLD_ENOUGH[self.broker.name])
        while not self.troubles:
            for fault in itertools.islice(faults, count):
                self._go_through(ledger, fault)
                if self.troubles:
                    return
            if time.monotonic() >= until:
                return

    def _go_through(self, ledger: Ledger, fault: Fault) -> None:
        self.never.wait(fault.calm)
        incident = Incident(fault, time.time())
        self.incidents.append(incident)
        begin = time.monotonic()
        strike(self, fault)
        incident.lasted = time.monotonic() - begin
        if self._recovered(ledger, time.time()):
            incident.recovered = time.monotonic() - begin - incident.lasted
            if fault.kind == kinds.OUTAGE:
                check_outage(self, ledger, incident)
        self._say(f"{self.pair.name}: {incident}")

    def _recovered(self, ledger: Ledger, since: float) -> bool:
        """Wait until every process has a send confirmed, and handles events again."""
        missing: dict[str, set[str]] = {}

        def at_work() -> bool:
            for what in (CONFIRMED, HANDLED):
                active = ledger.active(what, since)
                missing[what] = {child.name for child in self.children.values() if child.pid not in active}
            return not any(missing.values())

        if self._wait(at_work, _AT_WORK):
            return True
        for child in self.children.values():
            child.show_stacks()
        idle = "; ".join(f"nothing {what} by {', '.join(sorted(names))}" for what, names in missing.items() if names)
        self.trouble(f"{idle} for {_AT_WORK:g} s: {self._last_words()}")
        return False

    # -- after the storm

    def _calm(self, ledger: Ledger) -> dict[str, float]:
        drain(self, ledger)
        memory = {child.name: child.memory for child in self.children.values()}
        for child in self.children.values():
            code = child.stop()
            if code != 0:
                self.trouble(f"{child.name} ended with {code} on SIGTERM")
        check_queues(self, ledger)
        check_logs(self)
        return memory

    def _result(self, ledger: Ledger, memory: dict[str, float], seconds: float) -> Result:
        gaps = [b - a for times in ledger.times_by_note(HANDLED).values() for a, b in zip(times, times[1:])]
        account = dataclasses.replace(Account.of(ledger), longest_gap=max(gaps, default=0.0))
        refused = dict(ledger.notes(REFUSED))
        bound = sum(refused.values()) + sum(
            IN_FLIGHT * (len(self.children) if incident.fault.kind in kinds.OF_THE_BROKER else 1)
            for incident in self.incidents
        )
        if account.duplicates > bound:
            self.trouble(f"{account.duplicates} duplicates, and no more than {bound} were in flight")
        for id in random.Random(self.seed).sample(sorted(account.lost), min(3, len(account.lost))):
            self.trouble(f"lost: {id}: {ledger.history(id)}")
        return Result(
            self.pair.name, self.seed, account, seconds, refused, bound, self.incidents, memory, self.troubles
        )

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not condition():
            dead = [child for child in self.children.values() if not child.running]
            if dead or time.monotonic() > end:
                return False
            self.never.wait(0.1)
        return True

    def _last_words(self) -> str:
        """The ends of the logs: what a person needs to see why."""
        ends = (f"--- {child}\n{''.join(list(child.log_lines())[-15:])}" for child in self.children.values())
        return f"the logs are in {self._folder}, and end with\n{''.join(ends)}"
