"""What a sweep is: the recipes that are asked for, and the command line that asks for them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

from engine.encoders.encoder import AS_IT_IS, Options
from engine.errors import InputError
from engine.training.adjusted import adjusted_by
from engine.training.recipe import DEFAULTS, SHARES_OF_THEIR_OWN, Method, Settings, check_alpha

OWN_SHARE = "own"
"""How the English share is written that the languages' own proportion gives."""


class Kind(NamedTuple):
    """What tells the checkpoints of a sweep apart: strategy, ratio, seed and English share; None where it has none."""

    strategy: str
    alpha: float | None
    seed: int
    english_share: float | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """What is asked for.

    Attributes:
        encoder: Catalog name, folder or Hub id of the base encoder.
        training: Catalog name or folder of the training collection.
        evaluations: Those of the collections to evaluate on.
        alphas: Ratios of the hybrid strategy.
        seeds: Every ratio is trained with each.
        english_shares: Every ratio is trained with each too (collections of pictures only); None stands for the share
            that the languages' own proportion gives. Empty for the settings' one.
        method: "head" or "full".
        baselines: Other strategies to run as well: "x-x", "en-en", and those of `engine.training.adjusted`, such as
            "centred", "lir-1-transductive", or, at every ratio, "centred+hybrid".
        merges: Whether the alpha = 0 and alpha = 1 checkpoints are also averaged, at the other ratios as weights.
        settings: Hyper-parameters; None for the method's own.
        every: Of the evaluation collections, keep every n-th paragraph.
        skip_invalid: Whether unusable rows of the collections are left out.
        keep_identical_ids: Whether queries may retrieve the candidates of their own id.
        allow_leaks: Whether texts that are evaluated on may be trained on.
        split: Split that is evaluated on; None for the usual one.
        train_split: Split that is trained on; None for the usual one.
        options: How the encoder is run where not as its files say.
    """

    encoder: str
    training: str
    evaluations: tuple[str, ...]
    alphas: tuple[float, ...]
    seeds: tuple[int, ...] = (0,)
    english_shares: tuple[float | None, ...] = ()
    method: Method = "head"
    baselines: tuple[str, ...] = ()
    merges: bool = False
    settings: Settings | None = None
    every: int = 1
    skip_invalid: bool = False
    keep_identical_ids: bool = False
    allow_leaks: bool = False
    split: str | None = None
    train_split: str | None = None
    options: Options = AS_IT_IS

    def __post_init__(self) -> None:
        """Check the ratios and that there is something to do."""
        for alpha in self.alphas:
            check_alpha(alpha)
        for share in self.english_shares:
            Settings(english_share=share)  # which checks it
        if not self.evaluations or not self.seeds or not (self.alphas or self.baselines):
            raise InputError(
                "sweep: at least one ratio or baseline, one seed and one collection to evaluate on are needed"
            )
        if self.english_shares and self.settings is not None and self.settings.english_share is not None:
            raise InputError("sweep: --english-share and --english-shares were both given; give one of them")
        if self.merges and not {0.0, 1.0} <= set(self.alphas):
            raise InputError("sweep: merging needs the ratios 0 and 1 among the alphas")

    def kinds(self) -> list[Kind]:
        """What tells apart the checkpoints that are trained or estimated, each once; merges come after."""
        listed: list[Kind] = []
        for place, seed in enumerate(dict.fromkeys(self.seeds)):
            for share in self._shares():
                listed += [Kind("hybrid", alpha, seed, share) for alpha in self.alphas]
            for baseline in self.baselines:
                adjusted = adjusted_by(baseline)
                if adjusted and adjusted.head:
                    listed += [Kind(baseline, alpha, seed) for alpha in self.alphas]
                elif baseline in SHARES_OF_THEIR_OWN or (adjusted and place == 0):  # a mean has no seed
                    listed.append(Kind(baseline, None, seed))
                elif not adjusted:
                    listed += [Kind(baseline, None, seed, share) for share in self._shares()]
        return list(dict.fromkeys(listed))

    def settings_of(self, kind: Kind) -> Settings | None:
        """The hyper-parameters of one of `kinds`; None for the method's own."""
        if kind.english_share is None and self.settings is None:
            return None
        return replace(self.settings or DEFAULTS[self.method], english_share=kind.english_share)

    def _shares(self) -> tuple[float | None, ...]:
        return self.english_shares or ((self.settings.english_share if self.settings else None),)

    def to_arguments(self) -> list[str]:
        """What stands behind `python -m engine` to run it; hyper-parameters only where they are not the method's own.

        Ratios are written so that the same numbers are read back: another number would be another checkpoint.
        """
        line = ["sweep", "--encoder", self.encoder, "--train", self.training, "--eval", ",".join(self.evaluations)]
        line += ["--method", self.method]
        line += ["--every", str(self.every)] if self.every != 1 else []
        line += ["--skip-invalid"] if self.skip_invalid else []
        line += ["--keep-identical-ids"] if self.keep_identical_ids else []
        line += ["--allow-leaks"] if self.allow_leaks else []
        line += ["--split", self.split] if self.split else []
        line += ["--train-split", self.train_split] if self.train_split else []
        line += self.options.to_arguments()
        usual = asdict(DEFAULTS[self.method])
        for name, value in asdict(self.settings or DEFAULTS[self.method]).items():
            if value is not None and value != usual[name]:
                line += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
        line += ["--alphas", ",".join(map(_written, self.alphas)) or ",", "--seeds", ",".join(map(str, self.seeds))]
        shares = [OWN_SHARE if share is None else _written(share) for share in self.english_shares]
        line += ["--english-shares", ",".join(shares)] if shares else []
        line += ["--baselines", ",".join(self.baselines)] if self.baselines else []
        return line + (["--merge"] if self.merges else [])


def _written(number: float) -> str:
    short = f"{number:g}"
    return short if float(short) == number else repr(number)
