"""Joins the files of a page into a C++ header: pieces between which the program writes its data.

usage: embed.py output.h namespace::name page.html page.css page.js [more.js ...]
The page's policy allows this style and this script by their hashes, and nothing else. Every other
{{slot}} of page.html is a cut: the data of the first goes after piece 0, that of the second after
piece 1, and so on; the pieces that are left follow, because a literal has to be shorter than
65,536 bytes.
"""
import base64
import hashlib
import pathlib
import re
import sys

LONGEST = 65_000  # bytes of a piece


def allowed(text):
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def parts(page, style, scripts):
    """The page as text, cut at the slots for the program's data."""
    css = style.read_text("utf-8")
    js = "".join(script.read_text("utf-8") for script in scripts)
    policy = f"default-src 'none'; style-src {allowed(css)}; script-src {allowed(js)}"
    filled = {"policy": policy, "style": css, "script": js}
    texts, *rest = re.split(r"\{\{(\w+)\}\}", page.read_text("utf-8"))
    pieces = [texts]
    for slot, text in zip(rest[::2], rest[1::2]):
        if slot in filled:
            pieces[-1] += filled.pop(slot) + text
        else:
            pieces.append(text)
    assert not filled, f"{page} has no place for {', '.join(filled)}"
    return pieces


def shorter(piece):
    """The piece as pieces that fit into a literal, cut at the ends of lines."""
    part = ""
    for line in piece.splitlines(keepends=True):
        if part and len((part + line).encode()) > LONGEST:
            yield part
            part = ""
        part += line
    yield part


def header(name, pieces):
    *before, last = pieces
    assert all(len(piece.encode()) <= LONGEST for piece in before), "only the last piece is cut"
    literals = before + list(shorter(last))
    assert not any(')page"' in literal for literal in literals)
    body = ",\n".join(f'R"page({literal})page"' for literal in literals)
    space, array = name.rsplit("::", 1)
    return (f"// Made by embed.py. Data goes after each of the first {len(before)} pieces.\n"
            f"#pragma once\n\nnamespace {space} {{\n\n"
            f"constexpr const char* {array}[] = {{{body}}};\n\n"
            f"}}  // namespace {space}\n")


def main():
    output, name, page, style, *scripts = sys.argv[1:]
    pieces = parts(pathlib.Path(page), pathlib.Path(style), map(pathlib.Path, scripts))
    pathlib.Path(output).write_text(header(name, pieces), "utf-8")


if __name__ == "__main__":
    main()
