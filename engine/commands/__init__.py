"""The commands of `python -m engine`: arguments in, engine calls, rich output. No logic of their own."""

from engine.commands import doctor, evaluate, exchange, fetch, reference, report, training, tuning

MODULES = (fetch, evaluate, training, tuning, report, exchange, reference, doctor)
"""In the order in which the help lists them."""
