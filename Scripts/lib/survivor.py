#!/usr/bin/env python3
"""Says why nobody misses a guard: survivor.py FILE GUARD, by Tests/Mutants/Survivors.toml; nothing if it does not say.

survivor.py --check LIST: status 1 where an entry is about a guard that mutants.py has not listed.
"""
import sys
import tomllib

entries = tomllib.load(open("Tests/Mutants/Survivors.toml", "rb")).get("survivor", [])


def place(path):
    return path.removeprefix("Sources/Watchdog/")


if sys.argv[1] == "--check":
    listed = set()
    for line in open(sys.argv[2]):
        number, file, at, words = line.rstrip("\n").split("\t")
        listed.add((place(file), words))
    gone = [entry for entry in entries if (entry["file"], entry["guard"]) not in listed]
    for entry in gone:
        print(f"Tests/Mutants/Survivors.toml: {entry['file']} has no guard '{entry['guard']}'", file=sys.stderr)
    sys.exit(1 if gone else 0)
for entry in entries:
    if (entry["file"], entry["guard"]) == (place(sys.argv[1]), sys.argv[2]):
        print(entry["why"])
        break
