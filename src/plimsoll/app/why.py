"""An explanation of a liquidation in words and as a document."""

import math
from decimal import Decimal

from plimsoll.core import Status, format_time
from plimsoll.engine.explain import Fill, Liquidation, PriceUsed, StepTaken
from plimsoll.ledger import TradeReason, TransferReason

NS_PER_MINUTE = 60_000_000_000


def headline(one: Liquidation) -> str:
    """Who was liquidated when, in one sentence."""
    return f"{one.pool} was liquidated at {format_time(one.began_ns)}."


def story_sentences(one: Liquidation) -> tuple[str, ...]:
    """Why, what came before, how it ended, and who bore what it could not pay."""
    found = one.found
    sentences = [_cause(one), _before(one)]
    takers = ", ".join(_takers(one))
    if one.ended_ns is None:
        sentences.append("The journal ends before the procedure does.")
    else:
        last = one.steps[-1] if one.steps else None
        is_closed = all(line.end == 0 for line in one.positions)
        how = "Its positions were closed" if is_closed else "Its positions were reduced"
        if takers:
            how = f"What it had and owed passed to {takers}"
        ended = f"the procedure ended at {format_time(one.ended_ns)}"
        left = ""
        if last is not None and is_closed:
            left = f" with {last.equity_after:,.2f} {found.currency} left"
        elif last is not None:
            left = f" at a margin ratio of {last.ratio_after:.1%}"
        sentences.append(f"{how}; {ended}{left}.")
    below = [step.equity_before for step in one.steps if step.equity_before < 0]
    if below and takers:
        owed = f"{-min(below):,.2f} {found.currency}"
        sentences.append(f"{takers} bore the {owed} that it had lost past zero at those prices.")
    return tuple(sentence for sentence in sentences if sentence)


def _takers(one: Liquidation) -> tuple[str, ...]:
    """Who took over its positions and balances."""
    fills = [fill for step in one.steps for fill in step.fills]
    moved = [each for step in one.steps for each in step.movements]
    names = [fill.counterparty for fill in fills if fill.reason == TradeReason.TAKEOVER]
    names += [
        each.counterparty
        for each in moved
        if each.reason in (TransferReason.TAKEOVER, TransferReason.AUCTION)
    ]
    return tuple(dict.fromkeys(names))


def _cause(one: Liquidation) -> str:
    found = one.found
    needed = f"{found.maintenance_margin:,.2f} {found.currency}"
    had = f"{found.collateral_value:,.2f} {found.currency}"
    if found.status == Status.BANKRUPT:
        return (
            f"Its equity of {found.equity:,.2f} {found.currency} was below zero; it had to hold "
            f"{needed}."
        )
    return (
        f"It had to hold {needed} and its collateral counted for {had}: a margin ratio of "
        f"{found.margin_ratio:.1%}, where 100 % is the line of {found.model}."
    )


def _before(one: Liquidation) -> str:
    words = []
    if not math.isnan(one.ratio_previous) and one.previous_ns is not None:
        ago = (one.began_ns - one.previous_ns) / 1e9
        words.append(
            f"The step before, {ago:,.0f} s earlier, the ratio was {one.ratio_previous:.1%}"
        )
    if one.called_ns is not None:
        minutes = (one.began_ns - one.called_ns) / NS_PER_MINUTE
        words.append(f"it had been called {minutes:,.0f} minutes earlier")
    elif one.previous_ns is not None:
        words.append("no call stood")
    return f"{'; '.join(words)}." if words else ""


def price_text(price: float) -> str:
    """A price with the digits it has; a dash where it is unknown."""
    return "—" if math.isnan(price) else f"{price:,.8g}" if price < 1e6 else f"{price:,.2f}"


def decimal_text(value: Decimal) -> str:
    """An exact amount, all digits, without trailing zeros."""
    text = f"{value.normalize():,f}"
    return "0" if text in ("-0", "0") else text


def source_text(price: PriceUsed, time_ns: int) -> str:
    """What each source of a price said, if it said what was used, in one line for alike ones."""
    told = []
    for one in price.sources:
        age = f"{(time_ns - one.time_ns) / 1e9:,.0f} s old"
        same = one.price == price.price
        said = "" if same else f" {price_text(one.price)},"
        told.append(f"{one.source}:{said} {one.verdict.name}, {age}")
    if not told:
        return f"{price.name}: par, no source needed."
    return f"Sources ({price.sources_used} used): {'; '.join(told)}."


def liquidation_document(one: Liquidation) -> dict[str, object]:
    """Everything, for JSON: amounts as exact text, times as RFC 3339."""
    found = one.found
    return {
        "pool": one.pool,
        "model": found.model,
        "record": one.record,
        "began": format_time(one.began_ns),
        "ended": None if one.ended_ns is None else format_time(one.ended_ns),
        "called": None if one.called_ns is None else format_time(one.called_ns),
        "story": list(story_sentences(one)),
        "previous": {
            "time": None if one.previous_ns is None else format_time(one.previous_ns),
            "margin_ratio": one.ratio_previous,
        },
        "prices": [_price(price, one.began_ns) for price in one.prices],
        "found": {
            "status": found.status.name,
            "equity": found.equity,
            "collateral_value": found.collateral_value,
            "initial_margin": found.initial_margin,
            "maintenance_margin": found.maintenance_margin,
            "margin_ratio": found.margin_ratio,
            "currency": found.currency,
            "charges": [
                {"name": line.name, "initial": line.initial, "maintenance": line.maintenance}
                for line in found.charges
            ],
            "details": {
                table.name: [
                    {table.by: label, **dict(zip(table.columns, values, strict=True))}
                    for label, values in table.rows
                ]
                for table in found.details
            },
        },
        "steps": [_step(step) for step in one.steps],
        "balances": [
            {
                "asset": line.asset,
                "start": str(line.start),
                "booked": str(line.booked),
                "fees": str(line.fees),
                "moved": {reason.name: str(amount) for reason, amount in line.moved},
                "end": str(line.end),
            }
            for line in one.balances
        ],
        "positions": [
            {
                "symbol": line.symbol,
                "start": str(line.start),
                "traded": str(line.traded),
                "end": str(line.end),
            }
            for line in one.positions
        ],
    }


def _price(price: PriceUsed, time_ns: int) -> dict[str, object]:
    return {
        "kind": price.kind,
        "name": price.name,
        "price": price.price,
        "previous": price.previous,
        "age_s": (time_ns - price.time_ns) / 1e9,
        "quality": price.quality.name,
        "sources_used": price.sources_used,
        "sources": [
            {
                "source": one.source,
                "price": one.price,
                "age_s": (time_ns - one.time_ns) / 1e9,
                "verdict": one.verdict.name,
            }
            for one in price.sources
        ],
    }


def _step(step: StepTaken) -> dict[str, object]:
    return {
        "time": format_time(step.time_ns),
        "is_decision": step.is_decision,
        "stages": list(step.stages),
        "state": None if step.state is None else step.state.name,
        "margin_ratio_before": step.ratio_before,
        "margin_ratio_after": step.ratio_after,
        "equity_before": step.equity_before,
        "equity_after": step.equity_after,
        "status_after": step.status_after.name,
        "orders_cancelled": step.orders_cancelled,
        "orders_placed": step.orders_placed,
        "fills": [_fill(fill) for fill in step.fills],
        "transfers": [
            {
                "asset": one.amount.asset,
                "amount": str(one.amount.value),
                "with": one.counterparty,
                "reason": one.reason.name,
            }
            for one in step.movements
        ],
    }


def _fill(fill: Fill) -> dict[str, object]:
    return {
        "symbol": fill.symbol,
        "quantity": str(fill.quantity),
        "price": str(fill.price),
        "against": fill.counterparty,
        "reason": fill.reason.name,
        "booked": {one.asset: str(one.value) for one in fill.booked},
        "fee": str(fill.fee.value),
        "fee_asset": fill.fee.asset,
        "left": str(fill.left),
    }
