"""A real TypeScript program, compiled and minified by real tools, with the error it ends in."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGES = ("esbuild@0.25.12", "typescript@5.9.3", "terser@5.44.1")
"""Pinned, so that the same code comes out."""

SOURCE = """\
interface Item { name: string; price: number }

class Cart {
  constructor(private readonly items: Item[]) {}

  checkout(discount: number): number {
    return this.items.map((item) => priceOf(item, discount)).reduce((sum, one) => sum + one, 0);
  }
}

function priceOf(item: Item, discount: number): number {
  if (discount > 1) {
    throw new RangeError(`a discount of more than 100 % on ${item.name}`);
  }
  return item.price * (1 - discount);
}

export const main = (): number => {
  const cart = new Cart([{ name: "tea 🍵", price: 3 }]);
  return cart.checkout(2);
};

function report(failure: unknown): void {
  console.log((failure as Error).stack);
}

try {
  main();
} catch (failure) {
  report(failure);
}
"""

PLACES = [
    ("priceOf", "throw new RangeError", "new RangeError"),
    (None, "priceOf(item, discount))", "priceOf(item"),
    ("Cart.checkout", "this.items.map(", "map("),
    ("main", "return cart.checkout(2)", "checkout(2)"),
]
"""Function, a piece of its line, and what stands at the column: of the frames of shop.ts, from
where it was thrown. The second is the anonymous function within map()."""


@dataclass(frozen=True)
class Compiled:
    """What came of the source: the map's text, and the trace of a run."""

    bundle: str
    source_map: str
    trace: str


Place = tuple[str | None, int, int]


def expected(function: str | None, line: str, there: str) -> Place:
    """Function, line and column (from 1, in UTF-16 units) of a place."""
    lines = SOURCE.split("\n")
    number = next(at for at, text in enumerate(lines) if line in text)
    return function, number + 1, lines[number].index(there) + 1


def install_tools(folder: Path) -> None:
    """The source, and the tools from npm. Skips the test where there is no npm."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed here")
    (folder / "package.json").write_text('{"private": true}')
    (folder / "shop.ts").write_text(SOURCE, encoding="utf-8")
    _run(folder, "npm", "install", "--no-audit", "--no-fund", "--loglevel=error", *PACKAGES)


def with_esbuild(folder: Path) -> Compiled:
    """Compiled and minified in one go; its map holds the sources."""
    _run(folder, "npx", "--no-install", "esbuild", "shop.ts", "--minify", "--sourcemap=external",
         "--platform=node", "--outfile=dist/shop.min.js", "--log-level=error")  # fmt: skip
    return _ran(folder)


def with_typescript_and_terser(folder: Path) -> Compiled:
    """Compiled, then minified; its map holds no sources."""
    _run(folder, "npx", "--no-install", "tsc", "shop.ts", "--target", "es2022", "--module",
         "commonjs", "--sourceMap", "--lib", "es2022,dom", "--outDir", "dist")  # fmt: skip
    _run(folder / "dist", "npx", "--no-install", "terser", "shop.js", "--compress", "--mangle",
         "toplevel", "--source-map", "content=shop.js.map", "-o", "shop.min.js")  # fmt: skip
    return _ran(folder)


def _ran(folder: Path) -> Compiled:
    trace = _run(folder, "node", "dist/shop.min.js")
    # As a browser would print it: the bundle came from somewhere.
    url = "https://cdn.example.com/static/shop.min.js?v=1"
    trace = re.sub(r"(?<=[ (])/\S*/shop\.min\.js", url, trace)
    text = (folder / "dist" / "shop.min.js.map").read_text(encoding="utf-8")
    return Compiled("shop.min.js", text, trace)


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
