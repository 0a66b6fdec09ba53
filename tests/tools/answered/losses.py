"""One case for each adapter of the loss side: published where a source is named, else by hand."""

from typing import Any


def loss_case(topic: str, name: str, inputs: dict[str, Any], expected: Any) -> dict[str, Any]:
    plain = {"topic": topic, "id": f"own-{name}", "inputs": inputs, "expected": expected}
    return {**plain, "tolerance": 1e-9}


ANSWERED: dict[str, dict[str, Any]] = {
    # By hand: 30 of profits 60 and 40, at leverage 1 and 3: 60 against 120 by profit x leverage,
    # so 10 and 20; the second stands first in the queue.
    "deleveraging_policies": loss_case(
        "4-contagion",
        "policies",
        {"pnl": [60, 40], "lev": [1, 3], "deficit": 30},
        {"queue": [0, 30], "pro_rata": [18, 12], "leverage_weighted": [10, 20]},
    ),
    # By hand: 4 contracts short of 1,000, the first holds 1 and owns 400: 250 a contract.
    "contracts_and_wealth": loss_case(
        "4-contagion",
        "spaces",
        {"bad_short_eth": 4, "deficit": 1000, "top_long_eth": 1, "top_equity": 400},
        {
            "contract_queue_top_pays": 250,
            "contract_queue_next_pays": 750,
            "wealth_queue_top_pays": 400,
            "top_equity_haircut_contract": 0.625,
        },
    ),
    # By hand: 1.02 * 10 over 1.2 * 5; but 0.02 * 10 under 0.2 * 5, as profit is over entry and
    # leverage over the value at mark.
    "hyperliquid_ranks": loss_case(
        "4-contagion",
        "ranks",
        {"A": {"mark_over_entry": 1.02, "lev": 10}, "B": {"mark_over_entry": 1.2, "lev": 5}},
        {"docs_index": [10.2, 6], "decompiled": [0.2, 1]},
    ),
    # BIS, Bell and Holden (2018), on Nasdaq Clearing:
    # 114 million euros through 7 of own capital and a fund of 166.
    "layers_of_loss": loss_case(
        "7-waterfall",
        "layers",
        {"loss": 114, "layers": [["own_capital", 7], ["default_fund", 166]]},
        {"used": [7, 107], "uncovered": 0},
    ),
    # By hand: 9 alone; 9 + 4, 7 + 6; the larger of 9 and 6 + 5.
    "cover_requirements": loss_case(
        "7-waterfall",
        "cover",
        {"stress_loss_over_margin": [[9, 4, 1], [7, 6, 5]]},
        {"cover1": 9, "cover2": 13, "emir_art42": 11},
    ),
    # By hand: no drift of the logarithm, a barrier one deviation below: 2 N(-1).
    "first_passage": loss_case(
        "3-corr",
        "passage",
        {"S": 1, "B": 0.8187307530779818, "mu": 0.02, "vol": 0.2, "T": 1},
        0.31731050786291415,
    ),
    # By hand: K = 0.5 and a jump of mean ln 0.5: N(0) = 0.5, and 0.5 * 0.5 - 0.5 exp(0.02) N(-0.2).
    "gap_risk": loss_case(
        "7-waterfall",
        "gap",
        {"lam_per_year": 365, "mJ": -0.6931471805599453, "sJ": 0.2, "leverage": 2},
        {"put": 0.0353800958832632, "p_jump_bankrupt": 0.5, "p_day": 0.3934693402873666},
    ),
}
