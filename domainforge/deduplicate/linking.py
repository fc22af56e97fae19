"""Compiled: rows that agree in a band are compared; those that are alike are joined."""

# mypy: allow-untyped-defs, allow-untyped-calls

import numpy as np

from domainforge.deduplicate.compiling import kernel

_ONE = np.uint64(0x9E3779B97F4A7C15)
_TWO = np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


@kernel
def find_copies(exact, table, first):
    """Set `first` of each row to the earliest row of the same exact key.

    Args:
        exact: [row, 2] keys.
        table: Row numbers plus one by hash; a power of two long, kept at most half full.
        first: [row]
    """
    mask = np.uint64(len(table) - 1)
    for row in range(len(exact)):
        at = (exact[row, 0] * _ONE >> np.uint64(20)) & mask
        while table[at]:
            other = np.int64(table[at]) - 1
            if exact[other, 0] == exact[row, 0] and exact[other, 1] == exact[row, 1]:
                break
            at = (at + np.uint64(1)) & mask
        if table[at]:
            first[row] = table[at] - 1
        else:
            table[at] = row + 1
            first[row] = row


@kernel
def select_pairs(keys, rows, taken, counts):
    """Return `key << 32 | row` of all rows whose key may not be alone.

    Counts in two bits by hash show which keys are alone: those rows, most of all, are never
    sorted.

    Args:
        keys: [n] of one band.
        rows: [n] whose they are.
        taken: [row] Whether a row takes part.
        counts: Zeros; a power of two long, 32 counts in each.
    """
    bits = np.uint64(0)
    while (np.uint64(1) << bits) < len(counts):
        bits += np.uint64(1)
    shift = np.uint64(64) - bits - np.uint64(5)
    found = 0
    for at in range(len(keys)):
        if taken[rows[at]]:
            place = np.uint64(keys[at]) * _ONE >> shift
            part = (place & np.uint64(31)) << np.uint64(1)
            word = counts[place >> np.uint64(5)]
            seen = (word >> part) & np.uint64(3)
            if seen < 2:
                counts[place >> np.uint64(5)] = word + (np.uint64(1) << part)
            found += 1 if seen == 0 else 2 if seen == 1 else 1
    pairs = np.empty(found, np.uint64)
    found = 0
    for at in range(len(keys)):
        if taken[rows[at]]:
            place = np.uint64(keys[at]) * _ONE >> shift
            part = (place & np.uint64(31)) << np.uint64(1)
            if (counts[place >> np.uint64(5)] >> part) & np.uint64(2):
                pairs[found] = np.uint64(keys[at]) << _HALF | np.uint64(rows[at])
                found += 1
    return pairs[:found]


@kernel
def list_buckets(pairs, references, is_candidate):
    """Return the rows of sorted pairs whose keys are not alone, and where each key's end.

    Args:
        pairs: From `select_pairs`, sorted.
        references: Where not 0: buckets are left out that don't hold a row below this and another.
        is_candidate: [row] is set for these rows.
    """
    rows = np.empty(len(pairs), np.uint32)
    ends = np.empty(len(pairs) // 2 + 1, np.uint32)
    filled, buckets, at = 0, 0, 0
    while at < len(pairs):
        end = at + 1
        while end < len(pairs) and pairs[end] >> _HALF == pairs[at] >> _HALF:
            end += 1
        lowest, highest = np.int64(pairs[at] & _LOW), np.int64(pairs[end - 1] & _LOW)
        is_mixed = lowest < references <= highest
        if end - at > 1 and (is_mixed or not references):
            for each in range(at, end):
                row = pairs[each] & _LOW
                rows[filled] = row
                is_candidate[row] = True
                filled += 1
            ends[buckets] = filled
            buckets += 1
        at = end
    return rows[:filled].copy(), ends[:buckets].copy()


@kernel
def find_root(parents, row):
    """Return the lowest row of a cluster."""
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@kernel
def label_rows(parents):
    """Point every row at the lowest one of its cluster."""
    for row in range(len(parents)):
        parents[row] = parents[parents[row]]


@kernel
def _compare(shingles, begin, other_begin, size, other_size, least):
    """Return the Jaccard similarity of two sorted sets, or -1 where it is below `least`."""
    together = size + other_size
    # J >= t of sets of a and b shares at least t / (1 + t) * (a + b).
    needed = np.int64(np.ceil(least / (1.0 + least) * together - 1e-9))
    if min(size, other_size) < needed:
        return -1.0
    at, end = begin, begin + size
    other, other_end = other_begin, other_begin + other_size
    shared = 0
    # How many of the first set may be missing in the second.
    spare = size - needed
    while at < end and other < other_end:
        left, right = shingles[at], shingles[other]
        shared += left == right
        if left < right:
            spare -= 1
            if spare < 0:
                return -1.0
        at += left <= right
        other += right <= left
    if shared < needed:
        return -1.0
    similarity = shared / (together - shared)
    # The bound is rounded; what counts is the quotient, as anyone would work it out.
    return similarity if similarity >= least else -1.0


@kernel
def _part_bucket(bucket, shingles, spans, salt):
    """Order the rows of a large bucket by one more MinHash; returns where its parts end."""
    starts, sizes = spans
    keyed = np.empty(len(bucket), np.uint64)
    mask = np.uint64(salt) * _ONE
    for each in range(len(bucket)):
        row = bucket[each]
        least = _LOW
        for at in range(starts[row], starts[row] + sizes[row]):
            least = min(least, (np.uint64(shingles[at]) ^ mask) * _TWO >> _HALF)
        keyed[each] = least << _HALF | np.uint64(row)
    keyed.sort()
    ends = np.empty(len(bucket), np.int64)
    parts = 0
    for each in range(len(bucket)):
        bucket[each] = np.uint32(keyed[each] & _LOW)
        if each + 1 == len(bucket) or keyed[each] >> _HALF != keyed[each + 1] >> _HALF:
            ends[parts] = each + 1
            parts += 1
    return ends[:parts]


@kernel
def _link_part(part, known, shingles, spans, least, most, forest):
    names, is_long = known
    starts, sizes = spans
    parents, best, best_jaccard = forest
    for each in range(1, len(part)):
        row = np.int64(part[each])
        for at in range(each - 1, max(-1, each - 1 - most), -1):
            other = np.int64(part[at])
            root, other_root = find_root(parents, row), find_root(parents, other)
            if root == other_root:
                continue
            if len(names) and names[row] and names[row] == names[other]:
                continue
            if len(is_long) and is_long[row] and is_long[other]:
                continue
            jaccard = _compare(
                shingles, starts[row], starts[other], sizes[row], sizes[other], least
            )
            if jaccard < 0:
                continue
            parents[max(root, other_root)] = min(root, other_root)
            if jaccard > best_jaccard[row]:
                best[row], best_jaccard[row] = other, jaccard
            if jaccard > best_jaccard[other]:
                best[other], best_jaccard[other] = row, jaccard


@kernel
def link_buckets(rows, ends, known, shingles, spans, least, most, salt, forest):
    """Join the rows of each bucket that are alike.

    Args:
        rows: From `list_buckets`.
        ends: From `list_buckets`.
        known: For each row a name or 0 (rows of one name are left apart), and whether it is
            long (two such are left apart); each may be empty.
        shingles: Of all rows, sorted for each.
        spans: Where those of each row begin, and how many there are.
        least: Jaccard similarity.
        most: Rows that one is compared with; a bucket of more is parted first.
        salt: Another one for each band.
        forest: Parents, the row most like each one, and how alike it is; changed.
    """
    begin = 0
    for end in ends:
        bucket = rows[begin:end]
        begin = end
        if len(bucket) <= most:
            _link_part(bucket, known, shingles, spans, least, most, forest)
            continue
        start = 0
        for stop in _part_bucket(bucket, shingles, spans, salt):
            _link_part(bucket[start:stop], known, shingles, spans, least, most, forest)
            start = stop


@kernel
def _match_part(part, references, is_long, shingles, spans, least, most, matches):
    best, best_jaccard = matches
    starts, sizes = spans
    count = 0
    while count < len(part) and part[count] < references:
        count += 1
    for each in range(count, len(part)):
        row = np.int64(part[each])
        for at in range(min(count, most)):
            other = np.int64(part[at])
            bound = max(least, best_jaccard[row])
            if len(is_long) and is_long[row] and is_long[other]:
                continue
            jaccard = _compare(
                shingles, starts[row], starts[other], sizes[row], sizes[other], bound
            )
            if jaccard > best_jaccard[row] or (jaccard == best_jaccard[row] and other < best[row]):
                best[row], best_jaccard[row] = other, jaccard


@kernel
def match_buckets(rows, ends, parted, shingles, spans, least, most, salt, matches):
    """Find for each row the reference that is most like it.

    Args:
        rows: From `list_buckets`.
        ends: From `list_buckets`.
        parted: How many of the first rows are references, and `is_long` as in `known`.
        shingles: As of `link_buckets`, like the next four.
        spans: Where those of each row begin, and how many there are.
        least: Jaccard similarity.
        most: References that a row is compared with.
        salt: Another one for each band.
        matches: The best reference of each row, and how alike it is; changed.
    """
    references, is_long = parted
    begin = 0
    for end in ends:
        bucket = rows[begin:end]
        begin = end
        if len(bucket) <= most or bucket[most] >= references:
            _match_part(bucket, references, is_long, shingles, spans, least, most, matches)
            continue
        start = 0
        for stop in _part_bucket(bucket, shingles, spans, salt):
            _match_part(
                bucket[start:stop], references, is_long, shingles, spans, least, most, matches
            )
            start = stop


@kernel
def find_most_alike(own, name, flat, ends, names, refused, floor):
    """Return which run of sorted shingles is most like one's own, or -1.

    Args:
        own: Sorted shingles.
        name: Runs of that name are passed over; 0 is no name.
        flat: All runs, one after another.
        ends: [run + 1] Where each begins, and where the last one ends.
        names: [run]
        refused: [run] Whether it is passed over.
        floor: The least likeness.
    """
    best, most = -1, floor
    for at in range(len(ends) - 1):
        start, end = ends[at], ends[at + 1]
        if refused[at] or (name != 0 and names[at] == name):
            continue
        small, large = min(len(own), end - start), max(len(own), end - start)
        if large == 0 or small < most * large:
            continue
        shared, here, there = 0, 0, start
        while here < len(own) and there < end:
            if own[here] == flat[there]:
                shared += 1
                here += 1
                there += 1
            elif own[here] < flat[there]:
                here += 1
            else:
                there += 1
        likeness = shared / (len(own) + end - start - shared)
        if likeness > most or (best < 0 and likeness >= most):
            best, most = at, likeness
    return best
