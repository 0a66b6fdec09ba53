"""One case for each adapter of the waterfall, by hand from the rule."""

from typing import Any

from tests.tools.answered.cases import venue_case

ANSWERED: dict[str, dict[str, Any]] = {
    # In order of score: b has 1 of 5 contracts, a 3 more, c the last: 20 %, 80 %, 100 %. The two
    # liquidated take b whole and one of a.
    "deleveraging_queue": venue_case(
        "BitMEX",
        "ADL queue",
        {
            "shorts": [
                {"account": "a", "qty": 3, "score": 2},
                {"account": "b", "qty": 1, "score": 5},
                {"account": "c", "qty": 1, "score": -1},
            ],
            "liquidated_long": 2,
            "bankruptcy_price": 100,
        },
        {"percentile": {"b": 20, "a": 80, "c": 100}, "fills": {"b": 1, "a": 1}},
    ),
}
