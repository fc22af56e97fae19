"""Which clusters become validation: each task and document by its share, whole clusters only."""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from domainforge.splitting.keys import Keys, key_of

_FEWEST_FOR_VALIDATION = 10


class Candidates:
    """The training side's chats, as numbers: twelve bytes each, more while they are chosen from."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self._strata = array("I")
        self._keys = array("Q")
        self._staying: set[int] = set()

    def add(self, task: str, source: str, cluster: str) -> None:
        """Take a chat."""
        self._strata.append(self._numbers.setdefault((task, source), len(self._numbers)))
        self._keys.append(key_of(cluster))

    def keep(self, cluster: str) -> None:
        """Keep a cluster for training: a row of it is no chat."""
        self._staying.add(key_of(cluster))

    def choose(self, share: float, seed: int) -> Keys:
        """Return the keys of the clusters that become validation, in order of size.

        Tasks get their share first, within a task the documents. What rounding leaves over goes to
        the largest remainders. A cluster belongs to the first of its tasks and documents, by name.
        """
        total = len(self._keys)
        wanted = round(share * total)
        if share and total >= _FEWEST_FOR_VALIDATION:
            wanted = max(wanted, 1)
        groups, sizes, names = self._clusters()
        seats = _hand_out(wanted, sizes, names, seed)
        chosen: list[int] = []
        left: list[int] = []
        for at in _shuffle(groups, seed):
            stratum = names[at]
            if groups[at] in self._staying:
                continue
            if sizes[at] <= seats[stratum]:
                seats[stratum] -= sizes[at]
                wanted -= sizes[at]
                chosen.append(at)
            else:
                left.append(at)
        chosen += _fill(left, sizes, wanted, not chosen)
        return np.unique(np.array([groups[at] for at in chosen], dtype=np.uint64))

    def _clusters(self) -> tuple[list[int], list[int], list[tuple[str, str]]]:
        """Return each cluster's key, its size and what it counts as."""
        order = sorted(self._numbers)
        rank = np.zeros(len(order), dtype=np.int64)
        for place, name in enumerate(order):
            rank[self._numbers[name]] = place
        keys = np.array(self._keys, dtype=np.uint64)
        ranks = rank[np.array(self._strata, dtype=np.int64)] if len(keys) else np.zeros(0, np.int64)
        sorting = np.lexsort((ranks, keys))
        groups, first, sizes = np.unique(keys[sorting], return_index=True, return_counts=True)
        names = [order[at] for at in ranks[sorting][first]]
        return groups.tolist(), sizes.tolist(), names


def share_out(total: int, weights: Mapping[str, int], seed: int) -> dict[str, int]:
    """Divide whole seats by weight: the quota rounded down, the rest to the largest remainders.

    Equal remainders are told apart by the seed. (Hamilton's method.)
    """
    whole = sum(weights.values())
    if not whole:
        return dict.fromkeys(weights, 0)
    seats = {name: total * weight // whole for name, weight in weights.items()}
    rest = {name: total * weight % whole for name, weight in weights.items()}
    ranked = sorted(weights, key=lambda name: (-rest[name], key_of(f"{seed}:{name}")))
    for name in ranked[: total - sum(seats.values())]:
        seats[name] += 1
    return seats


def _hand_out(
    wanted: int, sizes: Sequence[int], names: Sequence[tuple[str, str]], seed: int
) -> dict[tuple[str, str], int]:
    weights: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for (task, source), size in zip(names, sizes, strict=True):
        weights[task][source] += size
    tasks = share_out(wanted, {task: sum(own.values()) for task, own in weights.items()}, seed)
    return {
        (task, source): seats
        for task, own in weights.items()
        for source, seats in share_out(tasks[task], own, seed).items()
    }


def _fill(left: Sequence[int], sizes: Sequence[int], wanted: int, nothing: bool) -> Iterator[int]:
    """Yield clusters for the seats that no cluster of their own task and document could take."""
    waiting = []
    for at in left:
        if wanted > 0 and sizes[at] <= wanted:
            wanted -= sizes[at]
            nothing = False
            yield at
        else:
            waiting.append(at)
    smallest = min(waiting, key=lambda at: sizes[at], default=None)
    # One more that is too large misses what is wanted by less than none would.
    if smallest is not None and wanted > 0 and (nothing or sizes[smallest] < 2 * wanted):
        yield smallest


def _shuffle(groups: Sequence[int], seed: int) -> list[int]:
    """Return the positions of keys in an order that depends on keys and seed alone."""
    mixed = np.array(groups, dtype=np.uint64) ^ np.uint64(key_of(str(seed)))
    # The finaliser of splitmix64 (Steele, Lea and Flood 2014).
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    order: list[int] = np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable").tolist()
    return order
