"""Joins the files of the page into page_parts.h, cut where a report goes in.

usage: embed.py page_parts.h page.html page.css page.js [more.js ...]
The page's policy allows this style and this script by their hashes, and nothing else.
"""
import base64
import hashlib
import pathlib
import sys

output, page, style, *scripts = map(pathlib.Path, sys.argv[1:])


def allowed(text):
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def main():
    css = style.read_text("utf-8")
    js = "".join(script.read_text("utf-8") for script in scripts)
    text = page.read_text("utf-8")
    policy = f"default-src 'none'; style-src {allowed(css)}; script-src {allowed(js)}"
    for name, value in {"policy": policy, "style": css, "script": js}.items():
        before, after = text.split("{{" + name + "}}")
        text = before + value + after
    first, rest = text.split("{{title}}")
    parts = [first, *rest.split("{{report}}")]
    assert len(parts) == 3 and not any(')page"' in part for part in parts)
    body = ",\n".join(f'R"page({part})page"' for part in parts)
    output.write_text("// Made by embed.py.\n#pragma once\n\nnamespace regrad::example {\n\n"
                      f"constexpr const char* page_parts[] = {{{body}}};\n\n"
                      "}  // namespace regrad::example\n", "utf-8")


main()
