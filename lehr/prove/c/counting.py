"""Questions about the functions that count 32 sums at a time, as programs for CBMC."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lehr.errors import FileRefused
from lehr.prove.c.cbmc import MET, SHOWN
from lehr.prove.c.files import AGAIN, HEADER, MODEL, OWN, WEIGHTS, CFiles, without_values
from lehr.prove.c.harness import PROGRAM

Question = tuple[dict[str, str], tuple[str, ...]]
"""Files, the program first, and options."""
_LOOP = re.compile(
    r"^        for \(; left != 0; left &= left - 1\) \{\n(?P<turn>.*?)^        \}\n", re.M | re.S
)
_JUMP = re.compile(r"\b(break|continue|return|goto)\b")
_ROW = re.compile(r"\bt->rows\[(\d+)\]\[waiting\] = ")


@dataclass(frozen=True)
class Counters:
    """What a tally holds.

    Attributes:
        blocks: words of outputs that are counted side by side.
        levels: bits of a count.
        most: spikes that can come to an output.
        sums: the expressions that make a sum of what is read.
    """

    blocks: int
    levels: int
    most: int
    sums: tuple[str, ...]


@dataclass(frozen=True)
class Gather:
    """A function that counts the rows of spikes, and a table that it is given.

    Attributes:
        name: of the function.
        c_type: of a word of the table.
        body: statements of the function.
        table: its name.
        outputs: bits of a row that are weights.
        rows: of the table.
        packed: whether rows follow one another bit by bit.
        counters: that it adds to.
    """

    name: str
    c_type: str
    body: str
    table: str
    outputs: int
    rows: int
    packed: bool
    counters: Counters

    def of(self, body: str) -> Gather:
        """Return it with other statements."""
        return replace(self, body=body)

    @property
    def loop(self) -> re.Match[str]:
        """Where its loop over the spikes of a word stands.

        Raises:
            FileRefused: when it is not as lehr writes it.
        """
        found = [*_LOOP.finditer(self.body)]
        if len(found) != 1 or _JUMP.search(found[0]["turn"]):
            raise FileRefused(f"{self.name} of {MODEL} is not as lehr writes it; {AGAIN}")
        return found[0]

    @property
    def words(self) -> int:
        """Words of a row that it counts at once.

        Raises:
            FileRefused: when these are not the first ones, or a row has others left over.
        """
        words = sorted(map(int, _ROW.findall(self.loop["turn"])))
        if words != [*range(len(words))] or not words or self.row % len(words):
            raise FileRefused(f"{self.name} of {MODEL} is not as lehr writes it; {AGAIN}")
        return len(words)

    @property
    def row(self) -> int:
        """Words of a row of the table."""
        return 1 if self.packed else -(-self.outputs // self.bits)

    @property
    def bits(self) -> int:
        """Bits of a word of the table."""
        return int(self.c_type.strip("_tuin"))


def _files(files: CFiles, program: str) -> dict[str, str]:
    return {
        PROGRAM: program,
        MODEL: files.texts[MODEL],
        HEADER: files.texts[HEADER],
        WEIGHTS: without_values(files.texts[WEIGHTS]),
    }


def _preamble(counters: Counters) -> str:
    """Return the functions that say what counters and rows mean in a lane."""
    return f"""\
#include <stddef.h>
#include <stdint.h>
#include "{MODEL}"

static uint32_t {OWN}counted(const uint32_t *counts, size_t lane)
{{
    uint32_t sum = 0;
    for (int level = 0; level < {counters.levels}; level++)
        sum |= (counts[level] >> lane & 1) << level;
    return sum;
}}
static uint32_t {OWN}waiting(const uint32_t *rows, size_t first, size_t lane)
{{
    uint32_t sum = 0;
    for (size_t row = 0; row < 8; row++)
        sum += row < first ? rows[row] >> lane & 1 : 0;
    return sum;
}}
size_t nondet_{OWN}size(void);
uint32_t nondet_{OWN}word(void);
tally nondet_{OWN}tally(void);
"""


def _claimed(claim: str, holds: str) -> str:
    return f'    __CPROVER_assert({holds}, "{claim}");\n'


def adding(files: CFiles, counters: Counters) -> Question:
    """Return whether eight rows are added to counters, in every lane."""
    program = f"""\
{_preamble(counters)}
int main(void)
{{
    tally t = nondet_{OWN}tally();
    const tally before = t;
    const size_t {SHOWN}lane = nondet_{OWN}size();
    __CPROVER_assume({SHOWN}lane < 32);
    for (size_t lane = 0; lane < 32; lane++)
        __CPROVER_assume({OWN}counted(t.counts[0], lane)
            + {OWN}waiting(t.rows[0], 8, lane) <= {counters.most});
    add_rows(t.counts[0], t.rows[0]);
    const uint32_t {SHOWN}count_there = {OWN}counted(t.counts[0], {SHOWN}lane);
    const uint32_t {SHOWN}count_defined = {OWN}counted(before.counts[0], {SHOWN}lane)
        + {OWN}waiting(before.rows[0], 8, {SHOWN}lane);
"""
    program += _claimed(
        "counters grow by the bits of the rows", f"{SHOWN}count_there == {SHOWN}count_defined"
    )
    program += "    const size_t row = nondet_lehr_proof_size();\n    __CPROVER_assume(row < 8);\n"
    program += _claimed("rows stay as they are", "t.rows[0][row] == before.rows[0][row]")
    return _end(files, program, counters)


def reading(files: CFiles, counters: Counters, word: int) -> Question:
    """Return whether counts and sums are read, of every lane of a word.

    `add_rows` does what is shown of it: here it leaves any counters that mean so in the lane.
    """
    text = files.texts[MODEL]
    start = text.index("static void finish(")
    end = text.index("\n}\n", start)
    finish = re.sub(r"\badd_rows\(", f"{OWN}added(", text[start:end])
    changed = replace(files, texts={**files.texts, MODEL: text[:start] + finish + text[end:]})
    program = f"""\
#include <stdint.h>
static void {OWN}added(uint32_t *counts, const uint32_t *rows);
{_preamble(counters)}
static tally {OWN}t;
static size_t {OWN}lane;

static void {OWN}added(uint32_t *counts, const uint32_t *rows)
{{
    __CPROVER_assert(counts == {OWN}t.counts[{word}], "rows are added to counters of the word");
    __CPROVER_assert(rows == {OWN}t.rows[{word}], "rows are added of the word");
    const uint32_t sum = {OWN}counted({OWN}t.counts[{word}], {OWN}lane)
        + {OWN}waiting({OWN}t.rows[{word}], 8, {OWN}lane);
    for (int level = 0; level < {counters.levels}; level++)
        {OWN}t.counts[{word}][level] = nondet_{OWN}word();
    __CPROVER_assume({OWN}counted({OWN}t.counts[{word}], {OWN}lane) == sum);
}}
int main(void)
{{
    {OWN}t = nondet_{OWN}tally();
    const tally before = {OWN}t;
    uint8_t numbers[{counters.levels // 8}][32];
    unsigned __CPROVER_bitvector[5] any_k;
    const size_t k = any_k, {SHOWN}output = k;
    {OWN}lane = k;
    const uint32_t {SHOWN}spikes = before.spikes;
    __CPROVER_assume(before.spikes <= {counters.most});
    const uint32_t sum = {OWN}counted(before.counts[{word}], k)
        + {OWN}waiting(before.rows[{word}], before.spikes % 8, k);
    __CPROVER_assume(sum <= before.spikes);
    const int32_t count = (int32_t)sum;
    const int32_t {SHOWN}sum_defined = count - ((int32_t)before.spikes - count);
    finish(numbers, &{OWN}t, {word});
"""
    for number, expression in enumerate(counters.sums):
        there = f"{SHOWN}sum{number or ''}_there"
        own = re.sub(r"\bt\.", f"{OWN}t.", expression)
        program += f"    const int32_t {there} = {own};\n"
        program += _claimed(
            "the sum is that of the weights of spikes", f"{there} == {SHOWN}sum_defined"
        )
    program += _claimed("the number of spikes stays", f"{OWN}t.spikes == before.spikes")
    for other in range(counters.blocks):
        for level in range(counters.levels) if other != word else ():
            program += _claimed(
                "other words stay as they are",
                f"{OWN}t.counts[{other}][{level}] == before.counts[{other}][{level}]"
                f" && {OWN}t.rows[{other}][{level % 8}] == before.rows[{other}][{level % 8}]",
            )
    return _end(changed, program, counters)


def one_turn(files: CFiles, gather: Gather) -> Question:
    """Return whether a turn of the loop counts the row of the lowest spike that is left."""
    counters, words, row = gather.counters, gather.words, gather.row
    turn = re.sub(r"\badd_rows\(", f"{OWN}added(", gather.loop["turn"])
    entry = (
        f"({OWN}table[(at * {gather.outputs} + lane) / 32] >> (at * {gather.outputs} + lane) % 32)"
        if gather.packed
        else f"({OWN}table[at * {row} + {OWN}first + word] >> lane)"
    )
    program = f"""\
{_preamble(counters)}
#define {OWN}table {gather.table}
static tally {OWN}t;
static size_t {OWN}first, {OWN}at, {OWN}slot;
static uint8_t {OWN}times[{counters.blocks}];

static int {OWN}right(size_t at, size_t slot, size_t word, size_t lane)
{{
    return (({OWN}t.rows[word][slot] >> lane ^ {entry}) & 1) == 0;
}}
static void {OWN}added(uint32_t *counts, const uint32_t *rows)
{{
    const size_t lane = nondet_{OWN}size();
    for (size_t word = 0; word < {words}; word++)
        if (counts == {OWN}t.counts[word]) {{
            __CPROVER_assert(rows == {OWN}t.rows[word], "rows are added to their own counters");
            if (lane < 32 && 32 * ({OWN}first + word) + lane < {gather.outputs})
                __CPROVER_assert({OWN}right({OWN}at, {OWN}slot, word, lane), "the row is there");
            {OWN}times[word]++;
            return;
        }}
    __CPROVER_assert(0, "rows are added to counters of the row");
}}
static uint32_t {OWN}turn(tally *t, const {gather.c_type} *weights, size_t row, uint32_t left,
    uint32_t *into, size_t *wait)
{{
    uint32_t spikes = *into;
    size_t waiting = *wait;
    do {{
{turn}
        left &= left - 1;
    }} while (0);
    *into = spikes;
    *wait = waiting;
    return left;
}}
int main(void)
{{
    {OWN}t = nondet_{OWN}tally();
    const tally before = {OWN}t;
    const size_t row = nondet_{OWN}size(), lowest_bit = nondet_{OWN}size();
    const size_t waited = nondet_{OWN}size(), {SHOWN}row = row, {SHOWN}bit = lowest_bit;
    const size_t {SHOWN}waiting = waited;
    const uint32_t left = nondet_{OWN}word(), counted = nondet_{OWN}word();
    {OWN}first = nondet_{OWN}size();
    __CPROVER_assume({OWN}first % {words} == 0 && {OWN}first < {row});
    __CPROVER_assume(lowest_bit < 32 && (left >> lowest_bit & 1) != 0);
    __CPROVER_assume((left & (((uint32_t)1 << lowest_bit) - 1)) == 0);
    __CPROVER_assume(row < {gather.rows} && row + lowest_bit < {gather.rows} && waited < 8);
    __CPROVER_assume(counted <= {counters.most});
    {OWN}at = row + lowest_bit;
    {OWN}slot = waited;
    uint32_t spikes = counted;
    size_t waiting = waited;
    const uint32_t rest = {OWN}turn(&{OWN}t, {OWN}table + {OWN}first, row, left, &spikes, &waiting);
    const size_t word = nondet_{OWN}size(), lane = nondet_{OWN}size(), slot = nondet_{OWN}size();
    const size_t level = nondet_{OWN}size(), {SHOWN}word = word, {SHOWN}lane = lane;
    __CPROVER_assume(word < {counters.blocks} && lane < 32 && slot < 8);
    __CPROVER_assume(level < {counters.levels});
"""
    of_row = f"word < {words} && 32 * ({OWN}first + word) + lane < {gather.outputs}"
    claims = {
        "that spike is no longer left": "rest == (left ^ (uint32_t)1 << lowest_bit)",
        "its row waits": f"!({of_row}) || {OWN}right({OWN}at, waited, word, lane)",
        "other rows stay as they are": f"(slot == waited && word < {words}) || "
        f"{OWN}t.rows[word][slot] == before.rows[word][slot]",
        "counters are added to alone": f"{OWN}t.counts[word][level] == before.counts[word][level]",
        "one more waits, or none after eight": "waiting == (waited + 1) % 8",
        "eight are counted at once": "spikes == counted + (waited == 7 ? 8 : 0)",
        "eight are added once": f"{OWN}times[word] == (waited == 7 && word < {words})",
    }
    program += "".join(_claimed(*claim) for claim in claims.items())
    return _end(files, program, counters)


def _end(files: CFiles, program: str, counters: Counters) -> Question:
    """Return a program with its end, and the options that bound its loops."""
    program += f'    __CPROVER_assert(0, "{MET}");\n    return 0;\n}}\n'
    bound = ("--unwind", "34", "--unwindset", f"add_rows.0:{counters.levels}")
    return _files(files, program), bound
