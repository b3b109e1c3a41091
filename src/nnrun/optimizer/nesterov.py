from __future__ import annotations

import optax

from nnrun.optimizer._elementwise import elementwise
from nnrun.options import Fraction, Rate

__all__ = ["nesterov"]


def nesterov(learning_rate: Rate = 0.01, momentum: Fraction = 0.9) -> optax.GradientTransformation:
    """Nesterov momentum: the gradient is taken where the velocity is about to lead.

    The look-ahead form, θ the parameters and w the velocity:

        w ← ρw − α∇f(θ + ρw),  θ ← θ + w

    It wants the gradient at θ + ρw, but every other optimizer is given the one at its parameters.  So the
    parameters become the point that is looked at, x = θ + ρw, whose gradient is g = ∇f(x).  With w⁻ and w the
    velocity before and after the step,

        x ← x − ρw⁻ + w + ρw = x + ρw − αg,  since w = ρw⁻ − αg

    and with α taken out of the velocity, w = −αv, as in `momentum`:

        v ← ρv + g,  x ← x − α(g + ρv)

    x and θ differ by ρw, which goes to 0 with the gradients; x is what is evaluated and saved.

    learning_rate   α ≥ 0
    momentum        ρ in [0, 1): how much of the velocity a step keeps
    State: 4 bytes a parameter (v).
    Lecture: corrects the course after looking ahead, a little better than momentum in practice.
    optax and torch (SGD with nesterov): the same.  It is the look-ahead form exactly as long as α does not
    change; under a schedule, that form continues with a velocity made by earlier rates, this one scales all of
    the velocity by the rate in force.
    Source: Nesterov 1983; Sutskever et al. 2013 (look-ahead form); Bengio et al. 2013 (change of variables).
    """

    def rule(g, t, v):
        del t
        v = momentum * v + g
        return -learning_rate * (g + momentum * v), {"v": v}

    return elementwise(rule, v=0.0)
