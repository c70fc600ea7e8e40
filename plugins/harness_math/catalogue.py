r"""What is known of each public math benchmark.

Hub ids, revisions, columns and files were taken from public code that loads these data sets and
from stored copies of the Hub's pages; the Hub itself was not asked. A revision of None was not
found anywhere. Row counts and contents were computed from the files that the origins publish, where
this project has read them: a content of None says that it has not. MGSM, GSM-Symbolic,
GSM8K-Platinum and the DeepSeek-R1 traces were not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import Conventions, Source, Split, Task

ANY_FILE = ("*.parquet", "*.jsonl", "*.json")
MGSM_LANGUAGES = tuple("bn de en es fr ja ru sw te th zh".split())  # codespell:ignore te
