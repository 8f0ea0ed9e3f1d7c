"""The manifest room: formats, the entry, and every check made before anything is sent."""

from batcher.manifest.alike_entries import AlikeEntries
from batcher.manifest.check import Judged
from batcher.manifest.entry import Entry, Finding
from batcher.manifest.envelope import RunDefaults
from batcher.manifest.errors import ManifestError
from batcher.manifest.findings import finding_line
from batcher.manifest.manifest import Manifest, open_manifest

__all__ = [
    "AlikeEntries",
    "Entry",
    "Finding",
    "Judged",
    "Manifest",
    "ManifestError",
    "RunDefaults",
    "finding_line",
    "open_manifest",
]
