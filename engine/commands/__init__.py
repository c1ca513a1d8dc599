"""The commands of `python -m engine`: arguments in, engine calls, rich output. No logic of their own."""

from engine.commands import doctor, evaluate, exchange, fetch, report, training

MODULES = (fetch, evaluate, training, report, exchange, doctor)
"""In the order in which the help lists them."""
