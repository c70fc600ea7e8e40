"""What the site has beyond docs/: pages of the repository, and links that lead there.

Pages are read on GitHub too, so their links are relative to where they lie. `mkdocs build` knows
the files of docs/ only. The pages named here join them; a link to any other file of the repository
leads to `repo_url` where mkdocs.yml has one, and is plain text where it has none. A link to nothing
ends the build.
"""

import os
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "start.md", "CONTRIBUTING.md": "contributing.md"}
PAGES |= {
    f"leaderboards/{path.name}": f"published/{path.name}"
    for ending in ("md", "svg")
    for path in ROOT.glob(f"leaderboards/*.{ending}")
}
LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<target>[^)#:\s]+)(?P<anchor>#[^)]*)?\)")


def on_files(files, config):
    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown, page, config, files):
    here = page.file.src_uri
    source = {name: source for source, name in PAGES.items()}.get(here, f"docs/{here}")

    def lead(match):
        path = os.path.normpath(os.path.join(os.path.dirname(source), match["target"]))
        if not (ROOT / path).exists():
            raise FileNotFoundError(f"{source}: there is no {path}")
        name = PAGES.get(path, path.removeprefix("docs/"))
        if path in PAGES or path.startswith("docs/"):
            target = os.path.relpath(name, os.path.dirname(here) or ".")
        elif config.repo_url:
            target = f"{config.repo_url.rstrip('/')}/blob/main/{path}"
        else:
            return match["text"]
        return f"[{match['text']}]({target}{match['anchor'] or ''})"

    return LINK.sub(lead, markdown)
