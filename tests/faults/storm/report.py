"""What a storm came to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from tests.faults.ledger import Account
from tests.faults.storm.schedule import Fault

_COLUMNS = (
    "pair", "seconds", "faults", "sent", "confirmed", "refused", "handled", "dead-lettered", "duplicates", "(at most)",
    "lost", "longest gap s", "MiB",
)  # fmt: skip


@dataclass
class Incident:
    """A fault that came. ``at``: Unix time. ``lasted``, ``recovered``: seconds, the second from its end on."""

    fault: Fault
    at: float
    lasted: float = 0.0
    recovered: float | None = None

    def __str__(self) -> str:
        clock = time.strftime("%H:%M:%S", time.gmtime(self.at))
        after = "NOT RECOVERED" if self.recovered is None else f"all at work again after {self.recovered:.1f} s"
        return f"{clock}  {self.fault}: {self.lasted:.1f} s; {after}"


@dataclass
class Result:
    """The account, the faults, and what was not as promised."""

    pair: str
    seed: str
    account: Account
    seconds: float
    refused: dict[str, int]
    """Sends that raised and were repeated, by the error's class."""
    bound: int
    """Duplicates that the incidents allow."""
    incidents: list[Incident]
    memory: dict[str, float]
    """MiB of each process at the end."""
    troubles: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        refused = ", ".join(f"{count} {name}" for name, count in self.refused.items()) or "none"
        memory = ", ".join(f"{name} {size:.0f} MiB" for name, size in self.memory.items())
        return "\n".join(
            [
                f"{self.pair}, seed {self.seed}, {self.seconds:.0f} s: {self.account}",
                f"  duplicates at most {self.bound}; sends that raised and were repeated: {refused}; {memory}",
                *(f"  {incident}" for incident in self.incidents),
                *(f"  TROUBLE: {trouble}" for trouble in self.troubles),
            ]
        )


def show(results: Sequence[Result], console: Console) -> None:
    """The account of each pair as a table."""
    table = Table(*_COLUMNS, title="The storm (MiB: of the largest process at the end)")
    for result in results:
        account = result.account
        table.add_row(
            result.pair,
            f"{result.seconds:.0f}",
            str(len(result.incidents)),
            str(account.sent),
            str(account.confirmed),
            str(sum(result.refused.values())),
            str(account.handled),
            str(account.dead_lettered),
            str(account.duplicates),
            str(result.bound),
            str(len(account.lost)),
            f"{account.longest_gap:.1f}",
            f"{max(result.memory.values(), default=0):.0f}",
        )
    console.print(table)
