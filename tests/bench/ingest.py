"""Times `pco ingest` on message logs of its own making: messages a second, a second a core, and memory.

    python -m tests.bench.ingest [--messages N ...] [--cores 1 2]

Each run is held to so many cores, all its processes together, and has as many workers.

The logs hold the mix that a Device's commissioning leaves: Requests with and without certificates, acknowledgements,
replies with cells, signing requests and certificates, an alert. They are made once, in build/bench/messages.
"""

import argparse
import base64
import os
import shutil
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

from tests.messages import encoder

PROJECT = Path(__file__).resolve().parent.parent.parent
SUPPLIER, ACB = 0x90B3D51F30010000, 0x90B3D51F30000002
FIRST_DEVICE = 0x00DB000000000000
DAY = datetime(2021, 8, 1)
LOGS = 4
MIB = 1 << 20


def commissioning() -> list[bytes]:
    """Lines of one Device, in which its EUI stands for any other's."""
    device, at = FIRST_DEVICE, DAY
    own, request = encoder.certificate("DigitalSigning", 5, device=device), encoder.signing_request()
    party = encoder.certificate("DigitalSigning", 6, party=1)
    update_cells = encoder.update_cells_body("Supplier", encoder.replacement(party, party))
    sent = [
        ("6.17", 0x0A, encoder.issue_body("Digital Signature"), request),
        ("6.17", 0x0A, encoder.issue_body("Key Agreement"), request),
        ("6.15.2", 0x0B, encoder.update_key_body(own), b"\x02\x01\0"),
        ("6.15.2", 0x0B, encoder.update_key_body(own), b"\x02\x01\0"),
        (
            "6.15.1",
            0x0102,
            encoder.update_cells_body("Supplier", encoder.replacement(party, party)),
            accepted(5, 0, 0, 0),
        ),
        ("6.15.1", 0x0102, update_cells, accepted(6)),
        ("6.24.1", 0x08, encoder.read_cells_body(["Supplier", "NetworkOperator", "Recovery"]), cells()),
        ("6.24.2", 0x0C, encoder.read_key_body("Digital Signature"), own),
    ]
    lines = []
    for counter, (srv, code, body, content) in enumerate(sent, 1):
        identifier = encoder.request_id(SUPPLIER, device, counter)
        by_dcc = srv == "6.24.1"
        ends = (7_000, device, ACB) if by_dcc else (counter, device, SUPPLIER)
        payload = encoder.message(2, *ends, code, content, **({"signature": b"", "mac": encoder.MAC} if by_dcc else {}))
        later = at + timedelta(seconds=90)
        lines += [
            encoder.line(at, encoder.request(identifier, srv, 1 if by_dcc else 5, body)),
            encoder.line(at, encoder.response(identifier, "I99", at, srv)),
            encoder.line(later, encoder.response(identifier, "I0", later, srv, payload)),
        ]
        at += timedelta(minutes=3)
    alert = encoder.message(3, 900, device, SUPPLIER, 0xCB, encoder.cells_alert(0x8F66, at, outcome(6, 0, 0, 0)))
    return [*lines, encoder.line(at, encoder.device_alert(0x8F66, at, alert))]


def outcome(counter: int, *statuses: int) -> bytes:
    cell = (2, "DigitalSigning", None)
    replaced = [encoder.replaced(cell, status, (SUPPLIER, 1), (SUPPLIER, 2)) for status in statuses]
    return encoder.outcome(counter, 2, [encoder.counter_change(2, 0)], replaced)


def accepted(counter: int, *statuses: int) -> bytes:
    return encoder.cells_response(outcome(counter, *statuses) if statuses else None)


def cells() -> bytes:
    def held(*usages: tuple[str, int | None]) -> list[bytes]:
        return [encoder.held(usage, of, SUPPLIER, number) for number, (usage, of) in enumerate(usages)]

    signing, agreement = ("DigitalSigning", None), ("KeyAgreement", None)
    return encoder.cells_read(
        [
            encoder.role_cells(2, 0, 0, held(signing, agreement, ("KeyAgreement", 1))),
            encoder.role_cells(3, 0, 0, held(signing, agreement)),
            encoder.role_cells(1, 0, 0, held(signing)),
        ]
    )


def logs(messages: int) -> Path:
    """A folder with about so many messages, each Device's as those of the first."""
    folder = PROJECT / "build" / "bench" / "messages" / str(messages)
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{messages}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pattern = commissioning()
    of_first = FIRST_DEVICE.to_bytes(8)
    split = []
    for line in pattern:
        text, start, encoded = line.partition(b"GBCSPayload>")
        encoded, end, rest = encoded.partition(b"<")
        split.append((text + start, base64.b64decode(encoded), end + rest))
    devices = max(1, messages // len(pattern))
    files = [(partial / f"{number}.ndjson").open("wb") for number in range(LOGS)]
    name = encoder.eui(FIRST_DEVICE).encode()
    for number in range(devices):
        octets, its_name = (FIRST_DEVICE + number).to_bytes(8), encoder.eui(FIRST_DEVICE + number).encode()
        for head, payload, tail in split:
            encoded = base64.b64encode(payload.replace(of_first, octets))
            files[number % LOGS].write(head.replace(name, its_name) + encoded + tail.replace(name, its_name))
    for file in files:
        file.close()
    partial.rename(folder)
    return folder


def run(folder: Path, cores: int) -> dict[str, float]:
    """One `pco ingest` as a process. peak_mib: the highest resident memory of it and its processes together."""
    out = PROJECT / "build" / "bench" / f"ingested-{os.getpid()}"
    command = [sys.executable, "-c", "from dashboard.cli import main; main()", "ingest"]
    before, started = os.times(), time.perf_counter()
    process = subprocess.Popen(
        [*command, "--messages", folder, "--out", out, "--workers", str(cores)],
        cwd=PROJECT,
        preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores]),
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.1):
            peak = max(peak, sum(map(resident_mib, family(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    told = process.communicate()[0]
    done.set()
    watcher.join()
    seconds, after = time.perf_counter() - started, os.times()
    shutil.rmtree(out)
    if process.returncode:
        raise SystemExit(told)
    messages = int(next(line for line in told.splitlines() if "in all" in line).split()[5].replace(",", ""))
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"messages": messages, "seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak}


def family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in family(int(child)))]


def resident_mib(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB
    except (OSError, IndexError):
        return 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, nargs="+", default=[100_000])
    parser.add_argument("--cores", type=int, nargs="+", default=[1, len(os.sched_getaffinity(0))])
    asked = parser.parse_args()
    print("messages    cores  seconds  a second  a second a core  a second of processor  peak MiB")
    for messages in asked.messages:
        folder = logs(messages)
        for cores in asked.cores:
            r = run(folder, cores)
            rate, of_cpu = r["messages"] / r["seconds"], r["messages"] / r["cpu_seconds"]
            a_core = rate / cores
            told = f"{r['messages']:8,} {cores:8} {r['seconds']:8.1f} {rate:9,.0f} {a_core:16,.0f} {of_cpu:22,.0f}"
            print(f"{told} {r['peak_mib']:9,.0f}", flush=True)


if __name__ == "__main__":
    main()
