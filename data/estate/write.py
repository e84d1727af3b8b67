"""Numbers to Parquet: the extracts' columns and types, exactly as their contract has them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.estate import cells, changes, checks, eui, parties, pathway, premises, products
from data.estate.premises import NEVER
from data.estate.rows import Rows

TIMESTAMP = pa.timestamp("us")
# A block's whole dictionary of EUIs is one page: falling back to plain text would write every repetition.
DICTIONARY_BYTES = 1 << 28
# Numbers in a wider range than this many times their count are quicker to sort than to mark.
SPARSE = 16


def coded(codes: np.ndarray, words: list[str]) -> pa.DictionaryArray:
    """Words by their place; -1 is null."""
    missing = codes < 0
    indices = pa.array(codes, mask=missing) if missing.any() else pa.array(codes)
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))


def timestamps(ms: np.ndarray) -> pa.Array:
    missing = ms == NEVER
    if not missing.any():
        return pa.array(ms * 1000).view(TIMESTAMP)
    return pa.array(np.where(missing, 0, ms) * 1000, mask=missing).view(TIMESTAMP)


def dates(days: np.ndarray) -> pa.Array:
    return pa.array(days, mask=days == changes.OPEN_ENDED).view(pa.date32())


def texts(numbers: np.ndarray, as_text: Callable[[np.ndarray], pa.Array], parties_below: int = 0) -> pa.DictionaryArray:
    """Text of each number, made once for each that occurs; -1 is null."""
    missing = numbers < 0
    distinct, place = ranked(numbers, parties_below)
    indices = pa.array(place, mask=missing) if missing.any() else pa.array(place)
    return pa.DictionaryArray.from_arrays(indices, as_text(distinct))


def ranked(numbers: np.ndarray, parties_below: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct numbers from 0, and the place of each among them; a Device's numbers are far from any party's."""
    of_devices = numbers[numbers >= parties_below]
    gap = int(of_devices.min()) - parties_below if len(of_devices) else 0
    close = np.where(numbers >= parties_below, numbers - gap, np.maximum(numbers, 0))
    widest = int(close.max(initial=0)) + 1
    if widest > SPARSE * len(numbers) + parties_below:
        distinct, place = np.unique(close, return_inverse=True)
        place = place.astype(np.int32)
    else:
        seen = np.zeros(widest, bool)
        seen[close] = True
        distinct = np.flatnonzero(seen)
        place = (np.cumsum(seen, dtype=np.int32) - np.int32(1))[close]
    return np.where(distinct >= parties_below, distinct + gap, distinct), place


class Texts:
    """EUI and key identifier of each number, for one seed."""

    def __init__(self, seed: int):
        self.seed = seed
        self.parties = eui.euis(eui.PARTY_OUI, np.arange(len(parties.all_euis())), seed)

    def device(self, numbers: np.ndarray) -> pa.StringArray:
        return eui.as_text(eui.euis(eui.DEVICE_OUI, numbers, self.seed))

    def party(self, places: np.ndarray) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(places), eui.as_text(self.parties))

    def subject(self, owners: np.ndarray) -> pa.StringArray:
        """Parties first, then the Devices."""
        known = len(self.parties)
        values = eui.euis(eui.DEVICE_OUI, np.maximum(owners - known, 0), self.seed)
        party = owners < known
        values[party] = self.parties[owners[party]]
        return eui.as_text(values)

    def key(self, certificates: np.ndarray) -> pa.StringArray:
        return eui.as_text(eui.key_identifiers(certificates, self.seed))


def service_responses(rows: Rows, text: Texts) -> pa.Table:
    return pa.table(
        {
            "originator_id": text.party(rows["originator"]),
            "device_id": texts(rows["device"], text.device),
            "originator_counter": pa.array(rows["counter"]),
            "srv": coded(rows["srv"], pathway.SRVS),
            "command_variant": pa.array(rows["variant"]),
            "credential_type": coded(rows["credential"], pathway.CREDENTIALS),
            "remote_party_role": coded(rows["role"], pathway.ROLES),
            "sent_at": timestamps(rows["sent"]),
            "responded_at": timestamps(rows["responded"]),
            "response_code": coded(rows["code"], pathway.CODES),
            "execution_status": coded(rows["status"], pathway.STATUSES),
        }
    )


def dsp_checks(rows: Rows, text: Texts) -> pa.Table:
    return pa.table(
        {
            "device_id": texts(rows["device"], text.device),
            "check": coded(rows["check"], checks.CHECK_NAMES),
            "checked_at": timestamps(rows["checked"]),
            "passed": pa.array(rows["passed"]),
        }
    )


def credential_reads(rows: Rows, text: Texts) -> pa.Table:
    known = len(text.parties)
    return pa.table(
        {
            "device_id": texts(rows["device"], text.device),
            "read_at": timestamps(rows["read"]),
            "remote_party_role": coded(rows["role"], cells.ROLES),
            "certificate_usage": coded(rows["usage"], cells.USAGES),
            "status_code": coded(rows["status"], cells.READ_STATUSES),
            "subject_unique_id": texts(rows["subject"], text.subject, known),
            "subject_key_identifier": texts(rows["key"], text.key, known * cells.CERTIFICATES),
        }
    )


def registrations(rows: Rows, text: Texts) -> pa.Table:
    return pa.table(
        {
            "device_id": texts(rows["device"], text.device),
            "supplier_id": coded(rows["supplier"], [party["id"] for party in parties.SUPPLIERS]),
            "effective_from": dates(rows["starts"]),
            "effective_to": dates(rows["ends"]),
        }
    )


def devices(rows: Rows, text: Texts) -> pa.Table:
    product = rows["product"]
    return pa.table(
        {
            "device_id": texts(rows["device"], text.device),
            "device_type": coded(rows["type"], premises.TYPES),
            "device_status": coded(rows["status"], premises.STATUSES),
            "csp_region": coded(rows["region"], premises.REGIONS),
            **{
                column: coded(*by_product(product, name))
                for column, name in (
                    ("manufacturer", "manufacturer"),
                    ("model", "model"),
                    ("firmware_version", "firmware"),
                )
            },
            "commissioned_at": timestamps(rows["commissioned"]),
            "responsible_supplier_id": coded(rows["supplier"], [party["id"] for party in parties.SUPPLIERS]),
            "network_operator_id": coded(rows["network"], [party["id"] for party in parties.NETWORKS]),
        }
    )


def by_product(product: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
    words = sorted({each[name] for each in products.PRODUCTS})
    place = np.array([words.index(each[name]) for each in products.PRODUCTS], np.int8)
    return place[product], words


def certificates(rows: Rows, text: Texts) -> pa.Table:
    return pa.table(
        {
            "subject_unique_id": texts(rows["owner"], text.subject, len(text.parties)),
            "remote_party_role": coded(rows["role"], cells.ROLES),
            "certificate_usage": coded(rows["usage"], cells.USAGES),
            "subject_key_identifier": text.key(cells.certificate(rows["owner"], rows["usage"], rows["version"])),
            "status": coded(rows["version"], ["InUse", "Revoked"]),
        }
    )


def incidents(rows: Rows, text: Texts) -> pa.Table:
    return pa.table(
        {
            "incident_id": pa.array([f"INC{number:09d}" for number in rows["device"].tolist()], pa.string()),
            "device_id": texts(rows["device"], text.device),
            "raised_at": timestamps(rows["raised"]),
            "closed_at": timestamps(rows["closed"]),
            "resolution": coded(rows["resolution"], checks.RESOLUTIONS),
        }
    )


def party_table(text: Texts) -> pa.Table:
    everyone = parties.all_euis()
    names = ("party_id", "party_name", "category", "role", "is_dcc_user")
    return pa.table(
        {
            "eui": eui.as_text(text.parties),
            **{name: pa.array([getattr(each, name) for each in everyone]) for name in names},
        }
    )


def append(writers: dict[Path, pq.ParquetWriter], path: Path, table: pa.Table) -> None:
    """One row group more of a file, opened on its first."""
    if path not in writers:
        path.parent.mkdir(parents=True, exist_ok=True)
        writers[path] = open_writer(path, table.schema)
    writers[path].write_table(table.cast(writers[path].schema), row_group_size=max(1, table.num_rows))


def open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    whole = [field.name for field in schema if pa.types.is_temporal(field.type) or field.type == pa.uint64()]
    words = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=words,
        column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
        write_statistics=whole,
        # Without it readers see plain text, not Arrow's dictionaries.
        store_schema=False,
        dictionary_pagesize_limit=DICTIONARY_BYTES,
    )
