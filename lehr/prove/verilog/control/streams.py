"""The streams of an fpga artefact: with valid and ready, nothing is lost, doubled or changed."""

from __future__ import annotations

from collections.abc import Iterator

from lehr.prove.solver import z3
from lehr.prove.verilog.induction import At, Term, all_of, one_of

BEAT = ("out_end", "out_spike", "out_membrane", "out_c", "out_y", "out_x")
HELD = "an engine holds a beat until it is taken"
ENDS = "an inference ends once, after the last event of its last frame was taken"
STARTS = "an engine that is idle begins when it is started, and no other time"


# ---------------------------------------------------------------- out of an engine
def beats(now: At, then: At) -> Iterator[Term]:
    """Yield that a neuron or the end of a step that goes out stays until it is taken, once."""
    valid, ready = now.on("out_valid"), now.on("out_ready")
    ends = now.on("ends_step")
    if now.has("word_valid"):  # the engine behind counts the steps
        ends = z3.And(ends, now.on("tracing"))
    comes = z3.Or(now.on("emits"), ends)
    stays = all_of([valid, z3.Not(ready)])
    yield z3.Implies(comes, z3.Not(stays))
    yield then.on("out_valid") == z3.Or(comes, stays)
    brought = ("ends_step", "spike", "updated", "c", "retired_y", "retired_x")
    for out, source in zip(BEAT, brought, strict=True):
        yield then(out) == z3.If(comes, now(source), now(out))
    yield z3.Implies(now.on("emits"), now.on("retire"))
    shown = z3.Or(now.on("tracing"), z3.And(now.on("spike"), now.on("is_output")))
    yield z3.Implies(now.on("retire"), now.on("emits") == shown)


def frames(now: At, then: At) -> Iterator[Term]:
    """Yield that no event is taken after the last one of an inference, which ends behind it."""
    takes = z3.And(now.on("in_valid"), now.on("in_ready"))
    yield z3.Implies(takes, now("closed") == 0)
    yield z3.Implies(then.on("done"), now("closed") == 1)
    yield z3.Implies(all_of([then.on("done"), z3.Not(now.on("rst"))]), then("closed") == 1)


def closed_holds(at: At, loading: Term, idle: Term, held: Term) -> Iterator[Term]:
    """Yield when all frames are there: after those of a held input, or of the last step."""
    last = z3.Or(held, at("control.step") == at("control.last_step"))
    yield z3.Implies(loading, at("closed") == 0)
    yield z3.Or(idle, loading, (at("closed") == 1) == last)


def closed_moves(now: At, then: At) -> Iterator[Term]:
    """Yield how it becomes known that all frames are there."""
    last = ("in_valid", "in_ready", "in_last", "last_frame")
    closes = all_of(now.on(each) for each in last)
    one, none = z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)
    later = z3.If(closes, one, now("closed"))
    yield then("closed") == z3.If(now.on("begins"), none, later)


# ---------------------------------------------------------------- out of engines in a chain
def chain_assumed(now: At, then: At) -> Iterator[Term]:
    """Yield that each engine of a chain holds its beat."""
    valid, ready = now("valid"), now("ready")
    for k in range(valid.size()):
        one = [z3.Extract(k, k, each) for each in (valid, ready, then("valid"))]
        stays = z3.And(one[0] == 1, one[1] == 0)
        flags = ("at_end", "fired")
        same = [one[2] == 1]
        same += [z3.Extract(k, k, now(x)) == z3.Extract(k, k, then(x)) for x in flags]
        same += [now(f"{x}_{k}") == then(f"{x}_{k}") for x in ("membrane", "c", "y", "x")]
        yield z3.Implies(stays, all_of(same))


def chain_holds(at: At) -> Iterator[Term]:
    """Yield that there is an engine whose turn it is."""
    yield z3.Or(at("turn known") == 0, z3.ULT(at.wide("turn"), at("valid").size()))


def chain_moves(now: At, then: At) -> Iterator[Term]:
    """Yield that an inference has begun."""
    one, none = z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)
    known = z3.If(now.on("start"), one, now("turn known"))
    yield then("turn known") == z3.If(now.on("rst"), none, known)


def chain(now: At, then: At) -> Iterator[Term]:
    """Yield that what goes out of a chain is what an engine gives up, once."""
    valid, ready, turn = now("valid"), now("ready"), now.wide("turn")
    count = valid.size()
    known = [now("turn known") == 1, z3.Not(now.on("start"))]
    out = z3.And(now.on("out_valid"), now.on("out_ready"))
    for k in range(count):
        gives = z3.And(z3.Extract(k, k, valid) == 1, z3.Extract(k, k, ready) == 1)
        says = z3.Extract(k, k, now("at_end")) == 0 if k < count - 1 else z3.BoolVal(True)
        yield z3.Implies(all_of(known), z3.And(out, turn == k) == z3.And(gives, says))
        yield z3.Implies(gives, turn == k)
    stays = all_of([*known, now.on("out_valid"), z3.Not(now.on("out_ready"))])
    same = all_of([then.on("out_valid"), *(now(each) == then(each) for each in BEAT)])
    yield z3.Implies(stays, same)


# ---------------------------------------------------------------- bytes
def top_assumed(now: At, then: At) -> Iterator[Term]:
    """Yield what the engine behind the streams of bytes does."""
    busy, done = now.on("core_busy"), then.on("done")
    goes_on = z3.Or(z3.And(now.on("started"), z3.Not(busy)), z3.And(busy, z3.Not(done)))
    going = z3.Not(now.on("rst"))
    yield then.on("core_busy") == z3.And(goes_on, going)
    yield z3.Implies(done, z3.And(busy, now.on("closed"), going))
    stays = all_of([now.on("beat"), z3.Not(now.on("beat_taken")), going])
    beat = ("beat_end", "beat_spike", "beat_membrane", "beat_c", "beat_y", "beat_x")
    same = all_of([then.on("beat"), *(now(each) == then(each) for each in beat)])
    yield z3.Implies(stays, same)


def top_holds(at: At) -> Iterator[Term]:
    """Yield what holds of the streams of bytes in every clock."""
    running, started, busy = at.on("running"), at.on("started"), at.on("core_busy")
    filled, closed, done = at.wide("filled"), at.on("closed"), at.on("done")
    yield z3.ULE(filled, at("record").size() // 8)
    yield z3.Implies(closed, z3.And(filled == 0, running))
    idle = all_of([filled == 0, z3.Not(started), z3.Not(busy), z3.Not(done)])
    yield z3.Implies(z3.Not(running), idle)
    yield z3.Implies(started, all_of([z3.Not(busy), z3.Not(done), z3.Not(closed)]))
    yield z3.Implies(running, one_of([started, busy, done]))
    yield z3.Implies(done, z3.And(closed, z3.Not(busy)))
    yield z3.Implies(at.on("finishing"), z3.Not(running))


def top_in(now: At, then: At) -> Iterator[Term]:
    """Yield that every byte that is taken is in the head or in one event, in its order."""
    running, taken = now.on("running"), now.on("taken")
    full, ready = now.on("full"), now.on("event_ready")
    record, filled = now("record"), now.wide("filled")
    yield taken == z3.And(now.on("in_valid"), now.on("in_ready"))
    yield full == (filled == record.size() // 8)
    gone, comes = z3.And(full, ready), z3.And(running, taken)
    yield z3.Implies(comes, z3.Or(z3.Not(full), gone))
    left = z3.If(gone, filled * 0, filled) + z3.If(comes, filled * 0 + 1, filled * 0)
    yield then.wide("filled") == left
    new = now("in_data")
    if record.size() > 8:
        new = z3.Concat(new, z3.Extract(record.size() - 1, 8, record))
    yield then("record") == z3.If(comes, new, record)
    head, byte = now("head"), now("in_data")
    begins = z3.And(taken, z3.Not(running))
    yield z3.Implies(begins, then("head") == head + 1)
    yield z3.Implies(z3.Not(z3.Or(begins, now.on("done"))), then("head") == head)
    yield then.on("started") == z3.And(begins, head == 2)
    low, high = z3.Extract(7, 0, now("steps")), z3.Extract(15, 8, now("steps"))
    yield z3.Extract(7, 0, then("steps")) == z3.If(z3.And(begins, head == 1), byte, low)
    yield z3.Extract(15, 8, then("steps")) == z3.If(z3.And(begins, head == 2), byte, high)
    for flag, place in (("hold", 0), ("trace", 1)):
        if now.has(flag):
            first = z3.Extract(place, place, byte)
            yield then(flag) == z3.If(z3.And(begins, head == 0), first, now(flag))
    yield z3.Implies(now.on("started"), z3.Not(now.on("core_busy")))


def top_out(now: At, then: At) -> Iterator[Term]:
    """Yield that every byte stays until it is taken, and a message goes out whole."""
    send, left = now("send"), now("left")
    valid, ready = now.on("out_valid"), now.on("out_ready")
    yield valid == (left != 0)
    yield now("out_data") == z3.Extract(7, 0, send)
    stays, goes = z3.And(valid, z3.Not(ready)), z3.And(valid, ready)
    yield z3.Implies(stays, z3.And(then("send") == send, then("left") == left))
    yield z3.Implies(goes, z3.And(then("send") == z3.LShR(send, 8), then("left") == left - 1))
    yield z3.Implies(now.on("beat_taken"), z3.Not(valid))
    beat = z3.And(now.on("beat"), now.on("beat_taken"))
    membrane = now("beat_membrane")
    at = z3.Concat(now("beat_c"), now("beat_y"), now("beat_x"))
    tells, ends = now.on("trace"), now.on("beat_end")
    bytes_of = {name: -(-term.size() // 8) for name, term in (("m", membrane), ("a", at))}
    wide = 8 * max(bytes_of.values())
    head = z3.If(tells, z3.Concat(z3.BitVecVal(1, 7), now("beat_spike")), z3.BitVecVal(1, 8))
    body = z3.If(tells, z3.SignExt(wide - membrane.size(), membrane), _unsigned(at, wide))
    length = z3.If(tells, z3.BitVecVal(bytes_of["m"] + 1, 3), z3.BitVecVal(bytes_of["a"] + 1, 3))
    sent, after = then("send"), then("left")
    end = z3.And(z3.Extract(7, 0, sent) == 0, after == 1)
    event = [z3.Extract(7, 0, sent) == head, after == length]
    for k in range(wide // 8):
        there = z3.Extract(8 * k + 15, 8 * k + 8, sent) == z3.Extract(8 * k + 7, 8 * k, body)
        event.append(z3.Or(z3.ULE(length, k + 1), there))
    yield z3.Implies(beat, z3.If(ends, end, all_of(event)))
    part = all_of([now.on("finishing"), z3.Not(now.on("beat")), z3.Not(valid)])
    yield z3.Implies(part, z3.And(after != 0, then("done") == 0))
    still = z3.Not(z3.Or(part, now.on("done")))
    for each in ("part", "finishing", "class_sent", "counter"):
        if now.has(each):
            yield z3.Implies(still, then(each) == now(each))
    yield z3.Implies(z3.Not(one_of([valid, beat, part])), after == 0)
    first = z3.And(part, now("part") == 0)
    yield z3.Implies(first, z3.And(after == 3, z3.Extract(7, 0, sent) == 4))
    for k, counter in enumerate(("cycles", "spikes", "saturations"), 1):
        whole = z3.And(after == 4, z3.Extract(31, 0, sent) == now(counter))
        yield z3.Implies(z3.And(part, now("part") == k), whole)


def _unsigned(term: Term, bits: int) -> Term:
    return z3.ZeroExt(bits - term.size(), term) if bits > term.size() else term
