"""``plimsoll price``: one option's value, Greeks and implied vol, and one line for bad input."""

import math
import re

import pytest

from tests.app.command import plimsoll

SYMBOL = "BTC/USD:BTC-261225-80000-C"
AS_OF = ("--as-of", "2026-09-01T08:00:00Z")
YEARS = 115 / 365
FORWARD, VOL = 70_000.0, 0.65
GIVEN = (SYMBOL, "--forward", 70_000, *AS_OF)


def normal(d: float) -> float:
    return 0.5 * math.erfc(-d / math.sqrt(2))


def bell(d: float) -> float:
    return math.exp(-d * d / 2) / math.sqrt(2 * math.pi)


def black(forward: float, strike: float, years: float, vol: float) -> tuple[float, float, float]:
    """d1, d2 and the undiscounted call, written out."""
    deviation = vol * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + deviation / 2
    d2 = d1 - deviation
    return d1, d2, forward * normal(d1) - strike * normal(d2)


def test_a_coin_settled_call():
    document = plimsoll("price", *GIVEN, "--vol", "65%", "--format", "json").json
    d1, d2, call = black(FORWARD, 80_000, YEARS, VOL)
    root = math.sqrt(YEARS)
    expected = {
        "years": YEARS,
        "vol": VOL,
        "value": call,
        "value_in_coin": call / FORWARD,
        "delta": normal(d1),
        "delta_premium_adjusted": normal(d1) - call / FORWARD,
        "delta_cash": normal(d1) * FORWARD,
        "gamma": bell(d1) / (FORWARD * VOL * root),
        "vega_per_1.00": FORWARD * bell(d1) * root,
        "theta_per_year": -FORWARD * bell(d1) * VOL / (2 * root),
        "vanna_per_1.00": -bell(d1) * d2 / VOL,
        "volga_per_1.00_squared": FORWARD * bell(d1) * root * d1 * d2 / VOL,
    }
    assert {key: document[key] for key in expected} == pytest.approx(expected, rel=1e-11)
    assert (document["status"], document["vol_is_implied"]) == ("OK", False)
    assert document["half_tick_vol_error"] is None


def test_the_table_names_units_and_coin():
    done = plimsoll("price", *GIVEN, "--vol", "0.65")
    assert (done.code, done.err) == (0, "")
    _, _, call = black(FORWARD, 80_000, YEARS, VOL)
    (value,) = (line for line in done.out.splitlines() if line.startswith(" value"))
    assert f"{call:,.7g}" in value
    assert f"{call / FORWARD:,.7g}" in value
    for words in ("in USD", "in BTC", "per vol point", "per day", "115 days to expiry", "65 %"):
        assert words in done.out
    assert "delta, premium-adjusted" in done.out
    assert "rho" not in done.out


def test_a_linear_put_with_a_rate():
    symbol = "XRP/USDC:USDC-261225-0.5-P"
    arguments = ("price", symbol, "--forward", 0.6, "--vol", "80%", "--time", "30d", "--rate", "4%")
    document = plimsoll(*arguments, "--format", "json").json
    years = 30 / 365
    discount = math.exp(-0.04 * years)
    d1, _, call = black(0.6, 0.5, years, 0.8)
    put = discount * (call - 0.6 + 0.5)
    assert document["value"] == pytest.approx(put, rel=1e-11)
    assert document["delta"] == pytest.approx(-discount * normal(-d1), rel=1e-11)
    assert document["rho_per_1.00"] == pytest.approx(-years * put, rel=1e-11)
    assert document["discount"] == pytest.approx(discount, rel=1e-15)
    assert document["value_in_coin"] is None
    out = plimsoll(*arguments).out
    assert "rho" in out
    assert "premium-adjusted" not in out


@pytest.mark.parametrize("side", ["--call", "--put"])
@pytest.mark.parametrize("in_coin", [True, False])
def test_a_price_gives_its_vol_back(side: str, in_coin: bool):
    option = ("--strike", 80_000, side, "--forward", 70_000, "--time", "12h")
    coin = ("--coin",) if in_coin else ()
    value = plimsoll("price", *option, "--vol", "130%", "--format", "json", *coin).json
    price = value["value_in_coin" if in_coin else "value"]
    tick = 1e-4 if in_coin else 5.0
    found = plimsoll(
        "price", *option, *coin, "--price", price, "--tick", tick, "--format", "json"
    ).json
    assert found["vol"] == pytest.approx(1.3, rel=1e-6 if side == "--put" else 1e-11)
    assert found["vol_is_implied"]
    vega = value["vega_per_1.00"] / (FORWARD if in_coin else 1)
    assert found["half_tick_vol_error"] == pytest.approx(tick / 2 / vega, rel=1e-5)
    out = plimsoll("price", *option, *coin, "--price", price, "--tick", tick).out
    assert re.search(r"Implied vol 130(\.0*\d)? %, ± [\d.]+ vol points for half a tick", out)


@pytest.mark.parametrize(
    ("time", "years"), [("30d", 30 / 365), ("12h", 0.5 / 365), ("0.25y", 0.25), ("1.5d", 1.5 / 365)]
)
def test_lengths_of_time(time: str, years: float):
    option = ("--strike", 8, "--put", "--forward", 7, "--vol", 0.5, "--time", time)
    assert plimsoll("price", *option, "--format", "json").json["years"] == pytest.approx(years)


def test_past_expiry_an_option_is_its_intrinsic_value():
    put = "BTC/USD:BTC-261225-80000-P"
    arguments = ("price", put, "--forward", 70_000, "--vol", "65%", "--as-of", "2027-01-01")
    document = plimsoll(*arguments, "--format", "json").json
    assert (document["status"], document["value"], document["vega_per_1.00"]) == ("EXPIRED", 1e4, 0)
    assert "expired: worth its intrinsic value" in plimsoll(*arguments).out


DESCRIBED = ("--strike", 80_000, "--call", "--forward", 70_000)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((*GIVEN,), r"option: needs either a vol or a price"),
        ((*GIVEN, "--vol", "65%", "--price", 0.1), r"option: needs either a vol or a price"),
        ((*GIVEN, "--vol", "65"), r"--vol: '65' means 6,500%; write 65%"),
        ((*GIVEN, "--vol", "high"), r"--vol: 'high' is not a fraction"),
        ((*GIVEN, "--vol", "-5%"), r"--vol: is not a volatility"),
        ((*GIVEN, "--vol", "nan"), r"--vol: 'nan' is not a fraction"),
        ((*GIVEN, "--vol", "65%", "--strike", 1), r"--strike: the symbol says"),
        ((*GIVEN, "--vol", "65%", "--time", "1d"), r"--time: the time to expiry must be told once"),
        ((*GIVEN, "--vol", "65%", "--rate", "4%"), r"--rate: does not apply to prices in coin"),
        ((*GIVEN, "--vol", "65%", "--tick", 1), r"--tick: is the step of --price"),
        ((*GIVEN, "--price", 0.1, "--tick", 0), r"--tick: is the step of --price"),
        ((*GIVEN, "--price", -0.1), r"--price: is below the intrinsic value"),
        ((*GIVEN, "--price", 1), r"--price: is more than the option can be worth"),
        ((*GIVEN, "--price", "inf"), r"option: a number is not finite"),
        (("BTC/USD:BTC", "--vol", "65%", *AS_OF), r"symbol: 'BTC/USD:BTC' is no option"),
        ((SYMBOL, "--vol", "65%", *AS_OF), r"--forward: is missing"),
        ((SYMBOL, "--forward", -1, "--vol", "65%", *AS_OF), r"--forward: is not a price"),
        ((SYMBOL, "--forward", "inf", "--vol", 1, *AS_OF), r"option: a number is not finite"),
        ((SYMBOL, "--forward", 7, "--price", 1, "--as-of", "2027-01-01"), r"--price: implies no"),
        (("--vol", "65%", "--time", "1d", "--strike", 1), r"option: is not described"),
        ((*DESCRIBED, "--vol", "65%"), r"--time: the time to expiry must be told once"),
        ((*DESCRIBED, "--vol", "65%", "--time", "30"), r"--time: '30' is not a length of time"),
        ((*DESCRIBED, "--vol", "65%", *AS_OF), r"--as-of: needs a symbol"),
        ((*DESCRIBED, "--vol", "65%", "--time", "5000y"), r"--time: is too long"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[object, ...], line: str):
    done = plimsoll("price", *arguments)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(rf"error: {line}[^\n]*; [^\n]*\n|error: {line}[^\n]*\n", done.err)
