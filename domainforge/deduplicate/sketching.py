"""Compiled: bytes of texts to words, shingles, MinHash band keys and exact keys, in one pass.

All of it stands in one file, since numba's cache looks at the file of a function only, not at
those of the functions that it calls.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

import numpy as np

from domainforge.deduplicate.compiling import kernel, lowest_bit
from domainforge.deduplicate.folding import END_MARK, LETTER, NOTHING, SPACE

# Odd numbers without a pattern, of splitmix64 and of Dietzfelbinger's choosing.
_ONE = np.uint64(0x9E3779B97F4A7C15)
_TWO = np.uint64(0xD6E8FEB86659FD93)
_THREE = np.uint64(0xC2B2AE3D27D4EB4F)
_FOUR = np.uint64(0xFF51AFD7ED558CCD)
_HALF = np.uint64(32)
_SPACED = np.uint64(0xA0761D6478BD642F)
_HIGHEST = np.uint32(0xFFFFFFFF)
_HIGHEST_64 = np.uint64(0xFFFFFFFFFFFFFFFF)


@kernel
def _mix(value):
    value = (value ^ (value >> _HALF)) * _TWO
    value = (value ^ (value >> _HALF)) * _FOUR
    return value ^ (value >> _HALF)


@kernel
def _fold_ascii(data, start, size, folded, is_letter):
    """Fold a text of nothing but ASCII; returns False where it isn't."""
    # Slices and no branches, so that the loops become vector instructions.
    own, into, flags = data[start : start + size], folded[:size], is_letter[:size]
    every = np.uint8(0)
    for at in range(size):
        every |= own[at]
    if every >= 128:
        return False
    for at in range(size):
        byte = own[at]
        lower = byte | np.uint8(32)
        is_alpha = np.uint8((lower >= 97) & (lower <= 122))
        into[at] = byte | (is_alpha << np.uint8(5))
        flags[at] = is_alpha | np.uint8((byte >= 48) & (byte <= 57))
    return True


@kernel
def _fold_any(data, start, size, is_folded, tables, folded, is_letter):
    """Fold a text by the tables; returns its new size, or -1 where they don't suffice."""
    folds, kinds = tables
    at, end, filled = start, start + size, 0
    while at < end:
        code = np.int64(data[at])
        length = 1
        if code >= 128:
            length = 2 if code < 0xE0 else 3 if code < 0xF0 else 4
            if at + length > end:
                return -1
            code &= 0xFF >> (length + 1)
            for offset in range(1, length):
                code = (code << 6) | np.int64(data[at + offset] & 0x3F)
        at += length
        if not is_folded:
            if code >= len(folds):
                return -1
            code = np.int64(folds[code])
            if code == NOTHING:
                continue
        if code >= len(kinds):
            return -1
        kind = kinds[code]
        if kind == SPACE:
            code = np.int64(32)
        flag = np.uint8(kind == LETTER)
        # What a code point folds to can be longer than itself by a byte (in all of Unicode: two
        # bytes to three), so the buffers hold half as much again.
        if code < 0x80:
            folded[filled] = code
            is_letter[filled] = flag
            filled += 1
            continue
        length = 2 if code < 0x800 else 3 if code < 0x10000 else 4
        for offset in range(length - 1, 0, -1):
            folded[filled + offset] = 0x80 | (code & 0x3F)
            is_letter[filled + offset] = flag
            code >>= 6
        folded[filled] = code | (0xFF00 >> length & 0xFF)
        is_letter[filled] = flag
        filled += length
    return filled


@kernel
def _find_edges(flags, size, edges):
    """List where words begin and end, in turn; returns how many such places there are."""
    count, carry = 0, np.uint64(0)
    for block in range(size // 64 + 1):
        letters = np.uint64(0)
        for part in range(8):
            # Gathers the lowest bits of eight bytes in the highest byte.
            bits = (flags[block * 8 + part] * np.uint64(0x0102040810204080)) >> np.uint64(56)
            letters |= bits << np.uint64(8 * part)
        changes = letters ^ ((letters << np.uint64(1)) | carry)
        carry = letters >> np.uint64(63)
        while changes:
            edges[count] = block * 64 + np.int64(lowest_bit(changes))
            count += 1
            changes &= changes - np.uint64(1)
    return count


@kernel
def _eight_bytes(folded, start):
    """Return the bytes from `start` on, which need not be where a number begins."""
    at, shift = start >> 3, np.uint64((start & 7) * 8)
    return folded[at] >> shift | (folded[at + 1] << np.uint64(1)) << (np.uint64(63) - shift)


@kernel
def _hash_word(folded, start, length):
    """Hash bytes, eight at a time."""
    value = np.uint64(length) * _THREE
    while length > 8:
        value = _mix(value ^ _eight_bytes(folded, start))
        start += 8
        length -= 8
    last = _eight_bytes(folded, start) & (_HIGHEST_64 >> np.uint64(64 - 8 * length))
    return _mix(value ^ last)


@kernel
def _read_row(data, start, end, is_folded, tables, room):
    """Fold one text and hash its words; returns how many, and the two halves of its exact key.

    Args:
        data: UTF-8 bytes of all texts.
        start: Where the text begins.
        end: Where it ends.
        is_folded: The text went through `normalise` already.
        tables: `folds` and `kinds`.
        room: Filled with the folded text, flags of its letters, edges and hashes of its words.
    """
    folded, flags, edges, words = room
    text, is_letter = folded.view(np.uint8), flags.view(np.uint8)
    size = end - start
    if not _fold_ascii(data, start, size, text, is_letter):
        size = _fold_any(data, start, size, is_folded, tables, text, is_letter)
        if size < 0:
            return -1, _ONE, _THREE
    is_letter[size : size // 64 * 64 + 64] = 0
    count = _find_edges(flags, size, edges) // 2
    one, two = _ONE, _THREE
    kept_one, kept_two = one, two
    kinds = tables[1]
    before, spaced = 0, np.uint64(0)
    for each in range(count + 1):
        begin = edges[2 * each] if each < count else size
        gap = np.uint64(0)
        if begin == before + 1 and text[before] == 32:
            gap = spaced
        else:
            for at in range(before, begin):
                byte = text[at]
                if byte == 32 or (byte < 32 and kinds[byte] == SPACE):
                    gap = spaced
                    continue
                item = (np.uint64(byte) + np.uint64(1)) * _ONE ^ gap
                one = (one ^ item) * _TWO
                one ^= one >> _HALF
                two = (two + item) * _FOUR
                two ^= two >> _HALF
                gap, spaced = np.uint64(0), _SPACED
                if byte >= 128 or kinds[byte] != END_MARK:
                    kept_one, kept_two = one, two
        if each < count:
            before = edges[2 * each + 1]
            word = _hash_word(folded, begin, before - begin)
            words[each] = word
            item = word ^ gap
            one = (one ^ item) * _TWO
            one ^= one >> _HALF
            two = (two + item) * _FOUR
            two ^= two >> _HALF
            kept_one, kept_two, spaced = one, two, _SPACED
    return count, kept_one, kept_two


@kernel
def _join_words(room, count, joined):
    """Write the words, joined by spaces, as code points; returns how many these are."""
    text, edges = room[0].view(np.uint8), room[2]
    filled = 0
    for each in range(count):
        if each:
            joined[filled] = 32
            filled += 1
        at, end = edges[2 * each], edges[2 * each + 1]
        while at < end:
            code = np.int64(text[at])
            length = 1
            if code >= 128:
                length = 2 if code < 0xE0 else 3 if code < 0xF0 else 4
                code &= 0xFF >> (length + 1)
                for offset in range(1, length):
                    code = (code << 6) | np.int64(text[at + offset] & 0x3F)
            joined[filled] = code
            filled += 1
            at += length
    return filled


@kernel
def _make_room(offsets):
    """Return buffers for the longest text of a block: those of `_read_row`, joined, shingles."""
    most = 1
    for row in range(len(offsets) - 1):
        most = max(most, offsets[row + 1] - offsets[row])
    most = most * 3 // 2 + 128
    room = (
        np.zeros(most // 8 + 2, np.uint64),
        np.zeros(most // 8 + 2, np.uint64),
        np.empty(most + 2, np.int64),
        np.empty(most // 2 + 2, np.uint64),
    )
    return room, np.empty(most + 1, np.uint32), np.empty(most + 1, np.uint32)


@kernel
def _char_runs(joined, chars, size, out):
    """Hash every run of `size` code points into `out`; a shorter text is one run."""
    if chars == 0:
        return 0
    value, highest = np.uint64(0), np.uint64(1)
    length = min(size, chars)
    for at in range(length):
        value = value * _ONE + np.uint64(joined[at])
        if at:
            highest *= _ONE
    salt = np.uint64(length) * _THREE
    out[0] = np.uint32(_mix(value + salt) >> _HALF)
    for at in range(length, chars):
        value = (value - np.uint64(joined[at - length]) * highest) * _ONE + np.uint64(joined[at])
        out[at - length + 1] = np.uint32(_mix(value + salt) >> _HALF)
    return chars - length + 1


@kernel
def _word_runs(words, count, size, out):
    """Hash every run of `size` words into `out`; a shorter text is one run."""
    if count == 0:
        return 0
    length = min(size, count)
    salt = np.uint64(length) * _THREE
    for at in range(count - length + 1):
        value = salt
        for offset in range(length):
            value = value * _ONE + words[at + offset]
        out[at] = np.uint32(_mix(value) >> _HALF)
    return count - length + 1


@kernel
def _least(shingles, count, factors, offsets, least):
    """MinHash: the least value of each hash function over the shingles."""
    hashes = len(factors)
    least[:] = _HIGHEST
    at = 0
    while at + 4 <= count:
        # Four at a time: loads and stores of `least` are what this loop waits for otherwise.
        a, b, c, d = shingles[at], shingles[at + 1], shingles[at + 2], shingles[at + 3]
        for each in range(hashes):
            factor, offset = factors[each], offsets[each]
            low = min(np.uint32(a * factor + offset), np.uint32(b * factor + offset))
            high = min(np.uint32(c * factor + offset), np.uint32(d * factor + offset))
            least[each] = min(least[each], min(low, high))
        at += 4
    while at < count:
        a = shingles[at]
        for each in range(hashes):
            least[each] = min(least[each], np.uint32(a * factors[each] + offsets[each]))
        at += 1


@kernel
def _band_keys(least, rows, row, keys):
    for band in range(len(keys)):
        value = np.uint64(band + 1)
        for at in range(band * rows, (band + 1) * rows):
            value = (value ^ np.uint64(least[at])) * _ONE
            value ^= value >> _HALF
        keys[band, row] = np.uint32(_mix(value) >> _HALF)


@kernel
def sketch_rows(
    data,
    offsets,
    is_folded,
    tables,
    limits,
    sizes,
    functions,
    exact,
    words_in,
    char_keys,
    word_keys,
):
    """Fill in the keys of each text of a block.

    Args:
        data: UTF-8 bytes of all texts.
        offsets: Where each begins, and where the last one ends.
        is_folded: Whether the texts went through `normalise` already.
        tables: `folds` and `kinds`.
        limits: From how many words on a text is long; from how many on not short any more.
        sizes: Characters and words in a shingle; rows in a band of short texts and of long ones.
        functions: Factors and offsets of the hash functions for short texts, then for long ones.
        exact: [row, 2] is filled with the exact keys.
        words_in: [row] is filled with the number of words, or -1: a text for `normalise`.
        char_keys: [band, row] is filled for the short texts.
        word_keys: [band, row] is filled for the long texts.
    """
    char_factors, char_offsets, word_factors, word_offsets = functions
    room, joined, shingles = _make_room(offsets)
    char_least = np.empty(len(char_factors), np.uint32)
    word_least = np.empty(len(word_factors), np.uint32)
    for row in range(len(offsets) - 1):
        count, one, two = _read_row(data, offsets[row], offsets[row + 1], is_folded, tables, room)
        words_in[row] = count
        exact[row, 0], exact[row, 1] = one, two
        if 0 < count < limits[1] and len(char_keys):
            chars = _join_words(room, count, joined)
            found = _char_runs(joined, chars, sizes[0], shingles)
            _least(shingles, found, char_factors, char_offsets, char_least)
            _band_keys(char_least, sizes[2], row, char_keys)
        if count >= limits[0] and len(word_keys):
            found = _word_runs(room[3], count, sizes[1], shingles)
            _least(shingles, found, word_factors, word_offsets, word_least)
            _band_keys(word_least, sizes[3], row, word_keys)


@kernel
def shingle_rows(data, offsets, wanted, is_folded, tables, size, by_words, out, lengths):
    """Write the shingles of each text, after its number in the upper half; returns how many.

    Sorting `out` orders the shingles of each text and leaves the texts as they are.

    Args:
        data: UTF-8 bytes of all texts.
        offsets: Where each begins, and where the last one ends.
        wanted: Which texts; the numbers written are places in this list.
        is_folded: Whether the texts went through `normalise` already.
        tables: `folds` and `kinds`.
        size: Characters, or words, in a shingle.
        by_words: Which of these.
        out: At least as long as `data` is.
        lengths: [place] is filled with how many each has, or -1: a text for `normalise`.
    """
    room, joined, shingles = _make_room(offsets)
    filled = 0
    for place in range(len(wanted)):
        row = wanted[place]
        count, _, _ = _read_row(data, offsets[row], offsets[row + 1], is_folded, tables, room)
        if count < 0:
            lengths[place] = -1
            continue
        if by_words:
            found = _word_runs(room[3], count, size, shingles)
        else:
            found = _char_runs(joined, _join_words(room, count, joined), size, shingles)
        for at in range(found):
            out[filled + at] = np.uint64(place) << _HALF | np.uint64(shingles[at])
        lengths[place] = found
        filled += found
    return filled


@kernel
def drop_repeats(numbered, lengths, out):
    """Write sorted shingles once each, without the numbers; returns how many are left.

    Args:
        numbered: What `shingle_rows` wrote, sorted.
        lengths: Of each text; lowered by the number of its repeats.
        out: As long as `numbered`.
    """
    filled = 0
    for at in range(len(numbered)):
        if at and numbered[at] == numbered[at - 1]:
            lengths[numbered[at] >> _HALF] -= 1
        else:
            out[filled] = np.uint32(numbered[at] & np.uint64(0xFFFFFFFF))
            filled += 1
    return filled
