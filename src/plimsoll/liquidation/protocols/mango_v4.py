"""Mango v4: liquidate a token with a token, a perpetual's base and profit, its loss, bankruptcy.

One account, in native units of its tokens; health is liquidation end health in native units of the
quote token (1e-6 USD), which prices are in too; orders have been cancelled. Numbers are Fractions
or floats: the program's have 48 binary places, which no rule depends on. Every amount is
``sizing.least_amount`` of a health in two pieces: a token counts at its asset side above an
effective balance of zero (deposits and profits of perpetuals) and at its liability side below.

1. Token with token: the liquidator pays a debt and takes an asset for it, dearer by all fees, until
   health is zero; at most what is owed and there is in deposits and in effective balances, so that
   losses of perpetuals do not leak into tokens.
2. Perpetual, while health is below zero: (a) where the weighted profit is below zero, reduce base
   until it is not; (b) sell profit to the liquidator, dearer by a fee; (c) reduce base for profit
   that can be sold; (d) sell it; (e) where profits count and health is below -0.5, reduce base.
   Lots are rounded up, so that health ends at zero or above.
3. Loss of a perpetual without base: (a) settle what the account can pay, until its maintenance
   health without that loss is zero; (b) what is left that keeps health below zero goes to the
   liquidator, whom the insurance fund pays with a fee; (c) once the fund is empty, everybody with
   base in the market pays by size, through the funding of longs and shorts.
4. Debt of an account without assets: the insurance fund buys it from the liquidator; once the fund
   is empty, the token's depositors pay through their index.

Source: rules of blockworks-foundation/mango-v4 at commit 1303a4a1 (2024-09-04), instructions
token_liq_with_token, perp_liq_base_or_positive_pnl, perp_liq_negative_pnl_or_bankruptcy and
token_liq_bankruptcy, with their tests.
"""

from dataclasses import dataclass, replace

from plimsoll.core import InputError, load_tables, table_at
from plimsoll.liquidation.sizing import Piece, above_zero, least_amount, quotient, smaller
from plimsoll.margin.arithmetic import Arithmetic, Numbers


@dataclass(frozen=True, slots=True)
class Parameters:
    """``health_step_e`` is the health below which step (e) of rule 2 begins."""

    health_step_e: Numbers


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the account: deposits and debts, its effective balance, and what a unit counts.

    ``effective`` is ``balance`` with the weighted profits of perpetuals that settle in it.
    """

    balance: Numbers
    effective: Numbers
    asset_weight: Numbers
    liability_weight: Numbers
    price: Numbers

    def worth(self, amount: Numbers) -> Numbers:
        """What an effective balance counts in health."""
        weight = self.liability_weight if amount < 0 else self.asset_weight
        return amount * weight * self.price


@dataclass(frozen=True, slots=True)
class Fees:
    """Fees of one token or market: the liquidator's and the protocol's, fractions."""

    liquidator: Numbers
    platform: Numbers


@dataclass(frozen=True, slots=True)
class Perp:
    """A position: signed ``lots``, quote side, units of base in a lot, price of a unit of base.

    ``overall_weight`` is the part of a profit that counts.
    """

    lots: Numbers
    quote: Numbers
    lot_size: Numbers
    price: Numbers
    asset_weight: Numbers
    liability_weight: Numbers
    overall_weight: Numbers

    @property
    def profit(self) -> Numbers:
        """Unsettled profit before the overall weight, its base weighted."""
        weight = self.liability_weight if self.lots < 0 else self.asset_weight
        return self.quote + self.lots * self.lot_size * self.price * weight

    @property
    def counted(self) -> Numbers:
        """What the profit adds to the effective balance of the settle token."""
        return self.profit * self.overall_weight if self.profit > 0 else self.profit


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """Units that move: ``liability`` from the liquidator to the account, ``asset`` from it.

    Of the asset the liquidator gets ``to_liquidator`` and the protocol ``fee``.
    """

    liability: Numbers
    asset: Numbers
    to_liquidator: Numbers
    fee: Numbers


@dataclass(frozen=True, slots=True)
class PerpTransfer:
    """What the account's position changes by, and its settle token, in units of that.

    A trade of ``lots`` for ``quote``, both signed; then ``profit`` (>= 0) leaves the quote side for
    ``paid`` in tokens. The liquidator's changes are the opposite, less ``fee`` (>= 0) of the quote,
    which is the protocol's.
    """

    lots: Numbers
    quote: Numbers
    fee: Numbers
    profit: Numbers
    paid: Numbers


@dataclass(frozen=True, slots=True)
class LossTransfer:
    """How a loss is taken off an account, in units of the settle token.

    ``settled`` is paid with deposits; ``insured`` goes to the liquidator, for ``insurance`` units
    of the fund's token; ``socialized`` is everybody's. What is left stays with the account.
    """

    settled: Numbers
    insured: Numbers
    insurance: Numbers
    socialized: Numbers


@dataclass(frozen=True, slots=True)
class Insurance:
    """The insurance fund: what is in its vault (units of its token) and the token's price."""

    vault: Numbers
    price: Numbers


def load_parameters(as_of_ns: int) -> Parameters:
    """The parameters in force at a time."""
    tables = load_tables("plimsoll.liquidation.protocols", "mango_v4")
    return Parameters(**table_at(tables, as_of_ns).params)


def liquidate_token(
    arithmetic: Arithmetic,
    health: Numbers,
    asset: Token,
    liability: Token,
    most: Numbers,
    asset_fees: Fees,
    liability_fees: Fees,
) -> TokenTransfer:
    """How much of a debt the liquidator pays, at most ``most``, and what he gets (rule 1).

    Raises InputError where there is nothing to take or nothing owed, in deposits or effectively,
    and where paying would not help.
    """
    if not (asset.balance > 0 and asset.effective > 0):
        raise InputError("asset", "the account has none to take", "take another token")
    if not (liability.balance < 0 and liability.effective < 0):
        raise InputError("liability", "the account owes none", "pay another token")
    to_all = _dearer(asset_fees, liability_fees)
    to_one = (1 + asset_fees.liquidator) * (1 + liability_fees.liquidator)
    # Asset units for a unit of debt.
    rate = quotient(arithmetic, liability.price * to_all, asset.price)
    gain = liability.price * liability.liability_weight
    gain -= rate * asset.price * asset.asset_weight
    _check_gain(gain, "liability")
    taken = smaller(asset.balance, asset.effective)
    owed = smaller(-liability.balance, -liability.effective)
    cap = smaller(smaller(above_zero(most), owed), quotient(arithmetic, taken, rate))
    amount = least_amount(arithmetic, -health, [Piece(cap, gain)]).amount
    to_liquidator = amount * quotient(arithmetic, liability.price * to_one, asset.price)
    return TokenTransfer(amount, amount * rate, to_liquidator, amount * rate - to_liquidator)


def liquidate_perp(
    arithmetic: Arithmetic,
    health: Numbers,
    perp: Perp,
    token: Token,
    most_lots: Numbers,
    most_profit: Numbers,
    fees: Fees,
    profit_fee: Numbers,
    parameters: Parameters,
) -> PerpTransfer:
    """What of a position's base and profit the liquidator takes over (rule 2).

    ``token`` is the settle token; ``most_lots`` and ``most_profit`` are >= 0. As in the program,
    the lot that takes a profit above zero in step (a) counts in full in the next steps, so that one
    call may leave health below zero, and the next goes on. Raises InputError where reducing the
    base would not help.
    """
    gain, quote_per_lot, fee_per_lot = _lot_terms(perp, fees)
    if perp.lots != 0:
        _check_gain(gain, "perp")
    kept = 1 - profit_fee
    weight = perp.overall_weight
    state = _State(arithmetic, health, token, perp.profit, smaller(abs(perp.lots), most_lots))
    if state.profit < 0:
        state = state.reduce(gain, gain, gain, state.lots_for(-state.profit, gain))
    state = state.sell(kept - weight, most_profit)
    left = most_profit - state.sold
    if state.profit >= 0 and left > 0:
        expected = gain * kept
        lots = state.lots_for(left, expected)
        state = state.reduce(gain, expected, gain * weight, lots)
        state = state.sell(kept - weight, left)
    if state.health < parameters.health_step_e and weight > 0:
        state = state.reduce(gain, gain * weight, gain * weight, state.lots_left)
    side = -1 if perp.lots > 0 else 1
    lots = smaller(abs(perp.lots), most_lots) - state.lots_left
    return PerpTransfer(
        side * lots, -side * lots * quote_per_lot, lots * fee_per_lot, state.sold, state.sold * kept
    )


@dataclass(frozen=True, slots=True)
class _State:
    """An account between the steps of rule 2; ``lots_left`` may still be reduced."""

    arithmetic: Arithmetic
    health: Numbers
    token: Token
    profit: Numbers
    lots_left: Numbers
    sold: Numbers = 0

    def lots_for(self, amount: Numbers, per_lot: Numbers) -> Numbers:
        """Lots that together make an amount of settle token, rounded up, of those left."""
        if not per_lot > 0:
            return 0 * self.lots_left
        piece = Piece(self.lots_left, per_lot)
        return least_amount(self.arithmetic, amount, [piece], 1).amount

    def reduce(
        self, profit_gain: Numbers, expected: Numbers, actual: Numbers, most: Numbers
    ) -> "_State":
        """After as few lots as bring health to zero, if each adds ``expected`` settle token.

        ``actual`` is what it adds at once, ``profit_gain`` what its weighted profit rises by.
        """
        if not expected > 0:
            return self
        found = least_amount(self.arithmetic, -self.health, self._pieces(expected, most), 1)
        lots = found.amount
        after = self._changed(actual * lots)
        return replace(
            after, profit=self.profit + profit_gain * lots, lots_left=self.lots_left - lots
        )

    def sell(self, gain: Numbers, most: Numbers) -> "_State":
        """After as little profit as brings health to zero was sold; a unit gains ``gain``."""
        most = smaller(most, self.profit)
        if not (gain > 0 and most > 0):
            return self
        amount = least_amount(self.arithmetic, -self.health, self._pieces(gain, most)).amount
        after = self._changed(gain * amount)
        return replace(after, profit=self.profit - amount, sold=self.sold + amount)

    def _pieces(self, per_unit: Numbers, length: Numbers) -> tuple[Piece, ...]:
        return health_pieces(self.arithmetic, self.token, per_unit, length)

    def _changed(self, effective: Numbers) -> "_State":
        token = replace(self.token, effective=self.token.effective + effective)
        health = self.health - self.token.worth(self.token.effective)
        return replace(self, token=token, health=health + token.worth(token.effective))


def settle_loss(
    arithmetic: Arithmetic,
    health: Numbers,
    settle_health: Numbers,
    loss: Numbers,
    token: Token,
    maintenance: Token,
    most: Numbers,
    settle_limit: Numbers,
    insurance: Insurance,
    fee: Numbers,
) -> LossTransfer:
    """How a perpetual's loss (> 0, no base left) is settled, insured and shared (rule 3).

    ``settle_health`` is maintenance health without this loss, ``maintenance`` the settle token in
    it; ``health`` and ``token`` are at liquidation end, with the loss in the effective balance.
    ``most`` limits what the liquidator takes, ``settle_limit`` what may be settled.
    Raises InputError where there is no loss.
    """
    if not loss > 0:
        raise InputError("loss", "there is none", "liquidate base and profit instead")
    allowed = smaller(loss, above_zero(settle_limit))
    payable = _payable(arithmetic, settle_health, maintenance, allowed)
    settled = smaller(payable, above_zero(most))
    left = loss - settled
    if settled < payable or not left > 0:
        return LossTransfer(settled, 0 * loss, 0 * loss, 0 * loss)
    # Settling moves a loss into the token: the effective balance, and so health, are as before.
    pieces = health_pieces(arithmetic, token, 1, left)
    bankrupt = least_amount(arithmetic, -health, pieces).amount
    insured, paid, is_empty = _insure(
        arithmetic, smaller(bankrupt, above_zero(most) - settled), token.price, insurance, fee
    )
    return LossTransfer(settled, insured, paid, bankrupt - insured if is_empty else 0 * loss)


def settle_debt(
    arithmetic: Arithmetic,
    debt: Numbers,
    price: Numbers,
    most: Numbers,
    insurance: Insurance,
    fee: Numbers,
) -> LossTransfer:
    """How the debt (> 0) of an account without assets is taken off it (rule 4).

    Here ``insured`` is what the liquidator pays of it, at most ``most``, against ``insurance``.
    """
    wanted = smaller(debt, above_zero(most))
    insured, paid, is_empty = _insure(arithmetic, wanted, price, insurance, fee)
    return LossTransfer(0 * debt, insured, paid, debt - insured if is_empty else 0 * debt)


def funding_change(
    arithmetic: Arithmetic, loss: Numbers, open_interest: Numbers
) -> tuple[Numbers, Numbers]:
    """What the funding of longs and of shorts, per lot, changes by to share a loss >= 0 (rule 3).

    ``open_interest`` is in lots, longs and shorts added up; every lot pays the same. Raises
    InputError where nobody has base.
    """
    if not open_interest > 0:
        raise InputError("open_interest", "nobody is left to share a loss", "book it as bad debt")
    change = quotient(arithmetic, loss, open_interest)
    return change, -change


def deposit_index_change(
    arithmetic: Arithmetic, loss: Numbers, indexed_deposits: Numbers
) -> Numbers:
    """What a token's deposit index changes by (<= 0) to share a loss over its deposits (rule 4)."""
    if not indexed_deposits > 0:
        raise InputError("deposits", "nobody is left to share a loss", "book it as bad debt")
    return -quotient(arithmetic, loss, indexed_deposits)


def health_pieces(
    arithmetic: Arithmetic, token: Token, per_unit: Numbers, length: Numbers
) -> tuple[Piece, ...]:
    """What ``length`` units gain that add ``per_unit`` > 0 to a token's effective balance each.

    The break point is where that balance is zero.
    """
    below = per_unit * token.liability_weight * token.price
    above = per_unit * token.asset_weight * token.price
    to_zero = quotient(arithmetic, above_zero(-token.effective), per_unit)
    first = smaller(to_zero, length)
    return Piece(first, below), Piece(length - first, above)


def _payable(
    arithmetic: Arithmetic, settle_health: Numbers, token: Token, most: Numbers
) -> Numbers:
    """What the account can pay of its settle token before its settle health is zero."""
    if settle_health <= 0:
        return 0 * most
    # Paying is the way back from zero: above a balance of zero at the asset side, then deeper.
    above = smaller(above_zero(token.effective), most)
    pieces = (
        Piece(above, token.asset_weight * token.price),
        Piece(most - above, token.liability_weight * token.price),
    )
    return least_amount(arithmetic, settle_health, pieces).amount


def _insure(
    arithmetic: Arithmetic, amount: Numbers, price: Numbers, insurance: Insurance, fee: Numbers
) -> tuple[Numbers, Numbers, bool]:
    """What of an amount the insurance fund covers, its units (rounded up), and if it is empty."""
    with_fee = price * (1 + fee)
    vault = insurance.vault
    needed = Piece(vault, quotient(arithmetic, insurance.price, with_fee))
    paid = least_amount(arithmetic, amount, [needed], 1).amount
    covered = quotient(arithmetic, paid * insurance.price, with_fee)
    return smaller(covered, amount), paid, bool(paid == vault)


def _dearer(asset: Fees, liability: Fees) -> Numbers:
    """Price of a debt in the asset over its oracle price, with all fees."""
    return (1 + asset.liquidator + asset.platform) * (1 + liability.liquidator + liability.platform)


def _check_gain(gain: Numbers, place: str) -> None:
    if not gain > 0:
        problem = "weights leave no gain after fees"
        raise InputError(place, problem, "set weights further from 1 than the fees")


def _lot_terms(perp: Perp, fees: Fees) -> tuple[Numbers, Numbers, Numbers]:
    """By lot that is closed: weighted profit gained, quote for it (>= 0), the protocol's fee."""
    each, both = perp.lot_size * perp.price, fees.liquidator + fees.platform
    if perp.lots > 0:
        return each * (1 - both - perp.asset_weight), each * (1 - both), each * fees.platform
    return each * (perp.liability_weight - 1 - both), each * (1 + both), each * fees.platform
