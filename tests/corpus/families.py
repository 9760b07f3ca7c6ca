"""All files of the corpus, whichever modules they are in."""

from __future__ import annotations

import importlib
import pkgutil

from tests import corpus
from tests.corpus.case import Case


def cases() -> tuple[Case, ...]:
    """Every case of every module of this package that has `CASES`, family by family."""
    names = sorted(each.name for each in pkgutil.iter_modules(corpus.__path__))
    modules = [importlib.import_module(f"{corpus.__name__}.{name}") for name in names]
    return tuple(case for module in modules for case in getattr(module, "CASES", ()))
