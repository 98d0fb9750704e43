"""Small pages of HTML, whole in themselves: no script, no asset from anywhere."""

from __future__ import annotations

from html import escape

from api.answers import Answer

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #777; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 0.9em/1.5 ui-monospace, monospace; }
pre { background: #8881; padding: 0.75rem 1rem; overflow-x: auto; border-radius: 6px; }
h2 { margin: 3rem 0 0; }
h3 { font-size: 1.05rem; margin: 0.5rem 0; }
section { border-top: 1px solid var(--line); padding: 0.75rem 0; margin-top: 0.75rem; }
section:target, tr:target { background: #fb02; }
nav { columns: 2 26rem; column-gap: 2rem; font-size: 0.9rem; }
nav h3 { margin-top: 0; text-transform: capitalize; break-after: avoid; }
nav ul { list-style: none; margin: 0 0 1rem; padding: 0; }
nav a { text-decoration: none; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0; font-size: 0.95rem; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.75rem 0.2rem 0; }
th { font-weight: 600; white-space: nowrap; }
details { margin: 0.25rem 0; }
summary { cursor: pointer; }
.type, .needs { color: var(--quiet); font-size: 0.9em; }
.needs { font-weight: normal; border: 1px solid var(--line); border-radius: 6px; padding: 0 6px; }
.method { font: bold 0.8rem ui-monospace, monospace; display: inline-block; min-width: 3.5rem; }
.get { color: #2a7de1; } .post { color: #2a9d4a; } .put { color: #c77d0a; }
.delete { color: #d1383d; }
"""

_POLICY = b"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def html_answer(title: str, body: str) -> Answer:
    """A page with this title; `body` is HTML."""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )
    headers = ((b"content-security-policy", _POLICY), (b"vary", b"Accept"))
    return Answer(200, page.encode(), headers, b"text/html; charset=utf-8")
