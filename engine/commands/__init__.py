"""The commands of `python -m engine`: arguments in, engine calls, rich output. No logic of their own."""

from engine.commands import doctor, evaluate, exchange, fetch, report, training, tuning

MODULES = (fetch, evaluate, training, tuning, report, exchange, doctor)
"""In the order in which the help lists them."""
