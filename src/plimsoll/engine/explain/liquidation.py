"""Why a pool was liquidated, and what each step of it did, from a journal alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np

from plimsoll.book import Book, PoolKind, PoolState, take_pools
from plimsoll.core import Int64s, JournalError, LedgerError, Status
from plimsoll.engine.explain.scan import Chronicle, Procedure
from plimsoll.engine.explain.story import Approach, Liquidation, PriceUsed, SourcePrice
from plimsoll.engine.explain.trace import SYSTEM, Happening, reconcile, restrict, trace
from plimsoll.engine.fold import batch_of, fold, name_of, read_header, rules_of
from plimsoll.engine.rules import Rules
from plimsoll.engine.state import EngineState, Inputs, Outcome
from plimsoll.engine.step import open_state, step
from plimsoll.engine.verify import compare_decisions, inputs_of, ticks_of
from plimsoll.ledger import EventBatch, NewPools, Record, apply, encode_batch, read_records
from plimsoll.margin import Assessment, assess, explain
from plimsoll.market import Market, Quality


@dataclass(frozen=True, slots=True)
class _Scene:
    """The step at which procedures begin: the state before it, what came in, what it found."""

    state: EngineState
    rules: Rules
    inputs: Inputs
    outcome: Outcome
    after: EngineState
    start: Book
    previous_ns: int | None


def explain_tick(
    path: Path, chronicle: Chronicle, procedures: tuple[Procedure, ...]
) -> tuple[Liquidation, ...]:
    """Every one of some procedures that begin at one and the same step, in their order.

    The journal is folded up to that step, and steps are made again from there until the last
    procedure is over. Raises JournalError where the engine now decides otherwise, LedgerError
    where an explanation does not add up.
    """
    place = str(path)
    records = read_records(path)
    header, first = read_header(records, place)
    rules = rules_of(header, first, place)
    opening: list[Record] = []
    times: list[int] = []
    state = fold(header, first, _until(records, procedures[0].tick, opening, times), place).state
    scene: _Scene | None = None
    happenings: list[Happening] = []
    found: dict[int, Liquidation] = {}
    for tick in ticks_of(chain(opening, records)):
        if tick[0].kind == "close":
            break
        inputs = inputs_of(tick, state.board, place)
        after, outcome = _step_again(state, rules, inputs, tick, place)
        if scene is None:
            start = apply(state.book, inputs.events) if inputs.events.event_count else state.book
            previous = times[-1] if times else None
            scene = _Scene(state, rules, inputs, outcome, after, start, previous)
        else:
            happenings.append(Happening(inputs.events, outcome.market, is_decision=False))
        happenings += [Happening(each, outcome.market, True) for each in outcome.decisions]
        state = after
        for one in procedures:
            is_over = state.book.pool_state[one.pool] != PoolState.LIQUIDATING
            if one.pool not in found and is_over:
                told = _tell(scene, one, tuple(happenings), state.book, chronicle)
                found[one.pool] = told
        if len(found) == len(procedures):
            break
    if scene is None:
        raise JournalError(place, "ends before the step asked for", "restore it from a copy")
    for one in procedures:
        if one.pool not in found:
            found[one.pool] = _tell(scene, one, tuple(happenings), state.book, chronicle)
    return tuple(found[one.pool] for one in procedures)


def _until(
    records: Iterator[Record], tick: int, opening: list[Record], times: list[int]
) -> Iterator[Record]:
    """Records before one, which goes to ``opening``; the times of their ticks go to ``times``."""
    for record in records:
        if record.sequence == tick:
            opening.append(record)
            return
        if record.kind == "tick":
            times[:] = [record.time_ns]
        yield record


def _step_again(
    state: EngineState, rules: Rules, inputs: Inputs, tick: list[Record], place: str
) -> tuple[EngineState, Outcome]:
    """The step that a tick's records tell of, whose decisions must be those recorded."""
    try:
        after, outcome = step(state, rules, inputs)
    except LedgerError as error:
        raise JournalError(name_of(place, tick[0]), str(error), "restore the journal") from error
    made = [encode_batch(batch) for batch in outcome.decisions]
    recorded = [record for record in tick if record.kind == "decision"]
    compare_decisions(made, recorded, tick[-1], place)
    return after, outcome


def _tell(
    scene: _Scene, one: Procedure, happenings: tuple[Happening, ...], end: Book, said: Chronicle
) -> Liquidation:
    book, rules = scene.start, scene.rules
    account_id = said.account_ids[said.pool_account[one.pool]]
    account = book.find_account(account_id, "account")
    number = book.pools_of(account).tolist().index(one.pool)
    found = explain(book, scene.outcome.market, rules.models, account_id)[number]
    steps = trace(book, one.pool, happenings, rules)
    balances, positions = reconcile(book, end, one.pool, steps)
    ratio = float("nan")
    before = scene.state.board.market(scene.previous_ns or 0, rules.sanity)
    if scene.previous_ns is not None and one.pool < scene.state.book.pool_count:
        alone = take_pools(scene.state.book, np.array([one.pool], dtype=np.int64))
        ratio = float(assess(alone, before, rules.models).margin_ratio[0])
    return Liquidation(
        account=account_id,
        pool=found.pool,
        record=one.tick,
        began_ns=one.began_ns,
        ended_ns=one.ended_ns,
        previous_ns=scene.previous_ns,
        ratio_previous=ratio,
        called_ns=one.called_ns,
        prices=_prices(scene, one.pool, before),
        found=found,
        steps=steps,
        balances=balances,
        positions=positions,
    )


def _prices(scene: _Scene, pool: int, before: Market) -> tuple[PriceUsed, ...]:
    """The prices that a pool is judged at, each with what its sources last said."""
    market, board, sanity = scene.outcome.market, scene.after.board, scene.rules.sanity
    table, verdicts = market.instruments, board.verdicts(market.as_of_ns, sanity)
    found = []
    for row in _rows_in_use(scene.start, pool).tolist():
        is_mark = row < len(table)
        sources = tuple(
            SourcePrice(
                name,
                float(board.price[k, row]),
                int(board.time_ns[k, row]),
                Quality(int(verdicts[k, row])),
            )
            for k, name in enumerate(board.sources)
            if verdicts[k, row] != Quality.MISSING
        )
        found.append(
            PriceUsed(
                kind="mark" if is_mark else "index",
                name=table.symbols[row] if is_mark else table.assets.names[row - len(table)],
                price=float(market.price[row]),
                previous=float(before.price[row]) if scene.previous_ns is not None else np.nan,
                time_ns=int(market.time_ns[row]),
                quality=Quality(int(market.quality[row])),
                sources_used=int(market.sources_used[row]),
                sources=sources,
            )
        )
    return tuple(found)


def _rows_in_use(book: Book, pool: int) -> Int64s:
    """Rows of the market behind what a pool holds, owns and has ordered."""
    table, count = book.instruments, len(book.instruments)
    held = slice(book.positions.offsets[pool], book.positions.offsets[pool + 1])
    owned = slice(book.balances.offsets[pool], book.balances.offsets[pool + 1])
    placed = slice(book.orders.offsets[pool], book.orders.offsets[pool + 1])
    traded = np.concatenate(
        [
            book.positions.instrument[held][book.positions.quantity[held] != 0],
            book.orders.instrument[placed],
        ]
    )
    assets = book.balances.asset[owned][book.balances.amount[owned] != 0]
    settled = [column[traded] for column in (table.base, table.quote, table.settle)]
    return np.unique(np.concatenate([traded, *(count + each for each in (assets, *settled))]))


def closest_approach(path: Path, chronicle: Chronicle, account_id: str) -> Approach | None:
    """The highest margin ratio of an account's pools as steps found them; None where none is known.

    It is read on a book of the account alone, tick by tick.
    """
    place = str(path)
    records = read_records(path)
    header, first = read_header(records, place)
    rules = rules_of(header, first, place)
    book = Book.empty(header.instrument_table(), header.choices())
    board, sanity = open_state(book, header.sources).board, rules.sanity
    own, opened, best = np.zeros(0, dtype=np.int64), 0, None
    for tick in ticks_of(records):
        if tick[0].kind != "tick":
            continue
        inputs = inputs_of(tick, board, place)
        board = board.observe(inputs.prices, sanity)
        market = board.market(inputs.time_ns, sanity)
        board = board.remember(market, sanity)
        if inputs.events.event_count:
            own, opened, mine = _of_account(inputs.events, own, opened, account_id, chronicle)
            book = apply(book, mine) if mine.event_count else book
        if book.pool_count > SYSTEM:
            best = _worse(best, assess(book, market, rules.models), inputs.time_ns, book)
        for record in tick:
            if record.kind == "decision":
                mine = restrict(batch_of(record, place), own)
                book = apply(book, mine) if mine.event_count else book
    return best


def _of_account(
    batch: EventBatch, own: Int64s, opened: int, account_id: str, said: Chronicle
) -> tuple[Int64s, int, EventBatch]:
    """What of a batch from outside concerns one account, with the pools that are its own then."""
    account = said.account_ids.index(account_id)
    first = SYSTEM + opened
    count = len(batch.accounts.ids) + batch.pools.account.size
    new = [p for p in range(first, first + count) if said.pool_account[p] == account]
    own = np.concatenate([own, np.array(new, dtype=np.int64)])
    mine = restrict(batch, own)
    if account_id in batch.accounts.ids:
        at = [batch.accounts.ids.index(account_id)]
        chosen = replace(batch.accounts, ids=(account_id,), model=batch.accounts.model[at])
        mine = replace(mine, accounts=chosen)
    is_own = batch.pools.account == account
    if is_own.any():
        zeros = np.zeros(int(is_own.sum()), dtype=np.int32)
        mine = replace(mine, pools=NewPools(zeros, batch.pools.kind[is_own]))
    return own, opened + count, mine


def _worse(best: Approach | None, result: Assessment, time_ns: int, book: Book) -> Approach | None:
    """The closer of what was closest and the pools' assessment; what is UNKNOWN is neither."""
    known = (result.status != Status.UNKNOWN) & (book.pool_kind != PoolKind.SYSTEM)
    ratio = np.where(known, result.margin_ratio, -1.0)
    pool = int(np.argmax(ratio))
    if not known[pool] or (best is not None and best.margin_ratio >= ratio[pool]):
        return best
    return Approach(book.pool_name(pool), time_ns, float(ratio[pool]), Status(result.status[pool]))
