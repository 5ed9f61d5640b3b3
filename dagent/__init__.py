"""dagent: specialise a language model with data that agents engineer.

The folders ``dsl``, ``compiler``, ``runtime`` and ``specs`` stand at the top of the checkout and
are imported only as ``dagent.dsl`` and so on. A wheel and an editable install map them; the line
below makes the same names work from a checkout that was never installed.
"""

from pathlib import Path

__version__ = "0.1.0"
__path__.append(str(Path(__file__).resolve().parent.parent))
