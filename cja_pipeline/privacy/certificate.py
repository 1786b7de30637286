"""What an erasure did and what a scan found afterwards, for the person and for an auditor. Names nobody."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from cja_pipeline.journey_maps.atomic import write_atomically
from cja_pipeline.privacy.scan import Residue
from cja_pipeline.privacy.work import Work

NOT_COVERED = (
    "the vendors' own systems: erase there too, or this note keeps out what they go on sending",
    "copies that left this installation by other ways than `cja export` and `cja privacy export`",
    "backups: let them expire, or erase again after restoring one (the note is honoured at once)",
)


@dataclass(frozen=True)
class Certificate:
    """One finished or failed erasure. `residue` maps places to the number of hits; empty is what must be."""

    erasure: str
    reason: str
    requested_at: str
    finished_at: str
    records: dict[str, int]
    identifiers: dict[str, int]
    kept_shared: dict[str, int]
    left_for_review: int
    landed_records_removed: dict[str, int]
    files_scanned: int
    bytes_scanned: int
    tables_scanned: int
    patterns: int
    residue: dict[str, int]
    not_covered: tuple[str, ...] = NOT_COVERED

    @classmethod
    def of(cls, work: Work, residue: Residue, removed: dict[str, int]) -> Certificate:
        return cls(
            erasure=work.erasure,
            reason=work.reason,
            requested_at=work.at,
            finished_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            records=dict(sorted(Counter(record.partition(":")[0] for record in work.records).items())),
            identifiers=dict(sorted(Counter(kind for kind, _ in work.values).items())),
            kept_shared=dict(sorted(work.shared.items())),
            left_for_review=work.review,
            landed_records_removed=removed,
            files_scanned=residue.files,
            bytes_scanned=residue.bytes,
            tables_scanned=residue.tables,
            patterns=residue.patterns,
            residue=dict(residue.found),
        )

    @property
    def clean(self) -> bool:
        return not self.residue

    def text(self) -> str:
        """The certificate to read."""

        def listed(counts: dict[str, int]) -> str:
            return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"

        found = "".join(f"\n  {place}: {hits}" for place, hits in self.residue.items())
        return "\n".join(
            [
                f"Certificate of erasure {self.erasure}",
                "",
                f"Requested    {self.requested_at} ({self.reason})",
                f"Finished     {self.finished_at}",
                f"Records      {listed(self.records)}",
                f"Identifiers  {listed(self.identifiers)}",
                f"Shared       {listed(self.kept_shared)} (used by other people too, and kept for them)",
                f"For review   {self.left_for_review} records that were joined by likeness only, kept",
                f"Landing      {listed(self.landed_records_removed)} (taken or kept out, all erasures)",
                f"Searched     {self.files_scanned} files ({self.bytes_scanned:,} bytes, also decompressed), "
                f"every cell of {self.tables_scanned} tables, for {self.patterns} spellings and hashes",
                f"Found        {'nothing' if self.clean else 'RESIDUE, see below'}{found}",
                "",
                "Not covered:",
                *(f"- {text}" for text in self.not_covered),
                "",
            ]
        )


def write_certificate(folder: Path, certificate: Certificate) -> None:
    """Write ``<erasure>.json`` and ``<erasure>.txt``."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(
        folder / f"{certificate.erasure}.json", json.dumps(asdict(certificate), indent=1).encode()
    )
    write_atomically(folder / f"{certificate.erasure}.txt", certificate.text().encode())
