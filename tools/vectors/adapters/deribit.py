"""Cases of Deribit, and venues that copied its rules (bit.com, Dederi, Variational).

Figures are read from a document's explanation: in the settlement currency from its view of the
account, by contract from its contracts.
"""

from collections.abc import Callable

import numpy as np

from plimsoll.instruments import parse_symbol
from plimsoll.pricing import payoff_in_coin
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.adapters.deribit_documents import (
    AS_OF,
    COIN,
    CROSS,
    LINEAR,
    STANDARD,
    as_of_case,
    explain_account,
    hold,
    hold_option,
    market_of,
    option_symbol,
    order_of,
    orders_shown,
    outright_quantity,
    outright_rates,
    outright_symbol,
    size_of,
    view_in,
)
from tools.vectors.adapters.deribit_matrix import (
    older_contingencies,
    scaled_vol_shock,
    simulated_matrix,
)
from tools.vectors.adapters.options import shocked_future
from tools.vectors.cases import Case


def linear_maintenance(case: Case) -> dict[str, float]:
    """Margin of a linear perpetual at one base rate, through a document."""
    size, price = case.inputs["position_coin"], case.inputs["index_price"]
    rates = outright_rates(LINEAR, case, case.inputs["base_rate"], case.inputs["base_rate"])
    margin = view_in(hold(LINEAR, size, price, rates, AS_OF), "USDC")["maintenance_margin"]
    return {
        "rate": margin / (abs(size) * price),
        "margin_base": margin / price,
        "margin_usdc": margin,
    }


def outright_position(case: Case) -> dict[str, float]:
    """Size in coin and margins of a future or perpetual, through a document."""
    inputs, symbol = case.inputs, outright_symbol(case)
    price = inputs.get("mark_price", inputs.get("index_price", 1.0))
    rates = outright_rates(symbol, case, inputs.get("im_base"), inputs.get("mm_base"))
    quantity = outright_quantity(case, symbol, price)
    explained = hold(symbol, quantity, price, rates, as_of_case(case, symbol))
    return {**view_in(explained, parse_symbol(symbol).settle), **size_of(explained, symbol)}


def outright_order(case: Case) -> dict[str, float]:
    """Margin of an open order on a future or perpetual, through a document."""
    inputs, symbol = case.inputs, outright_symbol(case)
    price = inputs["order_price"]
    amount = next(inputs[name] for name in inputs if name in ("order_usd", "order_coin"))
    rates = outright_rates(symbol, case, inputs["im_base"], inputs.get("mm_base"))
    order = order_of(symbol, amount, price, "sell" if "sell" in case.subject.lower() else "buy")
    market = market_of(
        {parse_symbol(symbol).base: inputs.get("index_price", price)},
        {symbol: {"mark": inputs.get("mark_price", price)}},
    )
    account = {"orders": [order], "params": rates}
    explained = explain_account(STANDARD, account, market, as_of_case(case, symbol))
    return orders_shown(explained, parse_symbol(symbol).settle)


def rfq_quote(case: Case) -> dict[str, float]:
    """Margins under flat rates, and what one more position adds, through documents."""
    inputs = case.inputs
    initial, kept = inputs["futures_initial_margin"], inputs["futures_maintenance_margin"]
    rates = outright_rates(LINEAR, case, initial, kept)
    before = hold(LINEAR, inputs["existing_initial_margin"] / initial, 1.0, rates, AS_OF)
    added = hold(LINEAR, inputs["qty"], inputs["mark"], rates, AS_OF).initial_margin
    return {
        "existing_initial_margin": before.initial_margin,
        "existing_maintenance_margin": before.maintenance_margin,
        "ask_delta_im": added,
        "bid_delta_im": added,
    }


def option_position(case: Case) -> dict[str, float]:
    """Margins of an option position, through a document."""
    inputs, symbol = case.inputs, option_symbol(case)
    explained = hold_option(
        symbol, inputs["size"], inputs["index_price"], inputs["mark_price"],
        as_of_case(case, symbol),
    )  # fmt: skip
    return view_in(explained, parse_symbol(symbol).settle)


def short_option(case: Case) -> dict[str, float]:
    """Margins of options sold, by unit and in all, in the currency and USD, through a document."""
    inputs = case.inputs
    index, put = inputs["underlying"], "put" in case.subject.lower()
    beyond = next((inputs[name] for name in inputs if name.startswith("otm_amount")), 0)
    strike = inputs.get("strike", index - beyond if put else index + beyond)
    mark = next(inputs[name] for name in inputs if name.startswith("mark"))
    size = abs(inputs.get("size", inputs.get("qty")))
    in_coin = any(word in case.subject.lower() for word in ("inverse", "coin"))
    pair = "BTC/USD:BTC" if in_coin else "BTC/USDC:USDC"
    symbol = f"{pair}-261225-{strike:.10g}-{'P' if put else 'C'}"
    explained = hold_option(symbol, -size, index, mark, AS_OF)
    shown = view_in(explained, parse_symbol(symbol).settle)
    im, mm = shown["initial_margin"], shown["maintenance_margin"]
    return {
        "im": im, "mm": mm, "im_unit": im / size, "mm_unit": mm / size, "im_btc": im, "mm_btc": mm,
        "im_usd": explained.initial_margin, "mm_usd": explained.maintenance_margin,
    }  # fmt: skip


def otm_reference(case: Case) -> dict[str, float]:
    """The index at which an option sold has the margins stated, found by trying documents."""
    inputs, symbol = case.inputs, option_symbol(case)
    row, size, as_of = parse_symbol(symbol), abs(inputs.get("size", 1)), as_of_case(case, symbol)
    strike = float(row.strike)

    def shown(index: float, mark: float, name: str) -> float:
        return view_in(hold_option(symbol, -size, index, mark, as_of), row.settle)[name]

    kept, first = inputs["maintenance_margin"], inputs["initial_margin"]
    mark = _secant(lambda x: shown(strike, x, "maintenance_margin") - kept, 0.001, 0.002)
    # Between at the money and where the lower rate begins the margin is linear in 1 / index.
    near, far = (1.01, 1.04) if row.is_call else (0.99, 0.96)
    found = _secant(lambda x: shown(strike / x, mark, "initial_margin") - first, near, far)
    return {"otm_reference_price": strike / found, "mark_price": mark}


def option_order(case: Case) -> dict[str, float]:
    """Margin of an open order on an option, through a document."""
    inputs, symbol = case.inputs, option_symbol(case)
    row = parse_symbol(symbol)
    amount = next(inputs[name] for name in inputs if "amount" in name)
    side = "buy" if "buy" in f"{case.subject} {inputs.get('side', '')}".lower() else "sell"
    price = inputs.get("order_price", inputs.get("mark_price", 0.01))
    params = {"option_fee": {row.base: inputs["fee_rate"]}} if "fee_rate" in inputs else {}
    market = market_of(
        {row.base: inputs["index_price"]}, {symbol: {"mark": inputs.get("mark_price", price)}}
    )
    account = {"orders": [order_of(symbol, amount, price, side)], "params": params}
    explained = explain_account(STANDARD, account, market, as_of_case(case, symbol))
    return orders_shown(explained, row.settle)


def inverse_settlement(case: Case) -> dict[str, float]:
    """What coin-settled options pay at delivery, and the profit after their premium."""
    found = {}
    for name, option in case.inputs.items():
        delivery, strike = (np.array([option[key]], dtype=np.float64) for key in ("delivery", "K"))
        coins = float(payoff_in_coin(delivery, strike, np.array([name == "call"]))[0])
        found[f"{name}_value_btc"] = coins
        found[f"{name}_profit"] = coins - option["premium"]
    return found


def account_identities(case: Case) -> dict[str, float]:
    """Equity, margin balance and available funds under standard margin, through a document.

    A future stands for the session's profit and the initial margin, an option for its value.
    """
    inputs = case.inputs
    profit = sum(amount for name, amount in inputs.items() if "session" in name)
    options, margin = inputs.get("options_value", 0.0), inputs.get("initial_margin", 0.0)
    mark, option = 10 * max(1.0, abs(profit), margin), f"{LINEAR}-261225-1-C"
    # Without rates of its own an option sold needs its mark, which is not the future's to need.
    names = "maintenance_base slope_per_coin option_initial_max option_initial_min "
    params = {name: {COIN: 0} for name in f"{names}option_maintenance".split()}
    params["initial_base"] = {COIN: (margin + min(options, 0.0)) / mark}
    positions = [{"symbol": LINEAR, "quantity": 1, "entry_price": mark - profit}]
    instruments = {LINEAR: {"mark": mark}}
    if options:
        positions.append({"symbol": option, "quantity": 1 if options > 0 else -1})
        instruments[option] = {"mark": abs(options)}
    balances = {"USDC": inputs["balance"]}
    account = {"balances": balances, "positions": positions, "params": params}
    market = market_of({COIN: mark}, instruments)
    return view_in(explain_account(STANDARD, account, market, AS_OF), "USDC")


def cross_view(case: Case) -> dict[str, float]:
    """An account's USD totals as they show in each currency, through a document.

    Equal parts of the margin balance in each currency, and a perpetual with the margins stated.
    """
    initial, kept, total = (
        case.inputs[f"total_{name}_usd"]
        for name in ("initial_margin", "maintenance_margin", "margin_balance")
    )
    prefix, reach = "margin_balance_", 0.5
    shown = case.inputs.get(f"{prefix}by_ccy") or {
        name.removeprefix(prefix).upper(): amount
        for name, amount in case.inputs.items()
        if name.startswith(prefix)
    }
    price = {name: total / amount for name, amount in shown.items()}
    # The matrix of the coin is its price range alone.
    nothing = "m_inc delta_total_liq_shock_threshold max_delta_shock".split()
    params = {
        **{name: {COIN: 0} for name in nothing},
        "price_range": {COIN: reach},
        "extended_table_factor": {COIN: 1},
        "min_annualised_move": {"USDC": 0},
        "haircut": dict.fromkeys(shown, 0),
        "equity_side_impact": dict.fromkeys(shown, "none"),
        "mm_factor": kept / initial,
    }
    account = {
        "balances": {name: total / len(shown) / each for name, each in price.items()},
        "positions": [{"symbol": LINEAR, "quantity": initial / reach, "entry_price": 1}],
        "params": params,
    }
    # The coin is worth one USDC, so that it is worth what the perpetual is marked at.
    index = {**price, COIN: price.get("USDC", 1)}
    explained = explain_account(CROSS, account, market_of(index, {LINEAR: {"mark": 1}}), AS_OF)
    views = {name: view_in(explained, name) for name in shown}
    found = {f"{name}_{key}": x for name, view in views.items() for key, x in view.items()}
    return {**found, **(next(iter(views.values())) if len(views) == 1 else {})}


def _secant(miss: Callable[[float], float], first: float, second: float) -> float:
    """Where ``miss`` is zero, from two guesses; in one step where it is linear."""
    before, now = miss(first), miss(second)
    for _ in range(20):
        if now == before:
            break
        first, second = second, second - now * (second - first) / (now - before)
        before, now = now, miss(second)
    return second


OUTRIGHT = "instrument? im_base? mm_base? slope_per_coin? mark_price? index_price? as_of?"
OPTION = "instrument? strike? type? as_of?"
ADAPTERS: tuple[Adapter, ...] = (
    Adapter("deribit", "standard margin*linear*",
            "base_rate slope_per_coin? position_coin index_price", linear_maintenance),
    *(
        Adapter("deribit", "standard margin*", f"{size} im_base {OUTRIGHT}", outright_position)
        for size in ("size*", "position_coin")
    ),
    Adapter("deribit", "size in coin*", "size_usd mark_price instrument? as_of?",
            outright_position),
    *(
        Adapter("deribit", "standard margin*order*",
                f"{amount} order_price im_base {OUTRIGHT}", outright_order)
        for amount in ("order_usd", "order_coin")
    ),
    Adapter("variational", "*", "existing_initial_margin futures_initial_margin "
            "futures_maintenance_margin ask_delta_im? bid_delta_im? qty mark", rfq_quote),
    Adapter("deribit", "standard margin*order*option*",
            f"{OPTION} index_price order_amount* fee_rate? side? order_price? mark_price?",
            option_order),
    Adapter("deribit", "standard margin*option*",
            f"{OPTION} size index_price mark_price", option_position),
    Adapter("deribit", "standard margin*option*",
            f"{OPTION} size? initial_margin maintenance_margin", otm_reference),
    *(
        Adapter(party, "*option*",
                f"underlying mark* strike? otm_amount*? {size}", short_option)
        for party in ("deribit", "bit.com") for size in ("qty", "size")
    ),
    Adapter("deribit", "*settlement*", "call? put?", inverse_settlement),
    Adapter("deribit", "account*identities*sm*",
            "balance *session_upl? *session_rpl? options_value? initial_margin?",
            account_identities),
    Adapter("deribit", "cross_pm*", "total_initial_margin_usd total_maintenance_margin_usd "
            "total_margin_balance_usd margin_balance_*", cross_view),
    Adapter("deribit", "*pm*risk*matrix*", "positions* mark* index* timestamp_ms? as_of? "
            "currency_pair? currency_*? general? *_margin?", simulated_matrix),
    Adapter("deribit", "*volatility shock*", "base_iv_change days power", scaled_vol_shock),
    Adapter("deribit", "*contingenc*", "call_pos? put_pos? per_option? fut_a? fut_b? fut_rate?",
            older_contingencies),
    Adapter("dederi", "*", "I0 basis T Q cont shock", shocked_future),
)  # fmt: skip
