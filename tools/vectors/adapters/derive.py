"""Cases of Derive's three managers: its own tests' portfolios, and positions of live accounts."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from plimsoll.connectors import Portfolio, build_portfolio, decode_document
from plimsoll.core import format_time, parse_time
from plimsoll.instruments import InstrumentTable
from plimsoll.margin import Explanation, explain, load_models
from tools.vectors.adapters.adapter import Adapter
from tools.vectors.cases import Case

COIN = "XYZ"
"""Stands for a manager's underlying, so that no table of a real one is mixed in."""

CASH = "USDC"
SETTLED = "2026-06-05T08:00:00Z"
"""When the options of a case that expire first do so."""

NS_PER_SECOND = 10**9
NS_PER_DAY = 86_400 * NS_PER_SECOND
AVERAGED_SECONDS = 1800
MARK = 1
"""A document wants a mark; the managers price options themselves."""

MARKETS = ("ETH", "BTC")
SHOCKS = {"Up": "up", "Down": "down", "None": "none", "LINEAR": "linear", "ABS": "absolute"}


class Option(NamedTuple):
    """An option held: seconds to expiry, coins signed, and what the feeds say."""

    base: str
    seconds: float
    strike: float
    is_call: bool
    amount: float
    feeds: Mapping[str, Any]


def second_manager(case: Case) -> dict[str, Any]:
    """Margins and scenario profits of a portfolio under PMRM_2, through a document."""
    given = case.inputs
    feeds = {feed["FeedExpiry"]: feed for feed in given["OptionFeeds"]}
    options = []
    for row in given["Options"]:
        feed = feeds[row["Expiry"]]
        sure = (feed["ForwardConfidence"], feed["RateConfidence"], feed["OptionVolConfidences"])
        stated = {
            "implied_vol": row["MarkVol"],
            "underlying": feed["Forward"],
            "rate": feed["Rate"],
            "confidence": min(sure),
        }
        option = (row["Expiry"], row["Strike"], bool(row["IsCall"]), row["Amount"], stated)
        options.append(Option(COIN, *option))
    coins = given["Collaterals"]
    haircuts = {
        coin["Name"]: {
            "maintenance_haircut": coin["MMHaircut"],
            "initial_haircut": coin["IMHaircut"],
            "cancels_risk": coin["IsRiskCancelling"],
        }
        for coin in coins
    }
    params = {**_second_params(given["params"]), "collateral": {COIN: haircuts}}
    params["scenarios"] = [
        [row["SpotShock"], SHOCKS[row["VolShockDirection"]], row["DampeningFactor"]]
        for row in given["scenarios"]
    ]
    market = {
        "index": {coin["Name"]: coin["Price"] for coin in coins},
        "assets": {coin["Name"]: {"confidence": coin["Confidence"]} for coin in coins},
    }
    balances = {coin["Name"]: coin["Amount"] for coin in coins}
    return _manager_figures(case, "derive.pmrm2", options, balances, market, params)


def _second_params(given: Mapping[str, Any]) -> dict[str, Any]:
    """A case's figures under the names of the table."""
    skew, vol, margin = given["SkewShock"], given["VolShock"], given["Margin"]
    basis, other = given["BasisContingency"], given["OtherContingency"]
    return {
        "loss_factors": {
            "maintenance": margin["MM_LOSS_FACTOR"],
            "initial": margin["IM_LOSS_FACTOR"],
        },
        "skew_shock": {
            "linear_cap": skew["LINEAR_SCALE_CAP"],
            "linear_slope": skew["LINEAR_CBASE"],
            "absolute_cap": skew["ABS_SCALE_CAP"],
            "absolute_slope": skew["ABS_CBASE"],
            "width_min": skew["MIN_K_STAR"],
            "width_scale": skew["MIN_WIDTH_SCALE"],
            "vol_static": skew["VOL_PARAM_STATIC"],
            "vol_slope": skew["VOL_PARAM_SCALE"],
        },
        "vol_shock": {
            "up": vol["VOLRANGEUP"],
            "down": vol["VOLRANGEDOWN"],
            "short_power": vol["SHORTTERMPOWER"],
            "long_power": vol["LONGTERMPOWER"],
            "days_min": vol["DTE_FLOOR"],
            "vol_min_up": vol["MIN_VOL_EVAL_SHOCKED"],
        },
        "static_discount": {
            "long_base": margin["BASE_STATIC_DISCOUNT"],
            "long_rate_scale": margin["LONG_RATE_MULTSCALE"],
            "long_add": margin["LONG_RATE_ADDSCALE"],
            "short_base": margin["BASE_STATIC_DISCOUNT_NEG"],
            "short_rate_scale": margin["SHORT_RATE_MULTSCALE"],
            "short_add": margin["SHORT_RATE_ADDSCALE"],
        },
        "basis": {
            "spot_up": basis["SCENARIO_SPOT_UP"],
            "spot_down": basis["SCENARIO_SPOT_DOWN"],
            "add": basis["BASIS_CONT_ADD_FACTOR"],
            "mult": basis["BASIS_CONT_MULT_FACTOR"],
        },
        "contingencies": {
            "perpetual_maintenance": other["MM_PERP_PERCENT"],
            "perpetual_initial": other["IM_PERP_PERCENT"],
            "option_maintenance": other["MM_OPTION_PERCENT"],
            "option_initial": other["IM_OPTION_PERCENT"],
        },
        "confidence": {"threshold": other["CONF_THRESHOLD"], "factor": other["CONF_MARGIN"]},
        "peg_loss": {
            "threshold": other["PEG_LOSS_THRESHOLD"],
            "factor": other["PEG_LOSS_FACTOR"],
        },
    }


def first_manager(case: Case) -> dict[str, Any]:
    """Margins of a portfolio under the first PMRM, through a document."""
    given, params = case.inputs, case.inputs["params"]
    options = []
    for row, feed in zip(given["Options"], given["Feeds"], strict=True):
        stated = {
            "implied_vol": row["vol"],
            "underlying": feed["fwd_fixed"] + feed["fwd_var"],
            "forward_fixed": feed["fwd_fixed"],
            "rate": feed["rate"],
            "confidence": min(feed["fwd_conf"], feed["rate_conf"], row["vol_conf"]),
        }
        option = (row["secs"], row["strike"], row["is_call"], row["amount"], stated)
        options.append(Option(COIN, *option))
    named = {
        "initial_factor": params["imF"],
        "scenarios": [[row["spot"], SHOCKS[row["vol"]]] for row in given["scenarios"]],
        "vol_shock": {
            "up": params["vru"],
            "down": params["vrd"],
            "short_power": params["stp"],
            "long_power": params["ltp"],
            "days_min": params["floor"] / 86_400,
        },
        "static_discount": {
            "base": params["bsd"], "rate_scale": params["rms"], "add": params["ras"],
        },
        "basis": {
            "spot_up": params["up"], "spot_down": params["dn"],
            "add": params["add"], "mult": params["mult"],
        },
        "contingencies": {
            "perpetual": params["perpP"], "underlying": params["baseP"], "option": params["optP"],
        },
        "confidence": {"threshold": params["confT"], "factor": params["confM"]},
        "peg_loss": {"threshold": params["pegT"], "factor": params["pegF"]},
    }  # fmt: skip
    return _manager_figures(case, "derive.pmrm1", options, {COIN: given["Base"]}, {}, named)


def _manager_figures(
    case: Case,
    model: str,
    options: Iterable[Option],
    balances: Mapping[str, float],
    market: Mapping[str, Any],
    params: Mapping[str, Any],
) -> dict[str, Any]:
    """The figures of an account with one manager, as the venue calls them."""
    given = case.inputs
    spot = {COIN: {"confidence": given["SpotConfidence"]}}
    index = {CASH: given["StablePrice"], COIN: given["SpotPrice"]}
    market = {
        "index": {**market.get("index", {}), **index},
        "assets": {**market.get("assets", {}), **spot},
        "instruments": {},
    }
    amount = given.get("NumPerps", given.get("Perps", 0))
    account: dict[str, Any] = {
        "balances": {CASH: _total(given, ("Cash", "UnrealisedPerpPNL", "UnrealisedFunding"))},
        "positions": [],
        "params": {"underlyings": [COIN], "underlying": COIN, **params},
    }
    account["balances"] |= {name: held for name, held in balances.items() if held}
    if amount:
        _add_perpetual(account, market, COIN, amount, given["PerpPrice"], given["PerpConfidence"])
    explained = _explain(model, account, market, options)
    figures = _account(explained)
    return {
        "IM": figures["initial_excess"],
        "MM": figures["maintenance_excess"],
        "MtM": figures["mark_to_market"],
        "portfolio_mtm": figures["mark_to_market"],
        "basis_contingency": figures["basis_contingency"],
        "buffer_margin": figures["buffer_margin"],
        "scenario_pnl": list(explained.detail("scenarios").column("profit")),
    }


def _total(given: Mapping[str, Any], names: Iterable[str]) -> Decimal:
    """What a ledger would hold: the stated amounts added up without rounding."""
    return sum((Decimal(repr(given[name])) for name in names), Decimal(0))


def standard_manager(case: Case) -> dict[str, float]:
    """Margins of a portfolio under the standard manager, through a document."""
    given, params = case.inputs, case.inputs["params"]
    account: dict[str, Any] = {"positions": [], "params": _standard_params(params)}
    market: dict[str, Any] = {"index": {CASH: given["USDCValue"]}, "assets": {}, "instruments": {}}
    cash = Decimal(repr(given["Cash"]))
    balances: dict[str, Any] = {}
    for at, base in enumerate(MARKETS):
        spot_sure, perpetual_sure = given["spot_perp_conf_ETH_BTC"][at]
        market["index"][base] = given[f"{base}SpotPrice"]
        market["assets"][base] = {"confidence": spot_sure}
        if given[f"w{base}"]:
            balances[base] = given[f"w{base}"]
        amount, price = given[f"Perps_{base}"], given["PerpPrice_ETH_BTC"][at]
        if not amount:
            continue
        paid = given[f"LastEntry{base}"]
        paid = price if paid is None else paid
        _add_perpetual(account, market, base, amount, price, perpetual_sure, paid)
        # A long pays what the funding index has gained since it last settled.
        now, then = (
            Decimal(repr(given[name] or 0.0))
            for name in (f"{base}GlobalFundingIndex", f"Account{base}FundingIndex")
        )
        cash -= Decimal(repr(amount)) * (now - then)
    account["balances"] = {CASH: cash, **balances}
    feeds = {
        (row["underlying"], row["secs"]): feed
        for row, feed in zip(given["Options"], given["Feeds"], strict=True)
    }
    options = []
    for row in given["Options"]:
        base, seconds = row["underlying"], row["secs"]
        feed = feeds[base, seconds]
        averaged = given.get(f"SettlementPrice{base}") if seconds < AVERAGED_SECONDS else None
        stated = {
            "implied_vol": row["vol"],
            "underlying": feed["forward"] if averaged is None else averaged,
            "confidence": min(feed["conf"], row["vol_conf"]),
        }
        options.append(Option(base, seconds, row["strike"], row["is_call"], row["amount"], stated))
    figures = _account(_explain("derive.standard", account, market, options))
    return {
        "IM": figures["initial_excess"],
        "MM": figures["maintenance_excess"],
        "MtM": figures["mark_to_market"],
    }


def _standard_params(given: Mapping[str, Any]) -> dict[str, Any]:
    """A case's figures under the names of the table, the same for both markets."""
    option = {
        "spot_max": given["maxS"],
        "spot_min": given["minS"],
        "call_maintenance": given["mmC"],
        "put_maintenance": given["mmP"],
        "put_value": given["mmPM"],
        "maintenance_scale": given["off"],
        "unpaired_initial": given["uIM"],
        "unpaired_maintenance": given["uMM"],
    }
    sure = ("perpetual_threshold", "option_threshold", "collateral_threshold")
    return {
        "perpetuals": {base: [given["imPerp"], given["mmPerp"]] for base in MARKETS},
        "options": dict.fromkeys(MARKETS, option),
        "collateral": {base: [given["baseF"], given["baseIM"]] for base in MARKETS},
        "confidence": {**dict.fromkeys(sure, given["oc"]), "factor": given["ocF"]},
        "peg_loss": {"threshold": given["dT"], "factor": given["dF"]},
    }


def standard_perpetual(case: Case) -> dict[str, float]:
    """Margins of one perpetual under the standard manager, as its position shows them."""
    given, base = case.inputs, _base(case)
    account: dict[str, Any] = {"balances": {}, "positions": [], "params": {}}
    fractions = [given.get(name) for name in ("im_req", "mm_req")]
    if None not in fractions:
        account["params"] = {"perpetuals": {base: fractions}}
    explained = _explain("derive.standard", account, _one_perpetual(case, account, base), ())
    return _margins(explained, "position_margin", f"{base}/{CASH}:{CASH}")


def standard_coin(case: Case) -> dict[str, float]:
    """What a coin counts for under the standard manager."""
    given, base = case.inputs, _base(case)
    account: dict[str, Any] = {"balances": {base: given["amount"]}, "params": {}}
    factors = [given.get(name) for name in ("mm_factor", "im_scale")]
    if None not in factors:
        account["params"] = {"collateral": {base: factors}}
    market = {"index": {CASH: 1, base: given["mark_price"]}, "instruments": {}}
    return _margins(_explain("derive.standard", account, market, ()), "collateral", base)


def first_manager_perpetual(case: Case) -> dict[str, float]:
    """Margins of one perpetual under the first PMRM, in the scenario that is its worst."""
    given, base = case.inputs, _base(case)
    account: dict[str, Any] = {
        "balances": {},
        "positions": [],
        "params": {
            "underlyings": [base],
            "underlying": base,
            "initial_factor": given["im_factor"],
            "scenarios": [[1 + given["worst_spot_shock"], "none"]],
            "contingencies": {"perpetual": given["perp_contingency"]},
        },
    }
    figures = _account(_explain("derive.pmrm1", account, _one_perpetual(case, account, base), ()))
    return {
        "initial_margin": figures["initial_excess"],
        "maintenance_margin": figures["maintenance_excess"],
    }


def _base(case: Case) -> str:
    """The coin that a case names before what it holds: "ETH perp", "BTC collateral"."""
    text = f"{case.subject} {case.id.upper()}"
    found = re.search(r"\b([A-Z][A-Z0-9]{1,9})\b(?= perp| collateral| base| PM|-PERP)", text)
    return found[1] if found else COIN


def _one_perpetual(case: Case, account: dict[str, Any], base: str) -> dict[str, Any]:
    """A market with one perpetual, and the account's position in it, entered so that it is

    worth what the case says.
    """
    given = case.inputs
    price = given["mark_price"]
    index = {CASH: 1, base: given.get("index_price", price)}
    market: dict[str, Any] = {"index": index, "instruments": {}}
    paid = price - given.get("mark_value", 0) / given["amount"]
    _add_perpetual(account, market, base, given["amount"], price, 1, paid)
    return market


def _margins(explained: Explanation, table: str, label: str) -> dict[str, float]:
    found = explained.detail(table)
    figures = dict(zip(found.columns, dict(found.rows)[label], strict=True))
    return {
        "mark_value": figures.get("mark_value", figures.get("value", 0.0)),
        "initial_margin": figures["initial_excess"],
        "maintenance_margin": figures["maintenance_excess"],
    }


def _add_perpetual(
    account: dict[str, Any],
    market: dict[str, Any],
    base: str,
    amount: float,
    price: float,
    confidence: float,
    paid: float | None = None,
) -> None:
    symbol = f"{base}/{CASH}:{CASH}"
    market["instruments"][symbol] = {"mark": price, "confidence": confidence}
    entry = price if paid is None else paid
    account["positions"].append({"symbol": symbol, "quantity": amount, "entry_price": entry})


def _account(explained: Explanation) -> dict[str, float]:
    found = explained.detail("account")
    return dict(zip(found.columns, found.rows[0][1], strict=True))


def _explain(
    model: str, account: dict[str, Any], market: dict[str, Any], options: Iterable[Option]
) -> Explanation:
    """The account in its market, with options at the very second that each one expires."""
    held = list(options)
    as_of_ns, dates = _expiry_dates([option.seconds for option in held])
    instants: dict[str, int] = {}
    for option in held:
        day = format_time(dates[option.seconds])[2:10].replace("-", "")
        right, strike = "C" if option.is_call else "P", f"{Decimal(repr(option.strike)):f}"
        symbol = f"{option.base}/{CASH}:{CASH}-{day}-{strike}-{right}"
        market["instruments"][symbol] = {"mark": MARK, **option.feeds}
        account["positions"].append({"symbol": symbol, "quantity": option.amount})
        instants[symbol] = as_of_ns + round(option.seconds * NS_PER_SECOND)
    named = {"id": "case", "model": model, **account}
    raw = {"as_of": format_time(as_of_ns), "market": market, "accounts": [named]}
    written = msgspec.json.Encoder(decimal_format="number").encode(raw)
    portfolio = build_portfolio(decode_document(written, "case.json"))
    portfolio = _at_instants(portfolio, instants)
    book, board = portfolio.book, portfolio.market
    models = load_models(book.instruments, book.models, board.as_of_ns)
    return explain(book, board, models, "case")[0]


def _expiry_dates(seconds: Iterable[float]) -> tuple[int, dict[float, int]]:
    """The instant of a document and the day, at 8:00, that its symbols give each expiry.

    The days are true where all expiries of a case, or else the first, are whole days apart.
    """
    distinct = sorted(set(seconds))
    settled = parse_time(SETTLED, "settled")
    as_of_ns = settled - round(max(distinct[0] if distinct else 0, 0) * NS_PER_SECOND)
    dates: dict[float, int] = {}
    day = settled
    for left in distinct:
        day = max(
            day, settled + round(left - distinct[0]) * NS_PER_SECOND // NS_PER_DAY * NS_PER_DAY
        )
        dates[left] = day
        day += NS_PER_DAY
    if distinct and distinct[0] <= 0:
        # A document lists nothing that has expired; the true instants are set afterwards.
        as_of_ns -= NS_PER_SECOND
    return as_of_ns, dates


def _at_instants(portfolio: Portfolio, instants: Mapping[str, int]) -> Portfolio:
    """The portfolio with every option's expiry to the nanosecond, at any hour."""
    table = portfolio.book.instruments
    rows = [replace(row, expiry_ns=instants.get(row.symbol, row.expiry_ns)) for row in table.rows]
    decimals = dict(zip(table.assets.names, table.assets.decimals, strict=True))
    exact = InstrumentTable.build(rows, decimals)
    return Portfolio(
        replace(portfolio.book, instruments=exact), replace(portfolio.market, instruments=exact)
    )


PORTFOLIO = "Cash SpotPrice SpotConfidence PerpPrice PerpConfidence Unrealised* StablePrice Options"
ADAPTERS: tuple[Adapter, ...] = (
    Adapter(
        "derive*", "derive_pmrm2",
        f"{PORTFOLIO} NumPerps Collaterals OptionFeeds params scenarios", second_manager,
    ),
    Adapter("derive*", "derive_pmrm1", f"{PORTFOLIO} Perps Base Feeds params scenarios",
            first_manager),
    Adapter(
        "derive*", "derive_srm",
        "Cash Perps_* wETH wBTC LastEntry* *FundingIndex *SpotPrice USDCValue SettlementPrice*? "
        "spot_perp_conf_ETH_BTC PerpPrice_ETH_BTC Options Feeds params",
        standard_manager,
    ),
    Adapter(
        "derive*", "*standard*perp*", "amount mark_price mark_value im_req? mm_req? index_price?",
        standard_perpetual,
    ),
    Adapter("derive*", "*standard*collateral*", "amount mark_price mm_factor? im_scale?",
            standard_coin),
    Adapter(
        "derive*", "*portfolio manager v1*perp*",
        "amount mark_price index_price mark_value worst_spot_shock perp_contingency im_factor",
        first_manager_perpetual,
    ),
)  # fmt: skip
