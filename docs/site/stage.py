"""Puts all pages in one folder, as the site has them, and lets Zensical make the site of it.

Pages stay where their subject is: a member's page is its README. What a page links to that is a page as well
becomes a link within the site; what is a file of the repository becomes its path.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

from docs.site import api, library

FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\]\[]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
THEME = Path(__file__).parent / "theme"


def build(root: Path, folder: Path) -> int:
    """Make the site in a folder, which may hold an older one. The exit code is that of Zensical."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "sitemap.xml").exists():
        print(f"{folder} holds something else than a site; name another folder")
        return 1
    with tempfile.TemporaryDirectory() as made:
        desk = Path(made)
        stage(root, desk / "pages")
        shutil.copytree(THEME, desk / "theme")
        # JSON is YAML.
        (desk / "mkdocs.yml").write_text(json.dumps(configuration(desk / "pages")))
        result = subprocess.run(
            [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
            cwd=desk,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            print(result.stdout, result.stderr)
            return result.returncode
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(desk / "site", folder)
    print(f"{folder}: {len(list(folder.rglob('*.html')))} pages; python -m http.server --directory {folder}")
    return 0


def places(root: Path) -> dict[str, str]:
    """Where each page of the repository stands in the site."""
    found = {
        str(path.relative_to(root)): str(path.relative_to(root / "docs")).replace("README.md", "index.md")
        for path in sorted((root / "docs").rglob("*.md"))
    }
    members = [
        *root.glob("apps/*/README.md"),
        *root.glob("packages/*/README.md"),
        root / "otel" / "README.md",
    ]
    found |= {str(path.relative_to(root)): f"members/{path.parent.name}.md" for path in sorted(members)}
    return found | {"CONTRIBUTING.md": "members/contributing.md"}


def stage(root: Path, folder: Path) -> None:
    """All pages and what they show, in the site's order of things."""
    where = places(root)
    pages = {site: relinked(root, path, where) for path, site in where.items()}
    pages |= {f"api/{name}": text for name, text in api.pages(root).items()}
    pages |= {f"library/{name}": text for name, text in library.pages().items()}
    for name, text in pages.items():
        if "```mermaid" in text:
            raise ValueError(f"{name}: a browser would fetch Mermaid from elsewhere; draw an SVG")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    shutil.copyfile(THEME / "site.css", folder / "site.css")
    for path in (root / "docs").rglob("*"):
        kept = path.relative_to(root / "docs")
        if path.is_file() and path.suffix != ".md" and kept.parts[0] != "site":
            (folder / kept).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / kept)


def relinked(root: Path, path: str, where: dict[str, str]) -> str:
    """A page as it stands in the site: its links lead to pages of the site."""
    here = PurePosixPath(where[path]).parent

    def link(found: re.Match[str]) -> str:
        picture, text, target = found.groups()
        name, mark, part = target.partition("#")
        if not name or re.match(r"[a-z]+:", name):
            return found[0]
        named = os.path.normpath(PurePosixPath(path).parent / name)
        page = (
            where.get(named)
            or where.get(f"{named}/README.md")
            or ("index.md" if named == "README.md" else None)
        )
        if page:
            return f"{picture}[{text}]({_relative(page, here)}{mark}{part})"
        if named.startswith("docs/") and (root / named).is_file():
            return found[0]  # copied as it is
        if (root / named).exists():
            return text if named.rpartition("/")[2] in text else f"{text} (`{named}`)"
        raise ValueError(f"{path}: there is no {target}")

    parts = FENCED.split((root / path).read_text())
    return "".join(part if part.startswith("```") else LINK.sub(link, part) for part in parts)


def _relative(page: str, here: PurePosixPath) -> str:
    return os.path.relpath(page, here)


def configuration(folder: Path) -> dict[str, object]:
    """What Zensical is told."""
    return {
        "site_name": "Bookstore",
        "docs_dir": "pages",
        "site_dir": "site",
        "use_directory_urls": False,
        "nav": navigation(folder),
        "extra_css": ["site.css"],
        "theme": {
            "name": "material",
            "variant": "modern",
            "custom_dir": "theme",
            "font": False,
            "features": [
                "navigation.tabs",
                "navigation.indexes",
                "navigation.top",
                "navigation.footer",
                "content.code.copy",
            ],
            "palette": [
                {
                    "media": "(prefers-color-scheme: light)",
                    "scheme": "default",
                    "toggle": {"icon": "lucide/sun", "name": "dark"},
                },
                {
                    "media": "(prefers-color-scheme: dark)",
                    "scheme": "slate",
                    "toggle": {"icon": "lucide/moon", "name": "light"},
                },
            ],
        },
        "plugins": ["search"],
        "extra": {"generator": False},
        "markdown_extensions": [
            "tables",
            "attr_list",
            {"toc": {"permalink": True}},
            {"pymdownx.highlight": {"pygments_lang_class": True}},
            "pymdownx.superfences",
        ],
    }


def navigation(folder: Path) -> list[dict[str, object]]:
    """Every page, once. A section is a folder, in the order of its own front page's links."""
    first = {"Bookstore": "index.md", "Start here": "start.md", "How it works": "how-it-works.md"}
    top = [path.name for path in sorted(folder.glob("*.md")) if path.name not in first.values()]
    return [
        *({title: page} for title, page in first.items()),
        {"Patterns": _section(folder, "patterns")},
        {"Guides": _section(folder, "guides")},
        {"Operations": [*_section(folder, "operations"), *top]},
        {"API": _section(folder, "api")},
        {"Library": _section(folder, "library")},
        {"Members": _section(folder, "members")},
        {"Decisions": _section(folder, "decisions")},
    ]


def _section(folder: Path, name: str) -> list[str]:
    front = folder / name / "index.md"
    order = [target for *_, target in LINK.findall(front.read_text())] if front.exists() else []
    pages = {path.name for path in (folder / name).glob("*.md")} - {"index.md"}
    named = [page for page in dict.fromkeys(order) if page in pages]
    front_page = [f"{name}/index.md"] if front.exists() else []
    return [*front_page, *(f"{name}/{page}" for page in [*named, *sorted(pages - set(named))])]
