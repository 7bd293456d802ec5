"""Unpacks the newest Pythons that Debian has, beside the machine's own: `newest.py FOLDER` prints the path of each, a line each.

They come from Debian's testing suite with the libraries that they need, and start through that suite's own dynamic linker, so
nothing is installed and the machine's libraries stay as they are. Standard library and `dpkg-deb` only.
"""

import lzma
import os
import re
import subprocess
import sys
import urllib.request

MIRROR = "http://deb.debian.org/debian/"
SUITE = "testing"
MULTIARCH = "x86_64-linux-gnu"

Package = dict[str, str]


def fetch(path: str) -> bytes:
    with urllib.request.urlopen(MIRROR + path, timeout=120) as response:
        content: bytes = response.read()
        return content


def packages() -> dict[str, Package]:
    """The index of the suite: each package, also by the names that it provides."""
    index = lzma.decompress(fetch(f"dists/{SUITE}/main/binary-amd64/Packages.xz")).decode()
    found: dict[str, Package] = {}
    provided: dict[str, Package] = {}
    for paragraph in index.split("\n\n"):
        package = dict(line.split(": ", 1) for line in paragraph.split("\n") if ": " in line and line[0] != " ")
        if "Package" in package:
            found[package["Package"]] = package
            for name in package.get("Provides", "").split(","):
                provided.setdefault(name.strip().split(" ")[0], package)
    return {**provided, **found}


def needed(names: list[str], index: dict[str, Package]) -> list[Package]:
    """The packages `names` and the libraries that they depend on; of alternatives the first."""
    todo, seen = list(names), dict[str, Package]()
    while todo:
        package = index.get(todo.pop())
        # What else there is configures whole machines.
        if package is None or package["Package"] in seen or not package["Package"].startswith(("lib", "python", "zlib")):
            continue
        seen[package["Package"]] = package
        for dependency in f"{package.get('Depends', '')},{package.get('Pre-Depends', '')}".split(","):
            todo.append(re.split(r"[ :|(]", dependency.strip())[0])
    return list(seen.values())


def main(folder: str) -> None:
    index = packages()
    own = sys.version_info[:2]
    versions = [match[1] for match in (re.fullmatch(r"python3\.(\d+)", name) for name in index) if match]
    names = [f"python3.{minor}" for minor in sorted(set(versions), key=int) if (3, int(minor)) > own]
    root = os.path.abspath(os.path.join(folder, "root"))
    os.makedirs(root)
    for package in needed(names, index):
        archive = os.path.join(folder, "package.deb")
        with open(archive, "wb") as file:
            file.write(fetch(package["Filename"]))
        subprocess.run(["dpkg-deb", "-x", archive, root], check=True)
    libraries = f"{root}/usr/lib/{MULTIARCH}"
    for name in names:
        path = os.path.join(os.path.abspath(folder), name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(
                f'#!/bin/sh\nPYTHONHOME={root}/usr exec {libraries}/ld-linux-x86-64.so.2'
                f' --library-path {libraries} --argv0 {path} {root}/usr/bin/{name} "$@"\n'
            )
        os.chmod(path, 0o755)
        print(path)


main(sys.argv[1])
