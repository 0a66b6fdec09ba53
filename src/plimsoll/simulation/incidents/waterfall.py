"""Incidents of the waterfall itself: B03, B12, B13 and B18."""

from collections.abc import Mapping
from typing import Any

from plimsoll.core import load_tables
from plimsoll.simulation.incidents.halt import play_halt
from plimsoll.simulation.incidents.hedge_leg import play_hedge_leg
from plimsoll.simulation.incidents.incident import Figure, Incident
from plimsoll.simulation.incidents.insurance import play_insurance
from plimsoll.simulation.incidents.queue import play_queue


def incidents() -> tuple[Incident, ...]:
    """B03, B12, B13 and B18, in this order."""
    params = load_tables("plimsoll.simulation.incidents", "waterfall")[-1].params
    return (
        _insurance(params["B03"]),
        _queue(params["B12"]),
        _halt(params["B13"]),
        _hedge_leg(params["B18"]),
    )


def _insurance(params: Mapping[str, Any]) -> Incident:
    published = float(params["fund_btc"]) - float(params["fund_after_btc"])
    return Incident(
        id="B03",
        title="Deribit: an insurance fund for a smaller crash",
        date="2020-03-12",
        story=(
            "Bitcoin fell by half in a day, in minutes of up to 5 %. Accounts were past bankruptcy"
            " before they could be closed, and the fund paid: 391 BTC became 183 in three days."
            " The company put in 500 BTC of its own so that winners would not have to pay."
        ),
        control=(
            "The fund holds what drawn falls of this depth exceed once in 1,000, and is filled up"
            " as soon as it has lost half."
        ),
        source="cointelegraph.com on BitMEX, Binance and Deribit (2020-03); btcethereum.com"
        " 2020-03-13; blog.btcmex.com, Black Thursday; support.deribit.com, 11 January 2022",
        published=Figure("taken from the fund", published, "BTC"),
        tolerance=None,
        why_not=(
            "What the fund pays is proportional to the open interest, and the venue's of that day"
            " is not published; nor are the accounts' sizes and leverages, or the prices within"
            " a minute. A round 10,000 BTC is assumed, and not fitted to the figure."
        ),
        bound=0.0,
        bound_text="BTC that a fall of the 1 in 1,000 kind leaves to the winners",
        params=params,
        play=play_insurance,
    )


def _queue(params: Mapping[str, Any]) -> Incident:
    return Incident(
        id="B12",
        title="Hyperliquid: auto-deleveraging by queue",
        date="2025-10-10",
        story=(
            "In twelve minutes positions of 2.1 bn USD of 19,337 users were closed in a queue by"
            " profit and leverage, because others could not be. How much more was closed than"
            " was needed is disputed: 650 M USD by a thread of December 2025, 45.0 to 51.7 M USD"
            " of profit by the same author's paper of February 2026."
        ),
        control=(
            "The house's policy takes money and not contracts: each pays by his profit, and all"
            " of them together what is missing."
        ),
        source="github.com/ConejoCapital/HyperMultiAssetedADL; T. Chitra on X, 2025-12-09;"
        " arXiv:2512.01112 v1 and v3; arXiv:2602.15182",
        published=Figure("closed beyond need", float(params["disputed_usd"]), "USD"),
        tolerance=None,
        why_not=(
            "Two published figures differ fourteenfold, as they measure different things:"
            " positions closed, or profit that was lost by the prices some time after. Both"
            " rest on each user's positions and on those prices. From the published sums alone"
            " follows what is played: profit closed beyond the deficit."
        ),
        bound=1.0,
        bound_text="lots closed beyond need, per account closed, in the worst wave",
        params=params,
        play=play_queue,
    )


def _halt(params: Mapping[str, Any]) -> Incident:
    return Incident(
        id="B13",
        title="dYdX Chain: halted by a step too early",
        date="2025-10-10",
        story=(
            "One liquidation closed the whole open interest of an isolated market below the"
            " bankruptcy price. The market's collateral was returned before its insurance fund"
            " had paid, so a balance stood below zero for a moment, though the fund was ample,"
            " and a failsafe halted the chain. It came back about eight hours later on old"
            " prices."
        ),
        control=(
            "The waterfall is one batch, computed whole and then posted, so no step in between"
            " can be short; and what has no fresh price is not liquidated."
        ),
        source="dydx.xyz, October 2025 incident review; kwf1.net and treklygo.com on the proposal",
        published=Figure("paid on 27 claims", float(params["claims_usd"]), "USD"),
        tolerance=None,
        why_not=(
            "The claims are not published one by one, nor the prices that were used after the"
            " restart, nor for how long. The halt itself follows from the order of the steps"
            " whatever the amounts; the loss is that of 27 assumed accounts."
        ),
        bound=0.0,
        bound_text="USD by which any balance is below zero after any batch (then the chain halts)",
        params=params,
        play=play_halt,
    )


def _hedge_leg(params: Mapping[str, Any]) -> Incident:
    return Incident(
        id="B18",
        title="Deribit: the liquidator closed the hedges",
        date="2017-09-15",
        story=(
            "The liquidation of portfolio-margin accounts ran in a loop on the December future:"
            " closing one leg of a hedge raised the requirement, so more had to be closed, at"
            " prices far above the market. Accounts went bankrupt for more than 105 BTC; makers"
            " gave profits back, about 60 BTC stayed with the venue."
        ),
        control=(
            "Closes go by the margin they free, and none may raise it, so a hedge is made"
            " smaller on both sides; pace and price of forced orders keep within the depth, and"
            " the mark is not what they push."
        ),
        source="cryptoninjas.net 2017-09-18; riskingtime.com, Deribit suffers loss; themerkle.com;"
        " deribit.com/docs, Auto Liquidation",
        published=Figure("bankruptcies", float(params["bankruptcies_btc"]), "BTC"),
        tolerance=None,
        why_not=(
            "Neither the accounts' positions nor the depth of the future is published, nor the"
            " margin rules of 2017; those of 2024 stand for them. The loss is that of one assumed"
            " account and grows with its size and with the thinness of the market."
        ),
        bound=0.0,
        bound_text="BTC by which any forced close raises the maintenance margin",
        params=params,
        play=play_hedge_leg,
    )
