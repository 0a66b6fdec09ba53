"""An oracle of drift.v2: one account at a time, row by row, in plain Python integers.

It reads a document's dictionary and shares no line with the rule file. Amounts are in the
program's units: a millionth of a dollar, 1e-9 of a coin, weights of 1e-4.
"""

from decimal import Decimal
from math import isqrt
from typing import Any

KINDS = ("initial", "fill", "maintenance")
Document = dict[str, Any]
Sums = dict[str, int]


def units(value: Any, scale: int) -> int:
    """A decimal as written, in whole units."""
    exact = Decimal(str(value)) * scale
    assert exact == int(exact), (value, scale)
    return int(exact)


def toward_zero(numerator: int, denominator: int) -> int:
    """How the program's machine integers divide."""
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


class Ledger:
    """The running totals of one pool."""

    def __init__(self, buffer: int) -> None:
        self.buffer = buffer
        self.collateral = self.collateral_buffer = self.requirement = self.requirement_buffer = 0

    def add_collateral(self, amount: int) -> None:
        self.collateral += amount
        if amount < 0:
            self.collateral_buffer += toward_zero(amount * self.buffer, 10_000)

    def add_requirement(self, amount: int, liability: int) -> None:
        self.requirement += amount
        self.requirement_buffer += liability * self.buffer // 10_000


def assess_pools(document: Document) -> list[dict[str, Sums]]:
    """The pools of the document's account, cross first: totals by kind."""
    account = document["accounts"][0]
    isolated = [p for p in account["positions"] if p.get("margin_mode") == "isolated"]
    alone = {p["symbol"] for p in isolated}
    orders = account.get("orders", [])
    pools = [
        {
            "balances": account["balances"],
            "positions": [p for p in account["positions"] if p not in isolated],
            "orders": [o for o in orders if o["symbol"] not in alone],
            "unsettled": account["params"].get("unsettled", {}),
        }
    ]
    for position in isolated:
        symbol = position["symbol"]
        stated = account["params"].get("isolated_unsettled", {})
        pools.append(
            {
                "balances": {"USDC": position["isolated_margin"]},
                "positions": [position],
                "orders": [o for o in orders if o["symbol"] == symbol],
                "unsettled": {s: v for s, v in stated.items() if s == symbol},
            }
        )
    return [{kind: total(document, pool, kind) for kind in KINDS} for pool in pools]


def total(document: Document, pool: Document, kind: str) -> Sums:
    """Totals of one pool for one kind of margin."""
    params = document["accounts"][0]["params"]
    ledger = Ledger(units(params["liquidation_buffer"], 10_000))
    spot = {o["symbol"].split("/")[0] for o in pool["orders"] if ":" not in o["symbol"]}
    for asset in sorted({*pool["balances"], *spot}):
        add_token(document, pool, kind, asset, ledger)
    contracts = {p["symbol"] for p in pool["positions"]} | set(pool["unsettled"])
    contracts |= {o["symbol"] for o in pool["orders"] if ":" in o["symbol"]}
    for symbol in sorted(contracts):
        add_contract(document, pool, kind, symbol, ledger)
    return {
        "total_collateral": ledger.collateral,
        "margin_requirement": ledger.requirement,
        "total_collateral_plus_buffer": ledger.collateral + ledger.collateral_buffer,
        "margin_requirement_plus_buffer": ledger.requirement + ledger.requirement_buffer,
    }


def prices(document: Document, asset: str, kind: str) -> tuple[int, int, int]:
    """The oracle's price, then the lower and the higher of it and its average."""
    current = units(document["market"]["index"][asset], 10**6)
    if kind != "initial" or not document["accounts"][0]["params"]["strict"]:
        return current, current, current
    average = units(document["market"]["assets"][asset]["twap"], 10**6)
    return current, min(current, average), max(current, average)


def own_ratio(params: Document, kind: str) -> int:
    ratio = units(params.get("margin_ratio_override", 0), 10_000)
    if kind == "initial":
        ratio = max(ratio, units(params.get("max_margin_ratio", 0), 10_000))
    return ratio


def sum_orders(pool: Document, symbol: str, scale: int) -> tuple[int, int, int]:
    """Bids, asks (<= 0) and their number."""
    bids = asks = count = 0
    for order in pool["orders"]:
        if order["symbol"] == symbol:
            count += 1
            amount = units(Decimal(str(order["quantity"])) * scale, 1)
            if order["side"] == "buy":
                bids += amount
            else:
                asks -= amount
    return bids, asks, count


def add_token(document: Document, pool: Document, kind: str, asset: str, ledger: Ledger) -> None:
    params = document["accounts"][0]["params"]
    current, low, high = prices(document, asset, kind)
    if asset == "USDC":
        amount = units(pool["balances"][asset], 10**6)
        if amount >= 0:
            ledger.add_collateral(amount * low // 10**6)
        else:
            value = -(amount * high // 10**6)
            ledger.add_requirement(value, value)
        return
    terms = params["tokens"][asset]
    unit = 10 ** terms["decimals"]
    amount = units(pool["balances"].get(asset, 0), unit)
    bids, asks, count = sum_orders(pool, f"{asset}/USDC", unit)
    value = amount * (low if amount > 0 else high) // unit

    def fill(orders: int) -> tuple[int, int, int, int]:
        paid = -orders * high // unit
        after, worth = amount + orders, value - paid
        weight = token_weight(document, asset, kind, after, worth, current)
        return toward_zero(worth * weight, 10_000) + paid, after, worth, paid

    bid, ask = fill(bids), fill(asks)
    _, after, worth, paid = bid if bid[0] < ask[0] else ask
    weight = token_weight(document, asset, kind, after, worth, current)
    ratio = own_ratio(params, kind)
    if ratio:
        weight = token_weight(document, asset, "initial", after, worth, current)
        bounds = max(weight, 10_000 + ratio), min(weight, max(10_000 - ratio, 0))
        weight = bounds[worth > 0]
    weighted = toward_zero(worth * weight, 10_000)
    ledger.add_requirement(count * units(params["open_order_margin"], 10**6), 0)
    if worth > 0:
        ledger.add_collateral(weighted)
    if worth < 0:
        ledger.add_requirement(-weighted, -worth)
    if paid > 0:
        ledger.add_collateral(paid)
    if paid < 0:
        ledger.add_requirement(-paid, -paid)


def token_weight(
    document: Document, asset: str, kind: str, amount: int, worth: int, price: int
) -> int:
    terms = document["accounts"][0]["params"]["tokens"][asset]
    unit = 10 ** terms["decimals"]
    side = "asset" if worth > 0 else "liability"
    initial = units(terms[f"initial_{side}_weight"], 10_000)
    kept = units(terms[f"maintenance_{side}_weight"], 10_000)
    start = units(terms.get("scale_initial_asset_weight_start", 0), 10**6)
    if side == "asset" and start:
        deposits = units(document["market"]["assets"][asset]["deposits"], unit) * price // unit
        if deposits >= start:
            initial = initial * start // deposits
    weight = {"initial": initial, "fill": (initial + kept) // 2, "maintenance": kept}[kind]
    factor = units(terms.get("imf_factor", 0), 10**6)
    size = abs(amount) * 10**9 // unit
    return discount(weight, size, factor) if worth > 0 else premium(weight, size, factor)


def premium(weight: int, size: int, factor: int) -> int:
    if factor == 0:
        return weight
    return max(weight, weight - weight // 5 + isqrt(10 * size + 1) * factor // 10**7)


def discount(weight: int, size: int, factor: int) -> int:
    if factor == 0:
        return weight
    return min(weight, 11_000_000_000 // (10**6 + isqrt(10 * size + 1) * factor // 10**5))


def add_contract(
    document: Document, pool: Document, kind: str, symbol: str, ledger: Ledger
) -> None:
    params, market = document["accounts"][0]["params"], document["market"]["instruments"][symbol]
    terms = params["perps"][symbol]
    lot = Decimal(str(market.get("contract_multiplier", 1)))
    price = units(market["mark"], 10**6)
    base, quote = 0, units(pool["unsettled"].get(symbol, 0), 10**6)
    for position in pool["positions"]:
        if position["symbol"] == symbol:
            coins = Decimal(str(position["quantity"])) * lot
            base += units(coins, 10**9)
            quote -= units(coins * Decimal(str(position["entry_price"])), 10**6)
    bids, asks, count = sum_orders(pool, symbol, int(lot * 10**9))
    value_bid, value_ask = (abs(base + side) * price // 10**9 for side in (bids, asks))
    worst, value = (base + bids, value_bid) if value_bid > value_ask else (base + asks, value_ask)
    _, low, high = prices(document, "USDC", kind)
    liability = value * high // 10**6
    mode = "high_leverage_" if params.get("high_leverage") else ""
    if not all(terms.get(f"high_leverage_{k}_margin_ratio") for k in ("initial", "maintenance")):
        mode = ""
    initial = units(terms[f"{mode}initial_margin_ratio"], 10_000)
    kept = units(terms[f"{mode}maintenance_margin_ratio"], 10_000)
    ratio = {"initial": initial, "fill": (initial + kept) // 2, "maintenance": kept}[kind]
    ratio = premium(ratio, abs(worst), units(terms.get("imf_factor", 0), 10**6))
    chosen = params.get("position_margin_ratio", {}).get(symbol, 0) if kind == "initial" else 0
    ratio = max(ratio, own_ratio(params, kind), units(chosen, 10_000))
    ledger.add_requirement(
        liability * ratio // 10_000 + count * units(params["open_order_margin"], 10**6), liability
    )
    pnl = toward_zero(base * price, 10**9) + quote
    weighted = toward_zero(pnl * profit_weight(terms, market, kind, pnl), 10_000)
    weighted = toward_zero(weighted * (low if pnl > 0 else high), 10**6)
    if kind == "initial":
        weighted = min(weighted, units(params["initial_profit_cap"], 10**6))
    ledger.add_collateral(weighted)


def profit_weight(terms: Document, market: Document, kind: str, pnl: int) -> int:
    if pnl <= 0:
        return 10_000
    if kind == "maintenance":
        return units(terms["unrealized_pnl_maintenance_asset_weight"], 10_000)
    weight = units(terms["unrealized_pnl_initial_asset_weight"], 10_000)
    limit = units(terms.get("unrealized_pnl_max_imbalance", 0), 10**6)
    if limit:
        net = units(market["net_user_pnl"], 10**6)
        if net > limit:
            weight = weight * limit // net
    return discount(weight, pnl * 1000, units(terms.get("unrealized_pnl_imf_factor", 0), 10**6))
