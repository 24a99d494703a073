"""What other processes do with an index, for tests: ``python -m tests.search.index_worker write|search PATH``.

A writer brings edition after edition of some sources in, and says when each is in; a searcher looks at them until it is
told to stop, and prints what it saw that cannot be.
"""

import sys
from itertools import count
from pathlib import Path

from likewise.search.index import Index, nearest, store
from likewise.search.index import index as index_file
from tests.search.word_hashes import WordHashes, edition, editions_in

SOURCES = ("a.txt", "b.txt", "c.txt")
PASSAGES = 40


def write(path: Path) -> None:
    """Write until this process is killed, each source in a transaction, and often tidied up."""
    store.MANY_FRAGMENTS = 2
    index_file.AT_ONCE = PASSAGES
    nearest.APPROXIMATE_FROM = 300
    index = Index.open(path, WordHashes())
    held = editions_in([hit.text for hit in index.search("edition", 10_000)])
    first = 1 + max(map(int, held), default=0)
    for number in count(first):
        for source in SOURCES:
            index.update(edition(source, number, PASSAGES))
            print(source, number, flush=True)
        index.add(edition(f"more {number}.txt", number, PASSAGES))


def search(path: Path) -> None:
    """Search until ``stop`` is there; the number of searches is the last that is printed."""
    index, stop = Index.open(path, WordHashes()), path.with_name("stop")
    seen = dict.fromkeys(SOURCES, 0)
    for searches in count():
        if stop.exists() and searches > 5:
            print(searches, "searches")
            return
        source = SOURCES[searches % 3]
        hits = index.search("edition", 1000, where=f"source = '{source}'", hybrid=searches % 2 == 1)
        numbers = editions_in([hit.text for hit in hits])
        if [len(hits), len(numbers)] not in ([PASSAGES, 1], [0, 0]) or max(map(int, numbers), default=0) < seen[source]:
            print(f"{len(hits)} passages of {source} from the editions {numbers} after {seen[source]}")
        seen[source] = max([*map(int, numbers), seen[source]])


if __name__ == "__main__":
    {"write": write, "search": search}[sys.argv[1]](Path(sys.argv[2]))
