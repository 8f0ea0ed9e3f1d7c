"""Entries that are alike but for a few fields, by the hundred: in columns, so that nothing is done for each alone."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat

from msgspec import Struct

from batcher.drs.v3.request_body import ObjectInfo, ObjectInfoWithToken, to_json
from batcher.manifest.entry import Entry, Terms, default_keys
from batcher.manifest.formats.element import ManyObjects


class AlikeEntries(Struct):
    """Checked entries of a manifest that follow each other and have the same *terms*; see `Entry`.

    *index* is the place of the first. In jobs is nothing that JSON escapes. *objects* are the object lists of each;
    without them all have *infos*, if any.
    """

    index: int
    lines: Sequence[int]
    terms: Terms
    job_ids: Sequence[str]
    own_keys: Sequence[str] | None
    labels: Sequence[Mapping[str, str]]
    objects: ManyObjects | None
    infos: list[ObjectInfo] | None
    infos_with_token: list[ObjectInfoWithToken] | None

    def __len__(self) -> int:
        return len(self.job_ids)

    @property
    def indexes(self) -> range:
        """Each entry's place in the manifest, from 0 on."""
        return range(self.index, self.index + len(self.job_ids))

    def entries(self) -> Iterator[Entry]:
        """The entries themselves."""
        return map(
            Entry,
            self.indexes,
            self.lines,
            repeat(self.terms),
            self.job_ids,
            repeat(None) if self.own_keys is None else self.own_keys,
            self.labels,
            repeat(self.infos) if self.objects is None else self.objects.lists,
            repeat(self.infos_with_token),
        )

    def bodies(self) -> list[bytes]:
        """`Entry.body` of each."""
        job_id, objects = "JOB", [ObjectInfo("OBJECTS")]  # other texts are behind them
        infos = self.infos if self.objects is None else objects
        model = Entry(0, 0, self.terms, job_id, None, {}, infos, self.infos_with_token).body.decode()
        begin, _, rest = model.partition(job_id)
        if self.objects is None:
            return [f"{begin}{job_id}{rest}".encode() for job_id in self.job_ids]
        between, _, rest = rest.partition(to_json(objects).decode())
        written = zip(self.job_ids, self.objects.written, strict=True)
        return [f"{begin}{job_id}{between}{own}{rest}".encode() for job_id, own in written]

    def keys(self, bodies: Sequence[bytes]) -> Sequence[str]:
        """`Entry.key` of each, which have these *bodies*."""
        return default_keys(self.terms.scope, bodies) if self.own_keys is None else self.own_keys
