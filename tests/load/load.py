"""Readers by the dozen at a dashboard on this machine: `make load`, or `python -m tests.load.load --help`.

A server of its own is started on loopback for each part; readers are websocket clients (`reader.py`), in this
process, on the same cores. Every part is bounded in readers and in time. Prints what was measured and ends with 1 when
an aim was missed.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from tests.browser.serving import started
from tests.load.reader import Reader, Refused

MIB = 1 << 20
MOST_READERS, MOST_SECONDS, MOST_PART_SECONDS = 400, 300, 600
# The aims.
P95_SECONDS = 2.0
MOST_IDLE_MIB = 400
# Growth, in MiB, from the 100th session closed to the last: what is left of each would show.
MOST_GROWTH_MIB = 15
HEALTH_SECONDS = 1.0


@dataclass
class Seen:
    """Seconds of each page that was drawn; how many were answered `busy`; what went wrong."""

    seconds: list[float] = field(default_factory=list)
    busy: int = 0
    refused: int = 0
    errors: list[str] = field(default_factory=list)

    async def timed(self, drawing) -> None:
        began = time.perf_counter()
        try:
            drawn = await drawing
        except Refused:
            self.refused += 1
        except Exception as error:
            self.errors.append(f"{type(error).__name__}: {error}")
        else:
            self.errors += drawn.errors
            self.busy += drawn.is_busy
            if not drawn.is_busy:
                self.seconds.append(time.perf_counter() - began)

    def p(self, percent: int) -> float:
        return (
            quantiles(self.seconds, n=100, method="inclusive")[percent - 1] if len(self.seconds) > 1 else float("nan")
        )

    def in_figures(self) -> dict:
        return {
            "pages": len(self.seconds),
            "p50_s": round(self.p(50), 3),
            "p95_s": round(self.p(95), 3),
            "max_s": round(max(self.seconds, default=float("nan")), 3),
            "busy": self.busy,
            "refused": self.refused,
            "errors": len(self.errors),
        }


class Served:
    """A server's address and process."""

    def __init__(self, address: str, pid: int):
        self.address = address
        self.pid = pid

    @property
    def mib(self) -> float:
        """Resident memory of the server's process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the server's process since it began."""
        times = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")

    def asked(self, path: str = "/healthz") -> tuple[int, float]:
        """Status, and seconds until the answer."""
        began = time.perf_counter()
        try:
            with urllib.request.urlopen(self.address + path, timeout=20) as answer:
                status = answer.status
        except urllib.error.HTTPError as error:
            status = error.code
        return status, time.perf_counter() - began


@contextmanager
def server(marts: Path, *options: str) -> Iterator[Served]:
    with started(marts, *options) as dashboard:
        yield Served(dashboard.address, dashboard.server)


@asynccontextmanager
async def health_watched(served: Served, every: float = 0.5) -> AsyncIterator[Seen]:
    """Asks for the server's health all along."""
    health = Seen()

    async def watch() -> None:
        while True:
            status, seconds = await asyncio.to_thread(served.asked)
            health.seconds.append(seconds)
            if status != 200:
                health.errors.append(f"health answered {status}")
            await asyncio.sleep(every)

    watching = asyncio.create_task(watch())
    try:
        yield health
    finally:
        watching.cancel()


async def first_second(marts: Path, readers: int) -> tuple[dict, list[str]]:
    """Readers who all come within the server's first second."""
    seen = Seen()

    async def drawn_by(place: int):
        await asyncio.sleep(place / readers)
        reader = await Reader.comes(served.address)
        drawn = await reader.reads()
        await reader.leaves()
        return drawn

    with server(marts) as served:
        await asyncio.gather(*(seen.timed(drawn_by(place)) for place in range(readers)))
    missed = [*seen.errors] + ["not every reader was served"] * (len(seen.seconds) < readers)
    return seen.in_figures(), missed


async def steady(marts: Path, readers: int, think: float, seconds: float) -> tuple[dict, list[str]]:
    """Readers who look at a page for some seconds and then filter it or open another."""
    seen = Seen()

    async def one(number: int) -> None:
        chance = random.Random(number)
        await asyncio.sleep(think * number / readers)
        reader = await Reader.comes(served.address)
        first = Seen()
        await first.timed(reader.reads())
        seen.errors += first.errors
        while time.monotonic() < end:
            await asyncio.sleep(think * chance.uniform(0.5, 1.5))
            await seen.timed(reader.does_something(chance))
        await reader.leaves()

    with server(marts) as served:
        end = time.monotonic() + seconds
        async with health_watched(served) as health:
            ended = await asyncio.gather(*(one(number) for number in range(readers)), return_exceptions=True)
        mib, cpu = served.mib, served.cpu_seconds
    seen.errors += [repr(error) for error in ended if error] + health.errors
    missed = [*seen.errors] + [f"p95 {seen.p(95):.2f} s"] * (seen.p(95) >= P95_SECONDS) + ["busy"] * (seen.busy > 0)
    figures = {"server_mib": round(mib), "server_cpu_s": round(cpu, 1), "health_max_s": round(max(health.seconds), 3)}
    return seen.in_figures() | figures, missed


async def idle(marts: Path, readers: int) -> tuple[dict, list[str]]:
    """Readers who each had a page drawn and leave it open."""
    seen, there = Seen(), []

    async def opened():
        there.append(await Reader.comes(served.address))
        return await there[-1].reads()

    with server(marts) as served:
        for _ in range(0, readers, 4):
            await asyncio.gather(*(seen.timed(opened()) for _ in range(4)))
        await asyncio.sleep(5)
        mib = served.mib
        for reader in there:
            await reader.leaves()
    missed = [*seen.errors] + [f"{mib:.0f} MiB"] * (mib >= MOST_IDLE_MIB)
    return seen.in_figures() | {"readers": len(there), "server_mib": round(mib)}, missed


async def too_many(marts: Path, readers: int, seconds: float) -> tuple[dict, list[str]]:
    """More readers than may be connected, the others asking faster than pages can be drawn."""
    seen, sessions = Seen(), readers // 2
    full: list[int] = []

    async def one(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < end:
            try:
                reader = await Reader.comes(served.address)
            except Refused:
                seen.refused += 1
                full.append((await asyncio.to_thread(served.asked, "/"))[0])
                await asyncio.sleep(2)
                continue
            await seen.timed(reader.reads())
            while time.monotonic() < end:
                await asyncio.sleep(0.1)
                await seen.timed(reader.does_something(chance))
            await reader.leaves()

    with server(marts, "--sessions", str(sessions)) as served:
        end = time.monotonic() + seconds
        async with health_watched(served) as health:
            ended = await asyncio.gather(*(one(number) for number in range(readers)), return_exceptions=True)
        await asyncio.sleep(1)
        after = Seen()
        await after.timed(reads_once(served))
    seen.errors += [repr(error) for error in ended if error] + health.errors + after.errors
    missed = [*seen.errors]
    missed += ["nobody was told that it is busy"] * (seen.busy + seen.refused == 0)
    missed += ["a full server's page did not say so"] * (503 not in full)
    missed += [f"health took {max(health.seconds):.1f} s"] * (max(health.seconds) >= HEALTH_SECONDS)
    missed += ["slow afterwards"] * (not after.seconds or after.seconds[0] >= P95_SECONDS)
    figures = {"readers": readers, "most_sessions": sessions, "health_max_s": round(max(health.seconds), 3)}
    return seen.in_figures() | figures | {"afterwards_s": round(after.seconds[0], 3) if after.seconds else None}, missed


async def reads_once(served: Served, page: str = ""):
    reader = await Reader.comes(served.address)
    drawn = await reader.reads(page)
    await reader.leaves()
    return drawn


async def comes_and_goes(marts: Path, readers: int) -> tuple[dict, list[str]]:
    """Sessions opened, used and closed one after another, four at a time."""
    seen, mib = Seen(), []
    with server(marts) as served:
        for batch in range(readers // 4):
            await asyncio.gather(*(seen.timed(reads_once(served)) for _ in range(4)))
            if batch in (0, readers // 8 - 1, readers // 4 - 1):
                await asyncio.sleep(2)
                mib.append(round(served.mib, 1))
    growth = mib[-1] - mib[1]
    missed = [*seen.errors] + [f"grew by {growth:.0f} MiB in its second half"] * (growth >= MOST_GROWTH_MIB)
    return seen.in_figures() | {"server_mib_first_half_end": mib}, missed


async def measured(options: argparse.Namespace) -> bool:
    marts, parts = options.marts, {}
    if "first" in options.parts:
        parts[f"{options.first} readers in the first second"] = lambda: first_second(marts, options.first)
    if "steady" in options.parts:
        name = f"{options.readers} readers, {options.think:g} s think time, {options.seconds:g} s"
        parts[name] = lambda: steady(marts, options.readers, options.think, options.seconds)
    if "idle" in options.parts:
        parts[f"{options.idle} idle readers"] = lambda: idle(marts, options.idle)
    if "over" in options.parts:
        parts["over capacity"] = lambda: too_many(marts, options.over, min(30, options.seconds))
    if "churn" in options.parts:
        parts[f"{options.churn} sessions one after another"] = lambda: comes_and_goes(marts, options.churn)
    all_met = True
    print(f"load average before: {os.getloadavg()[0]:.2f}, cores: {os.cpu_count()}", flush=True)
    for name, part in parts.items():
        async with asyncio.timeout(MOST_PART_SECONDS):
            figures, missed = await part()
        all_met = all_met and not missed
        print(f"{name}: {json.dumps(figures)}", flush=True)
        for reason in sorted(set(missed))[:10]:
            print(f"  MISSED: {reason} (x{missed.count(reason)})", flush=True)
    print("all aims met" if all_met else "not all aims met")
    return all_met


def bounded(most: int):
    def number(text: str) -> int:
        found = int(text)
        if not 1 <= found <= most:
            raise argparse.ArgumentTypeError(f"from 1 to {most}")
        return found

    return number


def main() -> None:
    readers, seconds = bounded(MOST_READERS), bounded(MOST_SECONDS)
    parser = argparse.ArgumentParser(prog="python -m tests.load.load", description=__doc__.splitlines()[0])
    parser.add_argument("--marts", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", default=["first", "steady", "idle", "over", "churn"])
    parser.add_argument("--readers", type=readers, default=40)
    parser.add_argument("--think", type=float, default=5.0)
    parser.add_argument("--seconds", type=seconds, default=60)
    parser.add_argument("--first", type=readers, default=16)
    parser.add_argument("--idle", type=readers, default=300)
    parser.add_argument("--over", type=readers, default=120)
    parser.add_argument("--churn", type=readers, default=200)
    options = parser.parse_args()
    # Told to stop, it stops its server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(0 if asyncio.run(measured(options)) else 1)


if __name__ == "__main__":
    main()
