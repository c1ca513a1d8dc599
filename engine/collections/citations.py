"""Whom to cite, in BibTeX: the method, the collections and the encoder."""

from __future__ import annotations

from collections.abc import Iterable

BIBTEX = {
    "hybrid-batch": """@misc{elmahdy2024synergistic,
  title = {Synergistic Approach for Simultaneous Optimization of Monolingual, Cross-lingual, and Multilingual
           Information Retrieval},
  author = {Elmahdy, Adel and Lin, Sheng-Chieh and Ahmad, Amin},
  year = {2024},
  eprint = {2408.10536},
  archivePrefix = {arXiv}
}""",
    "lareqa": """@inproceedings{roy2020lareqa,
  title = {{LAReQA}: Language-Agnostic Answer Retrieval from a Multilingual Pool},
  author = {Roy, Uma and Constant, Noah and Al-Rfou, Rami and Barua, Aditya and Phillips, Aaron and Yang, Yinfei},
  booktitle = {Proceedings of the 2020 Conference on Empirical Methods in Natural Language Processing (EMNLP)},
  year = {2020},
  eprint = {2004.05484},
  archivePrefix = {arXiv}
}""",
    "xquad-r": """@inproceedings{artetxe2020crosslingual,
  title = {On the Cross-lingual Transferability of Monolingual Representations},
  author = {Artetxe, Mikel and Ruder, Sebastian and Yogatama, Dani},
  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics (ACL)},
  year = {2020},
  eprint = {1910.11856},
  archivePrefix = {arXiv}
}""",
    "mlqa-r": """@inproceedings{lewis2020mlqa,
  title = {{MLQA}: Evaluating Cross-lingual Extractive Question Answering},
  author = {Lewis, Patrick and O{\\u{g}}uz, Barlas and Rinott, Ruty and Riedel, Sebastian and Schwenk, Holger},
  booktitle = {Proceedings of the 58th Annual Meeting of the Association for Computational Linguistics (ACL)},
  year = {2020},
  eprint = {1910.07475},
  archivePrefix = {arXiv}
}""",
    "multilingual-e5-small": """@misc{wang2024multilingual,
  title = {Multilingual {E5} Text Embeddings: A Technical Report},
  author = {Wang, Liang and Yang, Nan and Huang, Xiaolong and Yang, Linjun and Majumder, Rangan and Wei, Furu},
  year = {2024},
  eprint = {2402.05672},
  archivePrefix = {arXiv}
}""",
}
"""Entries by what they are of: the method, the collections, the encoder."""


def bibtex(names: Iterable[str]) -> str:
    """The entries of some names, in their order; a name that has none is passed over."""
    return "\n\n".join(BIBTEX[name] for name in names if name in BIBTEX)
