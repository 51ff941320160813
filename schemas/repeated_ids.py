"""Finds ids that stand on several rows of one file, in eight bytes a row (rule V8)."""

import secrets

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]


class IdHashes:
    """Collects the ids of a file batch by batch, then tells which of them stand on more than one row.

    Ids are kept as 64-bit hashes under a key drawn anew for each file, so that no one can prepare
    collisions. A chance collision (3 in 10^9 for 350,000 ids) makes the count one too high; the load
    counts the ids themselves and disagrees (rule L3), and the next try draws another key.
    """

    def __init__(self) -> None:
        self._key = secrets.token_hex(8)
        self._hashes = bytearray()  # grows in place: at the end there is no second copy of them
        self._repeated: Hashes | None = None

    def add(self, ids: pa.Array) -> None:
        """Take the ids of the next rows."""
        self._hashes += self._hash(ids).data

    def finish(self) -> int:
        """Close the collection; the rows beyond the first of each id, counted over the whole file."""
        every = np.frombuffer(self._hashes, np.uint64)
        every.sort()
        again = every[1:][every[1:] == every[:-1]]
        self._repeated = np.unique(again)
        self._hashes = bytearray()
        return len(again)

    def repeats(self, ids: pa.Array) -> npt.NDArray[np.bool_]:
        """After `finish`: for each id, whether it stands on more than one row of the file."""
        if self._repeated is None:
            raise RuntimeError("finish() comes first")
        if not len(self._repeated):
            return np.zeros(len(ids), np.bool_)
        return np.isin(self._hash(ids), self._repeated)

    def _hash(self, ids: pa.Array) -> Hashes:
        values = ids.to_numpy(zero_copy_only=False)
        return pd.util.hash_array(values, hash_key=self._key, categorize=False)
