#!/usr/bin/env python3
"""Says why nobody misses a guard: survivor.py FILE GUARD, by Tests/Mutants/Survivors.toml; nothing if it does not say."""
import sys
import tomllib

file, guard = sys.argv[1].removeprefix("Sources/Watchdog/"), sys.argv[2]
for entry in tomllib.load(open("Tests/Mutants/Survivors.toml", "rb")).get("survivor", []):
    if entry["file"] == file and entry["guard"] == guard:
        print(entry["why"])
        break
