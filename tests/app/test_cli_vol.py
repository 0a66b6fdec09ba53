"""``plimsoll vol``: a chain file to tables, JSON and a page that opens offline."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from plimsoll.core import parse_time
from tests.app.command import plimsoll

HOUR = 3_600 * 10**9
NOW = parse_time("2026-01-23T12:00:00Z", "test")
TIME = ("--time", "2026-01-23T12:00:00Z")
# expiry, day as Deribit writes it, forward
EXPIRIES = (
    ("2026-01-30", "30JAN26", 89_000.0),
    ("2026-03-27", "27MAR26", 90_000.0),
    ("2026-06-26", "26JUN26", 91_000.0),
)
# One slice: a, b, rho, m, sigma over a year; total variance grows with time alone.
SLICE = (0.02, 0.35, -0.3, 0.02, 0.25)


def variance(k: float, years: float) -> float:
    """Total variance of the true surface, of one shape in k / sqrt(time)."""
    a, b, rho, m, sigma = SLICE
    x = k / math.sqrt(years) - m
    return years * (a + b * (rho * x + math.sqrt(x * x + sigma * sigma)))


def coin_price(strike_ratio: float, deviation: float, is_call: bool) -> float:
    """Black-76 over the forward, written out with the error function."""
    d1 = -math.log(strike_ratio) / deviation + deviation / 2
    cdf = [0.5 * math.erfc(-d / math.sqrt(2)) for d in (d1, d1 - deviation)]
    call = cdf[0] - strike_ratio * cdf[1]
    return call if is_call else call - 1 + strike_ratio


def table(now: int = NOW) -> pl.DataFrame:
    """A chain with the true surface's marks and vols; the lowest strikes have no bid."""
    rows = []
    for expiry, day, forward in EXPIRIES:
        years = (parse_time(f"{expiry}T08:00:00Z", "test") - now) / (365 * 24 * HOUR)
        reach = 2.2 * math.sqrt(variance(0.0, years))
        for step in range(-10, 11):
            strike = round(forward * math.exp(reach * step / 10), -2)
            w = variance(math.log(strike / forward), years)
            for side in "CP":
                mark = coin_price(strike / forward, math.sqrt(w), side == "C")
                rows.append(
                    {
                        "instrument_name": f"BTC-{day}-{strike:.0f}-{side}",
                        "mark_price": round(mark, 6),
                        "mark_iv": 100 * math.sqrt(w / years),
                        "bid_iv": 100 * math.sqrt(w / years) - 1,
                        "ask_iv": 100 * math.sqrt(w / years) + 1,
                        "best_bid_price": 0.0 if step == -10 else 0.9 * mark,
                        "underlying_price": forward,
                    }
                )
    return pl.DataFrame(rows)


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    path = tmp_path / "chain.csv"
    table().write_csv(path)
    return path


@pytest.fixture
def hourly(tmp_path: Path) -> Path:
    path = tmp_path / "hourly.parquet"
    tables = [
        table(NOW + hour * HOUR).with_columns(timestamp=pl.lit((NOW + hour * HOUR) // 10**6))
        for hour in range(3)
    ]
    # A feed that stands still: only the time moves on.
    tables.append(tables[-1].with_columns(timestamp=pl.lit((NOW + 3 * HOUR) // 10**6)))
    pl.concat(tables).write_parquet(path)
    return path


# -- figures -----------------------------------------------------------------------------------


def test_the_fit_finds_the_true_surface(chain: Path):
    done = plimsoll("vol", chain, *TIME, "--format", "json")
    assert (done.code, done.err) == (0, "")
    document = done.json
    assert document["underlying"] == "BTC"
    assert (document["time"], document["time_source"]) == ("2026-01-23T12:00:00Z", "caller")
    assert (document["quotes"], document["quotes_fitted"]) == (126, 120)
    assert document["arbitrage_violations"] == 0
    assert document["rmse"] < 2e-3
    assert len(document["expiries"]) == len(EXPIRIES)
    for row, (expiry, _, forward) in zip(document["expiries"], EXPIRIES, strict=True):
        assert row["expiry"] == f"{expiry}T08:00:00Z"
        assert (row["forward"], row["forward_source"]) == (forward, "given")
        assert (row["quotes_fitted"], row["quotes_dropped"]) == (40, {"zero bid": 2})
        assert row["model"] in {"SVI", "eSSVI"}
        assert row["arbitrage"] == {}
        years = row["days"] / 365
        at_money, reversal, butterfly = true_figures(years)
        assert row["at_money_vol"] == pytest.approx(at_money, abs=2e-3)
        assert row["risk_reversal_25_delta"] == pytest.approx(reversal, abs=4e-3)
        assert row["butterfly_25_delta"] == pytest.approx(butterfly, abs=4e-3)


def true_figures(years: float) -> tuple[float, float, float]:
    """At-the-money vol, risk reversal and butterfly of the true surface, by bisection."""

    def vol_at(call_delta: float) -> float:
        low, high = -2.0, 2.0
        for _ in range(80):
            k = (low + high) / 2
            deviation = math.sqrt(variance(k, years))
            delta = 0.5 * math.erfc((k / deviation - deviation / 2) / math.sqrt(2))
            low, high = (k, high) if delta > call_delta else (low, k)
        return math.sqrt(variance(low, years) / years)

    at_money = math.sqrt(variance(0.0, years) / years)
    call, put = vol_at(0.25), vol_at(0.75)
    return at_money, call - put, (call + put) / 2 - at_money


def test_svi_parameters_give_the_vol(chain: Path):
    for row in plimsoll("vol", chain, *TIME, "--format", "json").json["expiries"]:
        svi = row["svi"]
        at_money = svi["a"] + svi["b"] * (
            -svi["rho"] * svi["m"] + math.hypot(svi["m"], svi["sigma"])
        )
        vol = math.sqrt(at_money / (row["days"] / 365))
        assert vol == pytest.approx(row["at_money_vol"], rel=1e-12)


def test_the_table(chain: Path):
    done = plimsoll("vol", chain, *TIME)
    assert done.code == 0
    assert "Volatility surface of BTC at 2026-01-23 12:00 UTC" in done.out
    assert max(map(len, done.out.splitlines())) <= 110
    for expiry, _, forward in EXPIRIES:
        (line,) = (line for line in done.out.splitlines() if f"{forward:,.2f}" in line)
        cells = line.split()
        assert cells[0] == expiry
        assert cells[2:4] == ["given", "none"]
        assert cells[6] == "40/42"
        # The smile falls, then rises less: the skew is negative.
        assert re.fullmatch("[▁▂▃▄▅▆▇█]{9}", cells[-1])
        assert cells[-1][0] == "█"
    assert "zero bid" in done.out
    assert "No arbitrage found." in done.out


# -- time and snapshots --------------------------------------------------------------------------


def test_an_inferred_time_says_so(chain: Path):
    document = plimsoll("vol", chain, "--format", "json").json
    assert document["time_source"] == "inferred"
    off = parse_time(document["time"], "test") - NOW
    assert abs(off) <= max(4e9 * document["time_error_seconds"], 1e9)
    assert "time is inferred" in plimsoll("vol", chain).out


@pytest.mark.parametrize(
    ("snapshot", "number"),
    [("1", 1), ("3", 3), ("2026-01-23T13:59:59Z", 2), ("2026-01-23T14:00:00Z", 3)],
)
def test_a_snapshot_by_number_or_time(hourly: Path, snapshot: str, number: int):
    document = plimsoll("vol", hourly, "--snapshot", snapshot, "--format", "json").json
    assert (document["snapshot"], document["snapshots"]) == (number, 4)
    assert document["time"] == f"2026-01-23T{11 + number}:00:00Z"
    assert document["time_source"] == "rows"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--snapshot", "0"), r"error: --snapshot: there is none at '0'; .*1 to 4"),
        (("--snapshot", "5"), r"error: --snapshot: there is none"),
        (("--snapshot", "2026-01-23T11:59:59Z"), r"error: --snapshot: there is none"),
        (("--snapshot", "noon"), r"error: --snapshot: 'noon' is not a time"),
        (("--time", "2026-01-23"), r"error: --time: .* tells its own times; .*--snapshot"),
        ((), r"error: .*: snapshot 4: repeats the one before to the last digit"),
    ],
)
def test_a_bad_choice_is_one_line(hourly: Path, arguments: tuple[str, ...], line: str):
    done = plimsoll("vol", hourly, *arguments)
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(line + r"[^\n]*\n", done.err)


def test_a_chain_of_expired_options_is_one_line(chain: Path):
    done = plimsoll("vol", chain, "--time", "2027-01-01")
    assert (done.code, done.out) == (2, "")
    assert re.fullmatch(r"error: [^\n]+\n", done.err)


def test_an_expiry_without_a_usable_quote_is_shown_as_such(tmp_path: Path):
    path = tmp_path / "chain.csv"
    is_near = pl.col("instrument_name").str.contains("30JAN26")
    mark_iv = pl.when(is_near).then(0.0).otherwise("mark_iv")
    table().with_columns(mark_iv=mark_iv).write_csv(path)
    rows = plimsoll("vol", path, *TIME, "--format", "json").json["expiries"]
    assert (rows[0]["quotes_fitted"], rows[0]["model"], rows[0]["svi"]) == (0, None, None)
    assert rows[0]["quotes_dropped"] == {"zero bid": 2, "no vol": 40}
    assert rows[0]["at_money_vol"] is None
    assert rows[1]["quotes_fitted"] == 40
    out = plimsoll("vol", path, *TIME, "--html", tmp_path / "page.html").out
    (line,) = (line for line in out.splitlines() if " 0/42 " in line)
    assert line.count("—") == 6


# -- the page --------------------------------------------------------------------------------------


def test_the_page_is_whole_and_loads_nothing(chain: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    done = plimsoll("vol", chain, *TIME, "--html", page)
    assert done.code == 0
    assert str(page) in done.err.replace("\n", "")
    text = page.read_text()
    assert "default-src 'none'" in text
    own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)\s*=", own)
    figures = {
        key: json.loads(data)
        for key, data in re.findall(
            r'<script type="application/json" id="(\w+)-chart-data">(.*?)</script>', text
        )
    }
    assert list(figures) == ["smiles", "terms", "surface", "variance", "residuals"]
    fits = [trace for trace in figures["smiles"]["data"] if trace["name"] == "fit"]
    assert len(fits) == len(EXPIRIES)
    assert len(figures["variance"]["data"]) == len(EXPIRIES)
    for expiry, _, _ in EXPIRIES:
        assert f'<th scope="row">{expiry}</th>' in own
    assert "No arbitrage was found" in own
    plimsoll("vol", chain, *TIME, "--html", page)
    assert page.read_text() == text


def test_a_file_name_is_no_markup(tmp_path: Path):
    path = tmp_path / "<b>chain.csv"
    nameless = table().with_columns(
        pl.col("instrument_name").str.extract(r"-(\d+)-").cast(pl.Float64).alias("strike"),
        pl.col("instrument_name").str.slice(-1).alias("option_type"),
        pl.col("instrument_name")
        .str.extract(r"-(\w+)-")
        .replace_strict({day: expiry for expiry, day, _ in EXPIRIES})
        .alias("maturity"),
    )
    nameless.drop("instrument_name").write_csv(path)
    done = plimsoll("vol", path, *TIME, "--html", tmp_path / "page.html")
    assert "Volatility surface of <b>chain.csv" in done.out
    text = (tmp_path / "page.html").read_text()
    assert "<h1>Volatility surface of &lt;b&gt;chain.csv</h1>" in text
    assert "<b>chain" not in text


def test_a_page_that_cannot_be_written_is_one_line(chain: Path, tmp_path: Path):
    done = plimsoll("vol", chain, *TIME, "--html", tmp_path / "none" / "page.html")
    assert done.code == 2
    assert re.fullmatch(r"error: [^\n]+cannot be written[^\n]+\n", done.err)


# -- the real files --------------------------------------------------------------------------------


# File and bound on the fit's error in vol. The marks of 2024 step by up to ten vol points from
# one strike to the next, which no surface without arbitrage can follow.
REAL = (
    ("deribit_btc_chain_2020-05-21_with_book.csv", 0.010),
    ("deribit_btc_chain_2024-05.csv", 0.015),
    ("deribit_eth_chain_2024-05.csv", 0.035),
    ("deribit_btc_chain_2026-02-28_filtered.csv", 0.002),
    ("deribit_btc_chain_hourly_2026-01-23_24.parquet", 0.005),
)


@pytest.mark.parametrize(("name", "rmse_max"), REAL)
def test_real_chains_fit_without_arbitrage(
    shared_data: Callable[[str], Path], tmp_path: Path, name: str, rmse_max: float
):
    path = shared_data(f"data/options/{name}")
    done = plimsoll("vol", path, "--format", "json", "--html", tmp_path / "page.html")
    assert done.code == 0
    document = done.json
    assert document["arbitrage_violations"] == 0
    assert document["rmse"] < rmse_max
    assert 0.3 * document["quotes"] < document["quotes_fitted"] <= document["quotes"]
    counts = [
        row["quotes_fitted"] + sum(row["quotes_dropped"].values()) for row in document["expiries"]
    ]
    assert sum(counts) == document["quotes"]
