"""A build of which Spark's executors read the extracts and judge the Devices, each a bucket at a time.

The evidence of a bucket and the verdicts on it are those of the embedded engine, by the same functions.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

import polars as pl

from analysis.counts import Counts
from analysis.pipeline import Engine, Parameters, outcomes_of, rules
from data import duck, evidence, spark
from data.evidence import Parties
from data.marts import Draft, digest_of, opened, sync, write_table
from data.merge import Merged
from data.partials import FACTS, Partial
from data.touched import Change, change

JUDGING = "Weighing the evidence"


@contextmanager
def engine(master: str) -> Iterator[Engine]:
    """Spark as the engine of a build, on a master (`spark://host:7077`, `local-cluster[2,1,1024]` ...)."""
    with spark.cluster(master) as cluster:
        yield engine_on(cluster)


def engine_on(cluster: spark.Cluster) -> Engine:
    return Engine(intake=partial(spark.SparkIntake, cluster), judge=partial(judge, cluster))


def judge(cluster: spark.Cluster, draft: Draft, merged: Merged, parameters: Parameters, since: Change | None) -> Counts:
    """As `pipeline._judge`: each bucket is a task, which writes its outcomes and counts for the driver to take."""
    judged = draft.work / "judged"
    judged.mkdir()
    told = {
        "rules": rules(),
        "partials": [str(partial.folder) for partial in merged.partials],
        "buckets": merged.buckets,
        "as_at": merged.as_at.isoformat(),
        "grace_days": parameters.grace_days,
        "earlier": str(since.earlier.folder.absolute()) if since else None,
    }
    build = judged / "build.json"
    build.write_text(json.dumps(told), encoding="utf-8")
    jobs = [{"build": str(build), "bucket": bucket} for bucket in range(merged.buckets)]
    answers = cluster.each(
        f"{__name__}:judge_bucket", jobs, judged, lambda done, total: merged.progress(JUDGING, done, total)
    )
    counts = Counts(judged, since.earlier.files("counts") if since else None)
    for bucket, answer in enumerate(answers):
        if answer is None:
            draft.take_from(since.earlier, "outcomes", bucket)
            continue
        name = f"outcomes-{bucket:05d}.parquet"
        draft.take("outcomes", judged / answer["outcomes"], name, answer["rows"], answer["sha256"])
        counts.take(pl.read_parquet(judged / answer["counts"], glob=False))
    return counts


def judge_bucket(job: dict) -> dict | None:
    """On an executor: writes a bucket's outcomes and counts, and tells their files; None if nothing touched it.

    A task may run more than once, and at once with itself: each run writes files of its own.
    """
    build = Path(job["build"])
    merged, parties, since, grace_days = _build(build, _digest(build))
    bucket = job["bucket"]
    buckets = range(bucket, bucket + 1)
    found = evidence.of_buckets(merged, parties, buckets, since.touched if since else None)
    counts = Counts()
    [(_, outcomes)] = outcomes_of(found, buckets, merged, grace_days, since, counts)
    if outcomes is None:
        return None
    file = _written(outcomes, build.parent, "outcomes")
    counted = _written(counts.frame(), build.parent, "counts")
    return {"outcomes": file.name, "rows": outcomes.height, "sha256": digest_of(file), "counts": counted.name}


def _digest(build: Path) -> str:
    return hashlib.sha256(build.read_bytes()).hexdigest()


# An executor's process judges one bucket after the other: what is the same for all of a build is made once.
@lru_cache(maxsize=1)
def _build(build: Path, digest: str) -> tuple[Merged, Parties, Change | None, int]:
    told = json.loads(build.read_text(encoding="utf-8"))
    if told["rules"] != rules():
        raise RuntimeError("an executor has other rules than the driver: install the same version of pco on both")
    partials = [Partial(folder, json.loads((folder / FACTS).read_bytes())) for folder in map(Path, told["partials"])]
    work = Path(mkdtemp(dir=build.parent, prefix="executor-"))
    merged = Merged(partials, duck.connect(work), datetime.fromisoformat(told["as_at"]))
    merged.buckets = told["buckets"]
    since = change(opened(Path(told["earlier"])), merged, work / "earlier") if told["earlier"] else None
    return merged, evidence.parties_of(merged), since, told["grace_days"]


def _written(frame: pl.DataFrame, folder: Path, what: str) -> Path:
    file = folder / f"{what}-{uuid4().hex}.parquet"
    write_table(frame, file)
    sync(file)
    return file
