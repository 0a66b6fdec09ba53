"""The portfolio document: strict at the door, exact in the book."""

import json
from fractions import Fraction
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from plimsoll.book import Book, ModelChoice, PoolKind, SystemPool
from plimsoll.connectors import (
    AccountDocument,
    MarketDocument,
    Number,
    Portfolio,
    PortfolioDocument,
    PositionDocument,
    build_portfolio,
    decode_document,
    document_schema,
    read_document,
)
from plimsoll.core import InputError
from plimsoll.ledger import conservation_residual
from plimsoll.market import Quality
from tools.schema import SCHEMA_PATH, schema_text

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.*"))

TEMPLATE = """\
as_of: 2025-10-10T21:15:00Z
market:
  index: {BTC: 112000, USDT: 1}
  instruments:
    BTC/USDT:USDT: {mark: 112050}
    ETH/USDT:USDT: {mark: 3900}
    ETH/USDT: {}
accounts:
  - id: a
    balances: {USDT: 25000}
    positions:
      - {symbol: BTC/USDT:USDT, quantity: 1.5, entry_price: 110000}
    orders:
      - {symbol: BTC/USDT:USDT, side: buy, quantity: 0.5, price: 108000}
"""
POSITION = "{symbol: BTC/USDT:USDT, quantity: 1.5, entry_price: 110000}"


def patched(old: str, new: str) -> bytes:
    assert old in TEMPLATE
    return TEMPLATE.replace(old, new, 1).encode()


def with_position(text: str) -> bytes:
    return patched(POSITION, text)


def refusal(data: bytes, name: str = "desk.yaml") -> InputError:
    with pytest.raises(InputError) as caught:
        build_portfolio(decode_document(data, name))
    return caught.value


A0, P0, O0 = "accounts[0]", "accounts[0].positions[0]", "accounts[0].orders[0]"
BTC_ROW = "market.instruments['BTC/USDT:USDT']"

# what is wrong, the file, the place after "desk.yaml: " ("" is the whole file), remedy's words
MALFORMED = (
    ("an empty file", b"", "", "examples"),
    ("only spaces", b" \n\t\n", "", "examples"),
    ("only a comment", b"# nothing\n", "", "name: value"),
    ("a list on top", b"- 1\n- 2\n", "", "name: value"),
    ("a word", b"hello", "", "name: value"),
    ("UTF-16", TEMPLATE.encode("utf-16"), "", "UTF-8"),
    ("UTF-16 without a mark", TEMPLATE.encode("utf-16-le"), "", "UTF-8"),
    ("Latin-1", b"as_of: x\nmarket: \xe9t\xe9\n", "line 2", "UTF-8"),
    ("a control character", b"as_of: \x07\n", "", "control characters"),
    ("a tab", b"as_of: x\nmarket:\n\tindex: {}\n", "line 3, column 1", "spaces"),
    ("an open bracket", b"accounts: [1, 2\n", "line 2, column 1", "mend the YAML"),
    ("an anchor", patched("{USDT: 25000}", "&a {USDT: 1}"), "line 10", "write the value out"),
    ("an alias", patched("{USDT: 25000}", "*a"), "line 10", "write the value out"),
    ("a tag", patched("25000", "!!python/name:os.system x"), "line 10", "leave it out"),
    ("two documents", f"{TEMPLATE}---\na: 1\n".encode(), "line 15", "one document"),
    ("a key twice", patched("BTC: 112000", "BTC: 1, BTC: 2"), "line 3", "keep one"),
    ("a list as key", patched("USDT: 25000", "[1]: 2"), "line 10", "a word as the key"),
    ("deep nesting", b"a: " + b"[" * 100_000, "line 1", "flatten"),
    ("no as_of", TEMPLATE.split("\n", 1)[1].encode(), "as_of", "add it (UTC time"),
    ("no id", patched("id: a", "model: m"), f"{A0}.id", "add it"),
    ("as_of no time", patched("2025-10-10T21:15:00Z", "soon"), "as_of", "2025-10-10T21:15:00Z"),
    ("as_of beyond int64", patched("2025-10-10T", "9999-10-10T"), "as_of", "year"),
    ("as_of before the market", patched("2025-10-10T", "1969-10-10T"), "as_of", "mend the year"),
    ("as_of a number", patched("2025-10-10T21:15:00Z", "1760130900"), "as_of", "quotes"),
    ("an unknown field", patched("orders:", "order:"), f"{A0}.order", "did you mean 'orders'?"),
    ("a deep unknown field", patched("mark: 112050", "marc: 112050"), f"{BTC_ROW}.marc", "'mark'"),
    ("ccxt's spelling", with_position("{symbol: x, entryPrice: 1}"),
     f"{P0}.entryPrice", "'entry_price'"),
    ("a number for an id", patched("id: a", "id: 7"), f"{A0}.id", "put it in quotes"),
    ("an id with @", patched("id: a", "id: '@world'"), f"{A0}.id", "not starting with @"),
    ("an id that steers", patched("id: a", r'id: "\x1b[2J"'), f"{A0}.id", "printable"),
    ("an id twice", f"{TEMPLATE}  - id: a\n".encode(), "accounts[1].id", "its own id"),
    ("text for a number", patched("112050", "'112050'"), f"{BTC_ROW}.mark", "without quotes"),
    ("a word for a number", patched("25000", "much"), f"{A0}.balances.USDT", "plain number"),
    ("yes for a number", patched("25000", "yes"), f"{A0}.balances.USDT", "plain number"),
    ("true for a number", patched("25000", "true"), f"{A0}.balances.USDT", "plain number"),
    ("NaN", patched("112050", ".nan"), f"{BTC_ROW}.mark", "plain number"),
    ("infinity", patched("112050", "-.inf"), f"{BTC_ROW}.mark", "plain number"),
    ("hexadecimal", patched("quantity: 1.5", "quantity: 0x10"), f"{P0}.quantity", "plain number"),
    ("underscores", patched("110000", "110_000"), f"{P0}.entry_price", "plain number"),
    ("octal", patched("110000", "0110000"), f"{P0}.entry_price", "plain number"),
    ("1e400", patched("25000", "1e400"), f"{A0}.balances.USDT", "below 1e18"),
    ("a monstrous exponent", patched("25000", f"1e{'9' * 50}"), f"{A0}.balances.USDT", "1e18"),
    ("a vanishing exponent", patched("25000", "1e-999999999"), f"{A0}.balances.USDT", "1e18"),
    ("1e18", patched("25000", "1e18"), f"{A0}.balances.USDT", "below 1e18"),
    ("31 digits", patched("25000", "0." + "1" * 31), f"{A0}.balances.USDT", "30 digits"),
    ("a negative mark", patched("112050", "-1"), f"{BTC_ROW}.mark", "above 0"),
    ("a mark of zero", patched("112050", "0"), f"{BTC_ROW}.mark", "above 0"),
    ("a negative index", patched("BTC: 112000", "BTC: -5"), "market.index.BTC", "above 0"),
    ("a negative order", patched("0.5", "-0.5"), f"{O0}.quantity", "above 0"),
    ("a free order", patched("108000", "0"), f"{O0}.price", "above 0"),
    ("a side", patched("buy", "long"), f"{O0}.side", "'buy' or 'sell'"),
    ("a flag as text", patched("108000", "1, reduce_only: no"),
     f"{O0}.reduce_only", "true or false"),
    ("a mapping for a list", patched(f"- {POSITION}", POSITION), f"{A0}.positions", "'- '"),
    ("a list for a mapping", patched("{USDT: 25000}", "[1]"), f"{A0}.balances", "name: value"),
    ("a dollar not worth one", patched("USDT: 1}", "USD: 2}"), "market.index.USD", "leave it out"),
    ("a nameless asset", patched("USDT: 25000", "'': 1"), f"{A0}.balances['']", "printable"),
    ("a time without a price", patched("  instruments", "  index_time: {ETH: x}\n  instruments"),
     "market.index_time.ETH", "known: 'BTC', 'USDT'"),
    ("a price time", patched("mark: 3900", "time: 21:15"),
     "market.instruments['ETH/USDT:USDT'].time", "2025-10-10T21:15:00Z"),
    ("no symbol", patched("ETH/USDT: {}", "ETHUSDT: {}"),
     "market.instruments.ETHUSDT", "did you mean 'ETH/USDT:USDT'?"),
    ("an expired future", patched("ETH/USDT: {}", "ETH/USDT:USDT-250926: {}"),
     "market.instruments['ETH/USDT:USDT-250926']", "settle it"),
    ("a day that is none", patched("ETH/USDT: {}", "ETH/USDT:USDT-251340: {}"),
     "market.instruments['ETH/USDT:USDT-251340']", "2025"),
    ("an unknown symbol", patched("{symbol: BTC/USDT:USDT, q", "{symbol: BTC-PERP, q"),
     f"{P0}.symbol", "did you mean 'BTC/USDT:USDT'?"),
    ("a future not listed", patched("{symbol: BTC/USDT:USDT, q", "{symbol: SOL/USDT:USDT, q"),
     f"{P0}.symbol", "list it under market.instruments"),
    ("an order's symbol", patched("BTC/USDT:USDT, side", "ETHUSDT, side"),
     f"{O0}.symbol", "did you mean 'ETH/USDT:USDT'?"),
    ("spot as a position", with_position("{symbol: ETH/USDT, quantity: 1, entry_price: 1}"),
     f"{P0}.symbol", "add the ETH to balances"),
    ("no entry price", with_position("{symbol: BTC/USDT:USDT, quantity: 1}"),
     f"{P0}.entry_price", "average price"),
    ("two cross positions", with_position(f"{POSITION}\n      - {POSITION}"),
     f"{A0}.positions[1].symbol", "net the two"),
    ("margin on cross", with_position(POSITION.replace("}", ", isolated_margin: 5}")),
     f"{P0}.isolated_margin", "margin_mode"),
    ("no isolated margin", with_position(POSITION.replace("}", ", margin_mode: isolated}")),
     f"{P0}.isolated_margin", "set aside"),
    ("negative margin", with_position(POSITION.replace("}", ", isolated_margin: -1}")),
     f"{P0}.isolated_margin", "0 or more"),
    ("an unknown margin mode", with_position(POSITION.replace("}", ", margin_mode: x}")),
     f"{P0}.margin_mode", "'cross' or 'isolated'"),
)  # fmt: skip


@pytest.mark.parametrize(("data", "place", "remedy"), [row[1:] for row in MALFORMED],
                         ids=[row[0] for row in MALFORMED])  # fmt: skip
def test_malformed_document_is_one_line_with_place_and_remedy(data, place, remedy):
    error = refusal(data)
    assert error.place == (f"desk.yaml: {place}" if place else "desk.yaml")
    assert remedy in error.remedy
    assert "\n" not in str(error)
    assert str(error).isprintable()


MALFORMED_JSON = (
    ('{"as_of": NaN}', "as_of", "finite"),
    ('{"as_of": -Infinity}', "as_of", "finite"),
    ('{"as_of": 1e400}', "as_of", "below 1e18"),
    ('{"market": {"index": {"BTC": 1, "BTC": 2}}, "as_of": "x"}', "market.index", "keep one"),
    ('{"as_of": "x", "as_of": "y"}', "", "keep one"),
    ("[" * 100_000, "line 1", "flatten"),
    ('{"as_of": "x",\n "market": }', "line 2, column 12", "mend the JSON"),
    ("[]", "", "name: value"),
    ('{"as_of": "2025-10-10", "market": {}, "accounts": [{"id": "\\ud800"}]}',
     "accounts[0].id", "printable"),
)  # fmt: skip


@pytest.mark.parametrize(("text", "place", "remedy"), MALFORMED_JSON)
def test_malformed_json(text, place, remedy):
    # A sound as_of goes first, so that the fault further in is the first to be met.
    error = refusal(text.replace('"as_of": "x"}', '"as_of": "2025-10-10"}').encode(), "a.json")
    assert error.place == (f"a.json: {place}" if place else "a.json")
    assert remedy in error.remedy
    assert str(error).isprintable()


def test_faults_in_params_are_found():
    params = f"id: a\n    params: {{brackets: {{BTC: [[0, {'9' * 19}]]}}}}"
    assert refusal(patched("id: a", params)).place == (
        "desk.yaml: accounts[0].params.brackets.BTC[0][1]"
    )


def test_too_large_a_file():
    assert "split" in refusal(b" " * (16 * 2**20 + 1)).remedy


@pytest.mark.parametrize(
    ("name", "remedy"), [("nowhere.yaml", "path"), ("", "path")], ids=["absent", "a folder"]
)
def test_unreadable_file(tmp_path: Path, name: str, remedy: str):
    with pytest.raises(InputError) as caught:
        read_document(tmp_path / name)
    assert caught.value.place == str(tmp_path / name)
    assert remedy in caught.value.remedy


def test_amounts_that_do_not_fit_together():
    huge = patched("25000", "999999999999999999").replace(b"110000", b"999999999999999")
    assert "1e18" in refusal(huge).remedy
    tiny = patched("0.5", "1e-25").replace(b"quantity: 1.5", b"quantity: 1e12")
    assert refusal(tiny).place == "accounts[0].orders[0].quantity"


def held(book: Book, pool: int) -> dict[str, tuple[Fraction, Fraction]]:
    """Per symbol: quantity and cost, exact."""
    rows, names = book.instruments.rows, book.instruments.assets
    first, end = book.positions.offsets[pool : pool + 2]
    return {
        rows[i].symbol: (
            Fraction(int(quantity), 10 ** rows[i].quantity_decimals),
            Fraction(int(cost), 10 ** names.decimals[book.instruments.settle[i]]),
        )
        for i, quantity, cost in zip(
            book.positions.instrument[first:end],
            book.positions.quantity[first:end],
            book.positions.cost[first:end],
            strict=True,
        )
        if quantity
    }


def owned(book: Book, pool: int) -> dict[str, Fraction]:
    """Per asset: balance, exact; empty rows left out."""
    assets, balances = book.instruments.assets, book.balances
    first, end = balances.offsets[pool : pool + 2]
    return {
        assets.names[a]: Fraction(int(n), 10 ** assets.decimals[a])
        for a, n in zip(balances.asset[first:end], balances.amount[first:end], strict=True)
        if n
    }


def load(text: str, name: str = "desk.yaml") -> Portfolio:
    portfolio = build_portfolio(decode_document(text.encode(), name))
    assert set(conservation_residual(portfolio.book)) == {0}
    return portfolio


class TextDates(yaml.SafeLoader):
    """YAML with dates as text."""


TextDates.add_constructor("tag:yaml.org,2002:timestamp", yaml.SafeLoader.construct_yaml_str)


FULL = """\
as_of: 2025-10-10T21:15:00Z
market:
  index: {BTC: 112000, USDT: 1.0003, DAI: 0.9998}
  index_time: {BTC: 2025-10-10T21:14:58Z, DAI: 2025-10-10T21:00:00Z}
  instruments:
    BTC/USDT:USDT: {mark: 112050.5, time: 2025-10-10T21:14:59.5Z}
    ETH/USDT:USDT: {contract_multiplier: 0.1}
    BTC/USD:BTC: {mark: 112100, contract_multiplier: 100}
    BTC/USD:BTC-261225-80000-C: {mark: 0.31, implied_vol: 0.6, underlying: 115000}
    ETH/USDT: {mark: 3900}
accounts:
  - id: desk-1
    balances: {USDT: 25000.000001, BTC: 0.12345678901234567, DAI: -12.5, EURC: 0}
    positions:
      - {symbol: BTC/USDT:USDT, quantity: 1.5, entry_price: 110000.1}
      - {symbol: BTC/USD:BTC, quantity: -300, entry_price: 110000}
      - {symbol: BTC/USD:BTC-261225-80000-C, quantity: 2, entry_price: 0.25}
      - {symbol: ETH/USDT:USDT, quantity: -31, entry_price: 3900.5,
         margin_mode: isolated, isolated_margin: 500.25}
    orders:
      - {symbol: BTC/USDT:USDT, side: buy, quantity: 0.5, price: 108000.5}
      - {symbol: ETH/USDT:USDT, side: buy, quantity: 31, price: 3500, reduce_only: true}
      - {symbol: ETH/USDT, side: sell, quantity: 0.25, price: 4000}
    params: {b: 0.50, a: {y: 3.0, x: [1, "t", null, true]}}
  - id: desk-2
    params: {c: 1}
    positions:
      - {symbol: BTC/USDT:USDT, quantity: 0.001, entry_price: 99999,
         margin_mode: isolated, isolated_margin: 7}
      - {symbol: BTC/USDT:USDT, quantity: -2, entry_price: 111000}
      - {symbol: BTC/USD:BTC-261225-80000-C, quantity: -1}
  - id: empty
"""
CROSS = len(SystemPool)


def test_book_holds_exactly_what_the_document_says():
    book = load(FULL).book
    assert book.account_ids == ("desk-1", "desk-2", "empty")
    assert [book.pool_name(pool) for pool in range(CROSS, book.pool_count)] == [
        "desk-1",
        "desk-2",
        "empty",
        "desk-1 [ETH/USDT:USDT]",
        "desk-2 [BTC/USDT:USDT]",
    ]
    assert (book.pool_kind[CROSS + 3 :] == PoolKind.ISOLATED).all()
    assert owned(book, CROSS) == {
        "USDT": Fraction("25000.000001"),
        "BTC": Fraction("0.12345678901234567"),
        "DAI": Fraction(-25, 2),
    }
    assert owned(book, CROSS + 1) == {}
    assert owned(book, CROSS + 3) == {"USDT": Fraction("500.25")}
    assert owned(book, CROSS + 4) == {"USDT": 7}
    assert held(book, CROSS + 2) == {}
    assert held(book, CROSS + 3) == {"ETH/USDT:USDT": (-31, Fraction("-12091.55"))}
    assert held(book, CROSS + 4) == {"BTC/USDT:USDT": (Fraction("0.001"), Fraction("99.999"))}
    cross = held(book, CROSS)
    assert cross["BTC/USDT:USDT"] == (Fraction("1.5"), Fraction("165000.15"))
    assert cross["BTC/USD:BTC-261225-80000-C"] == (2, 0)
    assert held(book, CROSS + 1) == {
        "BTC/USDT:USDT": (-2, -222_000),
        "BTC/USD:BTC-261225-80000-C": (-1, 0),
    }


def test_inverse_cost_is_the_reciprocal_rounded_once():
    book = load(FULL).book
    quantity, cost = held(book, CROSS)["BTC/USD:BTC"]
    unit = Fraction(
        1, 10 ** book.instruments.assets.decimals[book.instruments.assets.find("BTC", "")]
    )
    assert quantity == -300
    # A short of inverse contracts is long the coin's reciprocal: cost = +300 * 100 / 110000.
    assert abs(cost - Fraction(30000, 110000)) <= unit / 2
    assert unit <= Fraction(1, 10**15)


def test_orders_share_the_margin_mode_of_their_position():
    book = load(FULL).book
    rows = book.instruments.rows
    found = [
        (
            pool,
            rows[i].symbol,
            Fraction(int(quantity), 10 ** rows[i].quantity_decimals),
            Fraction(int(price), 10 ** rows[i].price_decimals),
            bool(flag),
        )
        for pool in range(book.pool_count)
        for i, quantity, price, flag in zip(
            *(
                column[book.orders.offsets[pool] : book.orders.offsets[pool + 1]]
                for column in (
                    book.orders.instrument,
                    book.orders.quantity,
                    book.orders.price,
                    book.orders.is_reduce_only,
                )
            ),
            strict=True,
        )
    ]
    assert found == [
        (CROSS, "BTC/USDT:USDT", Fraction(1, 2), Fraction("108000.5"), False),
        (CROSS, "ETH/USDT", Fraction(-1, 4), Fraction(4000), False),
        (CROSS + 3, "ETH/USDT:USDT", Fraction(31), Fraction(3500), True),
    ]


def test_market_keeps_bad_prices_out_and_says_why():
    market = load(FULL).market
    table, count = market.instruments, len(market.instruments)
    quality = {
        name: (Quality(int(market.quality[row])), float(market.price[row]))
        for name, row in [*table.index.items()]
        + [(asset, count + k) for k, asset in enumerate(table.assets.names)]
    }
    assert quality["BTC/USDT:USDT"] == (Quality.GOOD, 112050.5)
    assert quality["BTC"] == (Quality.GOOD, 112000.0)
    assert quality["USD"] == (Quality.GOOD, 1.0)
    for name, reason in (
        ("ETH/USDT:USDT", Quality.MISSING),
        ("ETH", Quality.MISSING),
        ("EURC", Quality.MISSING),
        ("DAI", Quality.STALE),
    ):
        assert quality[name][0] == reason
        assert np.isnan(quality[name][1])
    option = table.index["BTC/USD:BTC-261225-80000-C"]
    assert market.implied_vol[option] == 0.6
    assert market.forward[option] == 115000
    assert np.isnan(np.delete(market.implied_vol, option)).all()


def test_price_age_can_be_set():
    older = FULL.replace("  instruments:", "  price_age_s_max: 900\n  instruments:")
    market = load(older).market
    asset = market.instruments.assets.find("DAI", "")
    assert market.index[asset] == 0.9998


def test_overrides_are_canonical():
    book = load(FULL).book
    text = '{"a":{"x":[1,"t",null,true],"y":3},"b":0.5}'
    assert book.models == (
        ModelChoice("plimsoll.standard", text),
        ModelChoice("plimsoll.standard", '{"c":1}'),
        ModelChoice("plimsoll.standard"),
    )
    assert book.account_model.tolist() == [0, 1, 2]
    reordered = FULL.replace("{b: 0.50, a: {y: 3.0, ", "{a: {y: 3, ").replace(
        "true]}}", "true]}, b: 0.5}"
    )
    assert load(reordered).book.models == book.models


def test_an_option_without_any_price_keeps_the_balance():
    unpriced = FULL.replace("{mark: 0.31, implied_vol: 0.6, underlying: 115000}", "{}")
    book = load(unpriced).book
    assert held(book, CROSS + 1)["BTC/USD:BTC-261225-80000-C"] == (-1, 0)
    assert owned(book, CROSS + 1) == {}


def test_json_and_yaml_give_the_same_document():
    text = FULL.replace("0.12345678901234567", "0.125")  # json writes binary fractions
    document = decode_document(text.encode(), "a.yml")
    as_json = json.dumps(yaml.load(text, Loader=TextDates)).encode()
    assert decode_document(as_json, "a.json") == document
    assert decode_document(as_json, "no-suffix") == document
    assert decode_document(as_json, "a.yaml") == document
    assert decode_document(text.encode("utf-8-sig"), "no-suffix") == document


def test_null_is_not_given():
    text = TEMPLATE.replace("{mark: 3900}", "{mark: null, time: ~}").replace(
        "    orders:\n      - {symbol: BTC/USDT:USDT, side: buy, quantity: 0.5, price: 108000}\n",
        "    orders:\n    params:\n",
    )
    document = decode_document(text.encode(), "a.yaml")
    assert document.accounts[0].orders == ()
    assert document.market.instruments["ETH/USDT:USDT"].mark is None


def test_a_document_made_in_code_builds_too():
    document = PortfolioDocument(
        as_of="2025-10-10",
        market=MarketDocument(),
        accounts=(
            AccountDocument(
                id="a",
                balances={"USDT": Number("1.5")},
                positions=(
                    PositionDocument(
                        "BTC/USDT:USDT", Number(-2), entry_price=Number(5), mark=Number(4)
                    ),
                ),
            ),
        ),
    )
    portfolio = build_portfolio(document)
    assert held(portfolio.book, CROSS) == {"BTC/USDT:USDT": (-2, -10)}
    assert portfolio.market.mark.tolist() == [4.0]


def test_a_document_made_in_code_is_checked_too():
    twins = (AccountDocument(id="a"), AccountDocument(id="a"))
    with pytest.raises(InputError) as caught:
        build_portfolio(PortfolioDocument("2025-10-10", MarketDocument(), twins))
    assert caught.value.place == "accounts[1].id"


# ccxt's structures, as its documentation shows them.

CCXT_POSITION = {
    "info": {"any": ["thing", 1e30]},
    "id": "1234323",
    "symbol": "BTC/USD:BTC",
    "timestamp": 1607723554607,
    "datetime": "2020-12-11T21:52:34.607Z",
    "isolated": True,
    "hedged": False,
    "side": "short",
    "contracts": 5,
    "contractSize": 100,
    "entryPrice": 20000,
    "exitPrice": None,
    "markPrice": 20050,
    "lastPrice": None,
    "notional": 100000,
    "leverage": 100,
    "collateral": 0.0053,
    "initialMargin": 0.005,
    "maintenanceMargin": 0.001,
    "initialMarginPercentage": 0.05,
    "maintenanceMarginPercentage": 0.01,
    "marginRatio": 0.2,
    "unrealizedPnl": 0.0003,
    "realizedPnl": None,
    "liquidationPrice": 19850,
    "marginMode": "isolated",
    "percentage": 3.32,
    "lastUpdateTimestamp": None,
    "stopLossPrice": None,
    "takeProfitPrice": None,
}
CCXT_BALANCE = {
    "info": {},
    "timestamp": 1571921182000,
    "datetime": "2019-10-24T12:46:22.000Z",
    "free": {"BTC": 0.3, "USD": 123.0},
    "used": {"BTC": 0.7, "USD": 456.0},
    "total": {"BTC": 1.0, "USD": 579.0},
    "debt": {"BTC": 0.25},
    "BTC": {"free": 0.3, "used": 0.7, "total": 1.0, "debt": 0.25},
    "USD": {"free": 123.0, "used": 456.0, "total": 579.0},
}


def ccxt_document(position: dict[str, object], balances: dict[str, object]) -> str:
    return json.dumps(
        {
            "as_of": "2025-10-10T21:15:00Z",
            "market": {"index": {"BTC": 20000}},
            "accounts": [{"id": "a", "balances": balances, "positions": [position]}],
        }
    )


def test_ccxt_structures_load_as_they_are():
    portfolio = load(ccxt_document(CCXT_POSITION, CCXT_BALANCE), "a.json")
    book, table = portfolio.book, portfolio.book.instruments
    assert owned(book, CROSS) == {"BTC": Fraction(3, 4), "USD": 579}
    assert held(book, CROSS + 1)["BTC/USD:BTC"][0] == -5
    assert held(book, CROSS + 1)["BTC/USD:BTC"][1] == Fraction(5 * 100, 20000)
    assert table.rows[0].contract_multiplier == 100
    assert portfolio.market.mark.tolist() == [20050.0]


@pytest.mark.parametrize(
    ("change", "margin"),
    [
        ({}, "0.005"),  # collateral without its profit
        ({"positionMargin": 0.0049}, "0.0049"),
        ({"unrealizedPnl": None}, "0.0053"),
        ({"initialMargin": 0.0053}, "0.0053"),  # a venue that reports the bare margin
        ({"collateral": None, "initialMargin": 0.006}, "0.006"),
        ({"marginMode": None}, "0.005"),
    ],
)
def test_ccxt_isolated_margin_is_before_profit(change, margin):
    book = load(ccxt_document({**CCXT_POSITION, **change}, {}), "a.json").book
    assert owned(book, CROSS + 1) == {"BTC": Fraction(margin)}


def test_ccxt_cross_and_empty_positions():
    cross = {**CCXT_POSITION, "marginMode": "cross", "side": "long"}
    assert held(load(ccxt_document(cross, {}), "a.json").book, CROSS)["BTC/USD:BTC"] == (
        5,
        Fraction(-5 * 100, 20000),
    )
    empty = {**cross, "contracts": 0, "side": None, "entryPrice": 0}
    assert held(load(ccxt_document(empty, {}), "a.json").book, CROSS) == {}


@pytest.mark.parametrize(
    ("change", "place", "remedy"),
    [
        ({"side": None}, "positions[0].side", "'long' or 'short'"),
        ({"side": "both"}, "positions[0].side", "'long' or 'short'"),
        ({"contracts": -5}, "positions[0].contracts", "0 or more"),
        ({"contracts": None}, "positions[0].contracts", "add it"),
        ({"entryPrice": None}, "positions[0].entry_price", "average price"),
        ({"markPrice": None}, "positions[0].symbol", "list it"),
        ({"symbol": "BTCUSD_PERP"}, "positions[0].symbol", "BTC/USD:BTC"),
        ({"collateral": None, "initialMargin": None}, "positions[0].collateral", "its margin"),
        ({"entyPrice": 1}, "positions[0].entyPrice", "did you mean 'entryPrice'?"),
    ],
)
def test_ccxt_positions_that_say_too_little(change, place, remedy):
    error = refusal(ccxt_document({**CCXT_POSITION, **change}, {}).encode(), "a.json")
    assert error.place == f"a.json: accounts[0].{place}"
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"total": {"BTC": None}}, "balances.total.BTC"),
        ({"total": {"BTC": "1.0"}}, "balances.total.BTC"),
        ({"debt": {"ETH": 1}}, "balances.total.ETH"),
        ({"ETH": 5}, "balances.ETH"),
    ],
)
def test_ccxt_balances_that_are_unsound(change, place):
    error = refusal(ccxt_document(CCXT_POSITION, {**CCXT_BALANCE, **change}).encode(), "a.json")
    assert error.place == f"a.json: accounts[0].{place}"


def test_statements_about_one_contract_must_agree():
    document = json.loads(ccxt_document(CCXT_POSITION, {}))
    account = document["accounts"][0]
    account["positions"].append({**CCXT_POSITION, "markPrice": 20051})
    error = refusal(json.dumps(document).encode(), "a.json")
    assert error.place == "a.json: accounts[0].positions[1].mark"
    document["market"]["instruments"] = {"BTC/USD:BTC": {"mark": 20060}}
    assert load(json.dumps(document), "a.json").market.mark.tolist() == [20060.0]
    document["market"]["instruments"]["BTC/USD:BTC"]["contract_multiplier"] = 10
    error = refusal(json.dumps(document).encode(), "a.json")
    assert error.place == "a.json: accounts[0].positions[0].contract_multiplier"


# The schema and the examples.


def test_committed_schema_is_current():
    assert SCHEMA_PATH.read_text(encoding="utf-8") == schema_text()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_loads_and_fits_the_schema(path: Path):
    portfolio = build_portfolio(read_document(path))
    assert set(conservation_residual(portfolio.book)) == {0}
    assert portfolio.book.positions.quantity.any()
    plain = yaml.load(path.read_bytes(), Loader=TextDates)
    jsonschema.Draft202012Validator(document_schema()).validate(plain)


def test_there_are_examples():
    assert {path.name for path in EXAMPLES} >= {"desk.yaml", "ccxt.json", "stale.yaml"}


@pytest.mark.parametrize(
    "change",
    [
        {"as_of": 5},
        {"market": {"index": {"BTC": -1}}},
        {"market": {"index": {"BTC": "1"}}},
        {"accounts": [{"id": "a", "balance": {}}]},
        {"accounts": [{"id": "a", "positions": [{**CCXT_POSITION, "contracts": -1}]}]},
        {"accounts": [{"id": "a", "positions": [{**CCXT_POSITION, "other": 1}]}]},
        {"accounts": [{"id": "a", "balances": {"BTC": {"total": 1}}}]},
    ],
)
def test_schema_refuses_what_the_reader_refuses(change):
    document = json.loads(ccxt_document(CCXT_POSITION, CCXT_BALANCE))
    validator = jsonschema.Draft202012Validator(document_schema())
    validator.validate(document)
    assert list(validator.iter_errors({**document, **change}))
    refusal(json.dumps({**document, **change}).encode(), "a.json")


def test_the_venues_own_condition_is_read_and_unknown_otherwise():
    stated = FULL.replace(
        "  instruments:", "  assets: {DAI: {deposits: 1e6, borrows: 2.5e5}}\n  instruments:"
    ).replace("BTC/USDT:USDT: {", "BTC/USDT:USDT: {open_interest: 1200, skew: -3, ", 1)
    market = load(stated).market
    asset = market.instruments.assets.find("DAI", "")
    row = market.instruments.find("BTC/USDT:USDT", "")
    assert (market.state.deposits[asset], market.state.borrows[asset]) == (1e6, 2.5e5)
    assert (market.state.open_interest[row], market.state.skew[row]) == (1200, -3)
    assert np.isnan(market.state.twap).all()
    assert np.isnan(np.delete(market.state.deposits, asset)).all()


def test_a_venue_that_keeps_currencies_apart_gives_each_a_pool():
    text = """
as_of: 2026-01-01T00:00:00Z
market:
  index: {BTC: 60000, ETH: 2500}
  instruments:
    BTC/USD:BTC: {mark: 60000, contract_multiplier: 10}
    ETH/USD:ETH: {mark: 2500, contract_multiplier: 1}
accounts:
  - id: coins
    model: deribit.standard
    balances: {BTC: 1, ETH: 2}
    positions:
      - {symbol: ETH/USD:ETH, quantity: 500, entry_price: 2500}
      - {symbol: BTC/USD:BTC, quantity: -300, entry_price: 60000}
    orders:
      - {symbol: ETH/USD:ETH, side: buy, quantity: 10, price: 2400}
  - id: one
    model: deribit.standard
    balances: {ETH: 2}
"""
    book = load(text).book
    names = [book.pool_name(pool) for pool in range(CROSS, book.pool_count)]
    assert names == ["coins", "one", "coins [ETH]"]
    assert set(book.pool_kind[CROSS:]) == {PoolKind.CROSS}
    assert np.diff(book.positions.offsets)[CROSS:].tolist() == [1, 0, 1]
    assert np.diff(book.orders.offsets)[CROSS:].tolist() == [0, 0, 1]
