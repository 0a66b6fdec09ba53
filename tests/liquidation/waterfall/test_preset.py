"""Waterfalls as data: what is in force, what each rests on, and every table that is refused."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from plimsoll.core import DatedTable, InputError, load_tables, parse_time, table_at
from plimsoll.liquidation.deleveraging import AllocationKey, HedgeRule, RankForm
from plimsoll.liquidation.presets import PRESETS
from plimsoll.liquidation.presets.decode import stage_name
from plimsoll.liquidation.protocols import derive
from plimsoll.liquidation.waterfall.preset import (
    decode_waterfall,
    load_waterfall,
    parameter_paths,
    waterfall_names,
    waterfall_of,
    waterfall_tables,
)
from plimsoll.liquidation.waterfall.stages import (
    Auction,
    AutoDeleveraging,
    CancelOrders,
    CloseBy,
    CloseOut,
    ClosePrice,
    FeeTo,
    InsuranceFund,
    LossKey,
    NegativeBalanceProtection,
    OrderScope,
    SocialisedLoss,
    Stage,
    Takeover,
    TakeoverBy,
    TakeoverPrice,
    Throttle,
)
from plimsoll.margin import MODELS
from plimsoll.margin.registry import model_tables

TODAY = parse_time("2026-11-20", "today")
FOLDER = Path(str(files("plimsoll.liquidation.presets")))
BLOCKS = tuple(
    pytest.param(name, table, id=f"{name}-{number}")
    for name in waterfall_names()
    for number, table in enumerate(waterfall_tables(name))
)


def stage_of(name: str, kind: type[Stage], time_ns: int = TODAY) -> Any:
    """The one stage of a kind in a waterfall."""
    found = [s for s in load_waterfall(name, time_ns).stages if isinstance(s, kind)]
    assert len(found) == 1
    return found[0]


def unconfirmed(name: str, time_ns: int = TODAY) -> dict[str, str]:
    """What no source confirms, by path."""
    return dict(load_waterfall(name, time_ns).unconfirmed)


# --- what there is -------------------------------------------------------------------------------


def test_every_table_has_its_name() -> None:
    stems = {path.stem for path in FOLDER.glob("*.toml")}
    assert stems == {*PRESETS, "models"}
    assert len(PRESETS) == len(set(PRESETS))
    assert waterfall_names() == PRESETS
    assert PRESETS[0] == "house"
    assert list(PRESETS[1:]) == sorted(PRESETS[1:])


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_in_force_today(name: str) -> None:
    waterfall = load_waterfall(name, TODAY)
    assert waterfall.name == name
    assert waterfall.title
    assert waterfall.source
    assert isinstance(waterfall.stages[-1], NegativeBalanceProtection)


@pytest.mark.parametrize(("name", "table"), BLOCKS)
def test_every_block_decodes_to_what_it_says(name: str, table: DatedTable) -> None:
    waterfall = decode_waterfall(table)
    given = table.params["stages"]
    assert [stage_name(stage) for stage in waterfall.stages] == [row["stage"] for row in given]
    for stage, row in zip(waterfall.stages, given, strict=True):
        for key, value in row.items():
            if key == "stage":
                continue
            found = getattr(stage, key)
            if isinstance(found, Throttle):
                assert {k: getattr(found, k) for k in value} == value
            else:
                assert found == value
    assert dict(waterfall.liquidation_fee_rates) == table.params["liquidation_fee_rates"]
    assert load_waterfall(name, table.effective_from_ns) == waterfall


@pytest.mark.parametrize(("name", "table"), BLOCKS)
def test_every_unconfirmed_path_is_in_the_table(name: str, table: DatedTable) -> None:
    paths = parameter_paths(decode_waterfall(table))
    assert len(paths) == len(set(paths))
    for path, reason in table.unconfirmed.items():
        assert path in paths, f"{name}: {path}"
        assert reason


@pytest.mark.parametrize(("name", "table"), BLOCKS)
def test_what_is_a_house_choice_is_marked(name: str, table: DatedTable) -> None:
    """Slippage is no venue's figure, a release ratio just below 1 stands for "below 1"."""
    waterfall = decode_waterfall(table)
    marked = dict(waterfall.unconfirmed)
    if waterfall.slippage_rate > 0:
        assert "slippage_rate" in marked
    if waterfall.release_ratio == 0.999:
        assert "release_ratio" in marked


def test_dates_are_of_this_world() -> None:
    for name in PRESETS:
        tables = waterfall_tables(name)
        starts = [table.effective_from_ns for table in tables]
        assert len(set(starts)) == len(starts)
        for table in tables:
            assert parse_time(table.retrieved, name) <= parse_time("2026-11-21", name)
            assert table.effective_from_ns < TODAY


def test_before_the_first_table_there_is_none() -> None:
    with pytest.raises(InputError, match=r"hyperliquid: no parameters are in force at 2022-12-31"):
        load_waterfall("hyperliquid", parse_time("2022-12-31", "day"))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match="unknown waterfall 'okex'; did you mean 'okx'"):
        load_waterfall("okex", TODAY)
    with pytest.raises(InputError, match="unknown waterfall 'models'"):
        waterfall_tables("models")


# --- which model has which -----------------------------------------------------------------------

OWN = "aave binance bitmex bybit deribit derive drift dydx hyperliquid mango okx paradex synthetix"
ON_THE_HOUSE = "plimsoll cboe cme occ compound ftx gmx kraken lighter"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_has_its_waterfall(model: Any) -> None:
    venue = model.name.split(".")[0]
    expected = "aave_v2" if model.name == "aave.v2" else venue
    if venue in ON_THE_HOUSE.split():
        expected = "house"
    else:
        assert venue in [*OWN.split(), "vega"]
    assert waterfall_of(model.name) == expected
    # A venue's waterfall is in force wherever its model is; the house begins in 2017.
    since = model_tables(model)[0].effective_from_ns
    load_waterfall(expected, max(since, parse_time("2017-01-01", "day")))


def test_every_venue_is_named_and_no_other() -> None:
    chosen = load_tables("plimsoll.liquidation.presets", "models")[-1].params["models"]
    venues = {model.name.split(".")[0] for model in MODELS}
    names = {model.name for model in MODELS}
    assert venues <= set(chosen)
    assert set(chosen) - venues <= names
    assert set(chosen.values()) == set(PRESETS)


def test_a_model_that_nobody_named_has_the_house() -> None:
    assert waterfall_of("toy.venue") == "house"
    assert waterfall_of("") == "house"


# --- the house keeps what it was -----------------------------------------------------------------


def test_the_house_is_todays_policy() -> None:
    """The figures of the policy under which journals were decided until now."""
    waterfall = load_waterfall("house", parse_time("2017-01-01", "day"))
    assert waterfall == load_waterfall("house", TODAY)
    assert waterfall.stages == (
        CancelOrders(OrderScope.ALL),
        CloseOut(by=CloseBy.SHARE, step_share=0.2, share_max=1.0, fee_to=FeeTo.INSURANCE_FUND),
        Takeover(by=TakeoverBy.INSURANCE_FUND, price=TakeoverPrice.BANKRUPTCY, from_ratio=1.0),
        InsuranceFund(),
        AutoDeleveraging(key=AllocationKey.PROFIT, hedges=HedgeRule.LAST),
        SocialisedLoss(LossKey.PROFIT),
        NegativeBalanceProtection(),
    )
    assert waterfall.release_ratio == 0.9
    assert waterfall.slippage_rate == 0.001
    assert waterfall.taker_fee_rate == 0.0005
    assert dict(waterfall.liquidation_fee_rates) == {"default": 0.005, "BTC": 0.003}
    assert waterfall.reserve_asset == "USDT"


# --- known figures, by venue ---------------------------------------------------------------------

KNOWN = (
    # Aave v3 LiquidationLogic: DEFAULT_LIQUIDATION_CLOSE_FACTOR 0.5e4, CLOSE_FACTOR_HF_THRESHOLD
    # 0.95e18; v3.3: MIN_BASE_MAX_CLOSE_FACTOR_THRESHOLD 2000e8
    ("aave", "2023-01-01", CloseOut, "share_max", 0.5),
    ("aave", "2023-01-01", CloseOut, "whole_ratio", 1 / 0.95),
    ("aave", "2023-01-01", CloseOut, "whole_notional", 0.0),
    ("aave", "2026-11-20", CloseOut, "whole_notional", 2000.0),
    ("aave", "2026-11-20", CloseOut, "fee_to", FeeTo.LIQUIDATOR),
    ("aave_v2", "2022-01-01", CloseOut, "share_max", 0.5),
    ("aave_v2", "2022-01-01", CloseOut, "whole_ratio", None),
    # Hyperliquid docs, Liquidations: below 2/3 of maintenance; 20 % above 100k USDC, then for 30 s
    # the entire position
    ("hyperliquid", "2024-01-01", Takeover, "from_ratio", 3 / 2),
    ("hyperliquid", "2026-11-20", Takeover, "from_ratio", 3 / 2),
    ("hyperliquid", "2026-11-20", Takeover, "by", TakeoverBy.BACKSTOP),
    ("hyperliquid", "2026-11-20", CloseOut, "share_max", 0.2),
    ("hyperliquid", "2026-11-20", CloseOut, "whole_notional", 100_000.0),
    ("hyperliquid", "2026-11-20", CloseOut, "whole_within_s", 30.0),
    ("hyperliquid", "2026-11-20", CloseOut, "cooldown_s", 0.0),
    ("hyperliquid", "2024-01-01", CloseOut, "share_max", 1.0),
    # auto-deleveraging "at the previous oracle price"
    ("hyperliquid", "2026-11-20", AutoDeleveraging, "price", ClosePrice.PREVIOUS_ORACLE),
    # OKX, early liquidation: a fund 30 % below its peak of 8 hours; closed at mark
    ("okx", "2026-11-20", InsuranceFund, "event_share_max", 0.3),
    ("okx", "2026-11-20", AutoDeleveraging, "price", ClosePrice.MARK),
    ("okx", "2026-11-20", CloseOut, "by", CloseBy.TIER),
    # Bybit, adl-alert: a contract's drawdown of 30 % of the pool
    ("bybit", "2026-11-20", InsuranceFund, "market_share_max", 0.3),
    ("bybit", "2026-11-20", InsuranceFund, "event_share_max", 1.0),
    ("bybit", "2026-11-20", AutoDeleveraging, "price", ClosePrice.BANKRUPTCY),
    # Binance 2020 and BitMEX: queue at the bankruptcy price
    ("binance", "2026-11-20", AutoDeleveraging, "rank", RankForm.BINANCE),
    ("bitmex", "2026-11-20", AutoDeleveraging, "rank", RankForm.BITMEX),
    ("bitmex", "2026-11-20", CloseOut, "by", CloseBy.TIER),
    # Deribit: bankruptcies are socialised among the winning traders
    ("deribit", "2026-11-20", SocialisedLoss, "key", LossKey.PROFIT),
    # dYdX genesis: max_position_portion_liquidated_ppm 100000, min_position_notional 1,000 USDC
    ("dydx", "2026-11-20", CloseOut, "share_max", 0.1),
    ("dydx", "2026-11-20", CloseOut, "whole_notional", 1000.0),
    ("dydx", "2026-11-20", AutoDeleveraging, "key", AllocationKey.CONTRACTS),
    # Drift: 1 unit of 1e-6 stays in the fund; everyone with base in the market pays by size
    ("drift", "2026-11-20", InsuranceFund, "floor", 1e-6),
    ("drift", "2026-11-20", SocialisedLoss, "key", LossKey.OPEN_INTEREST),
    ("mango", "2026-11-20", SocialisedLoss, "key", LossKey.OPEN_INTEREST),
    # Paradex docs: "a multiple of 20%"
    ("paradex", "2026-11-20", CloseOut, "step_share", 0.2),
    ("paradex", "2026-11-20", SocialisedLoss, "key", LossKey.DEPOSITS),
    # Vega: to the network at mark, winners share
    ("vega", "2026-11-20", Takeover, "price", TakeoverPrice.MARK),
    ("vega", "2026-11-20", InsuranceFund, "throttle", Throttle(depth_share_max=0.05)),
    ("vega", "2026-11-20", SocialisedLoss, "key", LossKey.PROFIT),
    # docs.derive.xyz/liquidation-parameters
    ("derive", "2026-11-20", Auction, "start", 0.95),
    ("derive", "2026-11-20", Auction, "cutoff", 0.70),
    ("derive", "2026-11-20", Auction, "fast_s", 900.0),
    ("derive", "2026-11-20", Auction, "slow_s", 43_200.0),
    ("derive", "2026-11-20", Auction, "buffer", 0.15),
    ("derive", "2026-11-20", SocialisedLoss, "key", LossKey.DEPOSITS),
)


@pytest.mark.parametrize(("name", "day", "kind", "key", "value"), KNOWN)
def test_known_figures(name: str, day: str, kind: type[Stage], key: str, value: object) -> None:
    assert getattr(stage_of(name, kind, parse_time(day, "day")), key) == value


ROOT = (
    # Bybit reduces until MMR <= 90 %, Paradex until the ratio is below 90 %
    ("bybit", "release_ratio", 0.9),
    ("paradex", "release_ratio", 0.9),
    # Derive: buffer margin = 1.15 times the requirement away from worth
    ("derive", "release_ratio", pytest.approx(1 / 1.15, rel=1e-15)),
    # Drift: 2 % of liabilities on top of a maintenance ratio of 5 %
    ("drift", "release_ratio", pytest.approx(0.05 / 0.07, rel=1e-15)),
    # Aave: collateral seized = debt * 1.05
    ("aave", "slippage_rate", pytest.approx(1 - 1 / 1.05, rel=1e-14)),
    # Deribit, 11 January 2022: 0.75 % and 0.90 % in all, what exceeds the usual fee to the fund
    ("deribit", "liquidation_fee_rates", (("default", 0.0085), ("BTC", 0.007), ("ETH", 0.0085))),
    ("binance", "liquidation_fee_rates", (("default", 0.005), ("BTC", 0.003))),
    # "no clearance fee on liquidations"
    ("hyperliquid", "liquidation_fee_rates", (("default", 0.0),)),
    # dYdX genesis: max_liquidation_fee_ppm 15000
    ("dydx", "liquidation_fee_rates", (("default", 0.015),)),
)


@pytest.mark.parametrize(("name", "key", "value"), ROOT)
def test_known_rates(name: str, key: str, value: object) -> None:
    assert getattr(load_waterfall(name, TODAY), key) == value


def test_deribit_charges_its_published_fee_in_all() -> None:
    waterfall = load_waterfall("deribit", TODAY)
    rates = dict(waterfall.liquidation_fee_rates)
    assert rates["BTC"] + waterfall.taker_fee_rate == pytest.approx(0.0075)
    assert rates["ETH"] + waterfall.taker_fee_rate == pytest.approx(0.0090)


def test_synthetix_windows_are_the_deployments() -> None:
    """(maker + taker) * skew scale * multiplier * seconds, ETH at 2,500 USD."""
    throttle = stage_of("synthetix", InsuranceFund).throttle
    coins = (0.000001 + 0.0005) * 350_000 * 1.5 * 30
    assert coins == pytest.approx(7890.75)
    assert throttle.window_s == 30
    assert throttle.window_notional_max == pytest.approx(coins * 2500)


def test_paradex_takes_seventy_per_cent_of_a_maintenance_margin_of_one() -> None:
    fee = dict(load_waterfall("paradex", TODAY).liquidation_fee_rates)["default"]
    assert fee == pytest.approx(0.70 * 0.01)
    assert "liquidation_fee_rates" in unconfirmed("paradex")


def test_derive_agrees_with_the_protocols_own_table() -> None:
    stage = stage_of("derive", Auction)
    terms = derive.load_parameters(TODAY)
    assert terms == derive.Parameters(
        stage.start, stage.cutoff, stage.fast_s, stage.slow_s, stage.insolvent_s, stage.fee_rate,
        stage.buffer,
    )  # fmt: skip


def protocol(name: str) -> dict[str, Any]:
    """The params of a protocol's own table today."""
    tables = load_tables("plimsoll.liquidation.protocols", name)
    return dict(table_at(tables, TODAY).params)


def test_protocols_agree_with_their_own_tables() -> None:
    dydx, drift = protocol("dydx_v4"), protocol("drift_v2")
    close = stage_of("dydx", CloseOut)
    fees = dict(load_waterfall("dydx", TODAY).liquidation_fee_rates)
    assert close.share_max * 1e6 == pytest.approx(dydx["position_portion_max_ppm"])
    assert close.whole_notional * 1e6 == dydx["position_notional_min"]
    assert fees["default"] * 1e6 == pytest.approx(dydx["fee_max_ppm"])
    close = stage_of("drift", CloseOut)
    assert close.share_max * 1e4 == pytest.approx(drift["initial_part"])
    assert close.whole_notional * 1e6 == drift["position_small"]
    vega = protocol("vega")["default"]
    share = stage_of("vega", InsuranceFund).throttle.depth_share_max
    assert share * vega["one"] == pytest.approx(vega["volume_fraction"])


@pytest.mark.parametrize(
    ("venue", "rank", "price"),
    [
        ("bitmex", RankForm.BITMEX, ClosePrice.BANKRUPTCY),
        ("binance", RankForm.BINANCE, ClosePrice.BANKRUPTCY),
        ("bybit", RankForm.HYPERLIQUID_DECOMPILED, ClosePrice.BANKRUPTCY),
        ("hyperliquid", RankForm.HYPERLIQUID_DOCS, ClosePrice.PREVIOUS_ORACLE),
    ],
)
def test_queues_are_those_that_venues_publish(
    venue: str, rank: RankForm, price: ClosePrice
) -> None:
    stage = stage_of(venue, AutoDeleveraging)
    assert (stage.key, stage.rank, stage.price) == (AllocationKey.QUEUE, rank, price)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "house"])
def test_no_venue_is_given_the_houses_care_for_hedges(name: str) -> None:
    for stage in load_waterfall(name, TODAY).stages:
        if isinstance(stage, AutoDeleveraging):
            assert stage.hedges == HedgeRule.OPEN
