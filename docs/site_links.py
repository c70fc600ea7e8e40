"""Links of the pages that lead out of docs/, for the site: to the repository, or plain text.

The pages are read on GitHub too, so their links are relative. `mkdocs build` knows the files of
docs/ only; a link to another file of the repository is checked here, and leads to `repo_url` where
mkdocs.yml has one.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def on_page_markdown(markdown, page, config, files):
    def outside(match):
        text, target, anchor = match["text"], match["target"], match["anchor"] or ""
        if not (ROOT / target).exists():
            raise FileNotFoundError(f"{page.file.src_path}: there is no {target}")
        if not config.repo_url:
            return text
        return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{target}{anchor})"

    link = r"\[(?P<text>[^\]]+)\]\(\.\./(?P<target>[^)#]+)(?P<anchor>#[^)]*)?\)"
    return re.sub(link, outside, markdown)
