#!/usr/bin/env python3
"""Puts a switch into every guard of the given Swift files, in place, and lists them.

    mutants.py FILE...      on a copy of the sources

Each operand of a condition (of if, guard, while; split at && and ||) becomes Mutant.flip(N, operand): the same, and its
opposite while mutant N is active. A condition that only matches a pattern or unwraps a value gets Mutant.keep(N): it
does not match while N is active. One line for each goes to standard output: N, the file, the line, the condition.
"""
import re
import sys

OPEN, CLOSE = "([{", ")]}"


def masked(text):
    """The text with comments and the insides of strings blanked, of the same length."""
    out, i, n = list(text), 0, len(text)

    def blank(a, b):
        for k in range(a, b):
            if out[k] != "\n":
                out[k] = " "

    while i < n:
        if text.startswith("//", i):
            j = text.find("\n", i)
            j = n if j < 0 else j
        elif text.startswith('"""', i):
            j = text.find('"""', i + 3) + 3
        elif text[i] == '"':
            j, depth = i + 1, 0
            while j < n and (text[j] != '"' or depth):
                if text.startswith("\\(", j):
                    depth, j = depth + 1, j + 2
                    continue
                if text[j] == "\\" and not depth:
                    j += 2
                    continue
                if depth and text[j] == "(":
                    depth += 1
                if depth and text[j] == ")":
                    depth -= 1
                j += 1
            j += 1
        else:
            i += 1
            continue
        blank(i, j)
        i = j
    return "".join(out)


def condition_end(mask, start, keyword):
    """Where the condition ends: before the brace of its body, for a guard before its else."""
    depth = 0
    for i in range(start, len(mask)):
        c = mask[i]
        if depth == 0 and keyword == "guard" and re.match(r"else\b", mask[i:]) and not mask[i - 1].isalnum():
            return i
        if depth == 0 and keyword != "guard" and c == "{":
            return i
        if c in OPEN:
            depth += 1
        elif c in CLOSE:
            depth -= 1
            if depth < 0:
                return None
    return None


def split(mask, a, b, marks):
    """Ranges of what stands between these marks, outside of brackets."""
    parts, depth, begin, i = [], 0, a, a
    while i < b:
        if mask[i] in OPEN:
            depth += 1
        elif mask[i] in CLOSE:
            depth -= 1
        elif depth == 0:
            mark = next((m for m in marks if mask.startswith(m, i)), None)
            if mark:
                parts.append((begin, i))
                i += len(mark)
                begin = i
                continue
        i += 1
    parts.append((begin, b))
    return parts


def trimmed(text, a, b):
    while a < b and text[a].isspace():
        a += 1
    while b > a and text[b - 1].isspace():
        b -= 1
    return a, b


def edits(text):
    """(position, end, kind): what is to be wrapped, or where a keep is to be added."""
    mask, found = masked(text), []
    for match in re.finditer(r"(?<![#.\w`])(guard|if|while)\b", mask):
        keyword, start = match.group(1), match.end()
        end = condition_end(mask, start, keyword)
        if end is None:
            continue
        patterns, last = False, None
        for a, b in split(mask, start, end, [","]):
            a, b = trimmed(text, a, b)
            if b <= a:
                continue
            last = b
            if re.match(r"(let|var|case)\b|#", mask[a:b]):
                patterns = True
                continue
            # An assignment or a ternary is left alone; so is what may throw or wait.
            if re.search(r"\b(try|await)\b", mask[a:b]) or len(split(mask, a, b, [" ? "])) > 1:
                continue
            for c, d in split(mask, a, b, ["&&", "||"]):
                c, d = trimmed(text, c, d)
                if d > c:
                    found.append((c, d, "flip"))
        if patterns and last:
            found.append((last, last, "keep"))
    return sorted(found)


def main():
    number = 0
    for path in sys.argv[1:]:
        text = open(path).read()
        out, at = [], 0
        for a, b, kind in edits(text):
            number += 1
            line = text.count("\n", 0, a) + 1
            if kind == "flip":
                words = " ".join(text[a:b].split())
                out += [text[at:a], f"Mutant.flip({number}, ", text[a:b], ")"]
            else:
                begin = text.rfind("\n", 0, a) + 1
                words = "match " + " ".join(text[begin:b].split())
                out += [text[at:a], f", Mutant.keep({number})"]
            at = b
            print(f"{number}\t{path}\t{line}\t{words}")
        out.append(text[at:])
        open(path, "w").write("".join(out))


if __name__ == "__main__":
    main()
