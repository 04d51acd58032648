#!/usr/bin/env python3
"""Puts a switch into every guard of Swift files and into every rule, in place, and lists them.

    mutants.py RULES FILE...      in a copy of the sources

A rule (Tests/Mutants/Rules.toml) changes texts: BROKEN in them is true while its turn has come. Each operand of a
condition (of if, guard, while, where, before "? :", and what stands between && and ||) becomes Mutant.flip(N, operand):
the same, and its opposite while mutant N is active. A condition that only matches a pattern or unwraps a value gets
Mutant.keep(N): it does not match while N is active. One line for each goes to standard output: N, the file, the line, the
condition; for a rule: N, "rule", the trouble in which it matters, its name.
"""
import re
import sys
import tomllib

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
    """Where the condition ends: before the brace of its body, for a guard before its else, for a case before its colon."""
    depth = 0
    for i in range(start, len(mask)):
        c = mask[i]
        if depth == 0 and keyword == "guard" and re.match(r"else\b", mask[i:]) and not mask[i - 1].isalnum():
            return i
        if depth == 0 and keyword == "where" and re.match(r":\s", mask[i:]) and not mask[i - 1].isspace():
            return i
        if depth == 0 and keyword not in ("guard", "where") and c == "{":
            return i
        if c in OPEN:
            depth += 1
        elif c in CLOSE:
            depth -= 1
            if depth < 0:
                return None
    return None


# What an operand outside of a condition cannot reach over.
LEFT_END = re.compile(r"(&&|\|\||[,;]|[^=!<>]=| [?:]|\breturn| in|=>)(?=\s)")
RIGHT_END = re.compile(r"\s(&&|\|\||\?|:)\s|[,;]")


def operand_before(mask, end):
    """The beginning of the operand that ends here."""
    depth, i = 0, end - 1
    while i >= 0:
        c = mask[i]
        if c in CLOSE:
            depth += 1
        elif c in OPEN:
            depth -= 1
            if depth < 0:
                return i + 1
        elif depth == 0:
            # A statement ends with its line, unless the next line goes on with it.
            if c == "\n" and not re.match(r"\s*(&&|\|\||[?:.]\s|\.)", mask[i:]) and mask[i + 1 : end].strip():
                return i + 1
            for k in range(max(0, i - 8), i + 1):
                match = LEFT_END.match(mask, k)
                if match and match.end() == i + 1:
                    return i + 1
        i -= 1
    return 0


def operand_after(mask, start):
    """The end of the operand that begins here."""
    depth, i = 0, start
    while i < len(mask):
        c = mask[i]
        if c in OPEN:
            depth += 1
        elif c in CLOSE:
            depth -= 1
            if depth < 0:
                return i
        elif depth == 0 and mask[start:i].strip():
            if RIGHT_END.match(mask, i):
                return i
            if c == "\n" and not re.match(r"\s*\.", mask[i:]):
                return i
        i += 1
    return len(mask)


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


def conditions(mask):
    """(begin, end) of every condition of if, guard, while and where."""
    for match in re.finditer(r"(?<![#.\w`])(guard|if|while|where)\b(?!:)", mask):
        keyword = match.group(1)
        # That of a loop ends before its body.
        if keyword == "where" and re.search(r"\bfor\b", mask[mask.rfind("\n", 0, match.start()) + 1 : match.start()]):
            keyword = "for"
        end = condition_end(mask, match.end(), keyword)
        if end is not None:
            yield match.end(), end


def edits(text):
    """(position, end, kind): what is to be wrapped, or where a keep is to be added."""
    mask, found, inside = masked(text), set(), []
    for start, end in conditions(mask):
        inside.append((start, end))
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
                    found.add((c, d, "flip"))
        if patterns and last:
            found.add((last, last, "keep"))
    for match in re.finditer(r"\s(&&|\|\||\?)\s", mask):
        if any(a <= match.start() < b for a, b in inside):
            continue
        sides = [(operand_before(mask, match.start()), match.start())]
        if match.group(1) != "?":
            sides.append((match.end(), operand_after(mask, match.end())))
        # Which words a sentence has is for the tests of sentences.
        if match.group(1) == "?" and text[match.end()] == '"':
            continue
        for a, b in sides:
            a, b = trimmed(text, a, b)
            label = re.match(r"\w+:\s+", mask[a:b])
            a += label.end() if label else 0
            if b > a and not re.search(r"\b(try|await|case|let)\b", mask[a:b]):
                found.add((a, b, "flip"))
    # Of what lies in another one, the outer one counts: edits may not overlap. What a rule brought is no guard.
    kept = []
    for a, b, kind in sorted(found, key=lambda e: (e[0], -e[1])):
        if kept and a < kept[-1][1] or re.fullmatch(r"!?Mutant\.breaks\(\d+\)", text[a:b]):
            continue
        kept.append((a, b, kind))
    return kept


def rules(path):
    """Makes the changes of all rules; lists them. Returns how many there are."""
    listed = tomllib.load(open(path, "rb"))["rule"]
    for number, rule in enumerate(listed, 1):
        for change in rule["change"]:
            file = change["file"]
            text = open(file).read()
            if change["from"] not in text:
                sys.exit(f"{rule['name']}: {change['file']} does not have: {change['from']}")
            if change["from"].count("\n") != change["to"].count("\n"):
                sys.exit(f"{rule['name']}: the lines of {change['file']} would have other numbers")
            new = change["to"].replace("BROKEN", f"Mutant.breaks({number})")
            open(file, "w").write(text.replace(change["from"], new))
        print(f"{number}\trule\t{rule['toward']}\t{rule['name']}")
    return len(listed)


# Targets that have nothing to do with policies and plans: not built in the copy.
UNNEEDED = ("MySQLWireTests", "MySQLDumpTests", "LiveTests", "TestBed", "chaos", "demo", "serve")


def prune(path):
    """Takes targets out of the package."""
    text = open(path).read()
    mask = masked(text)
    for match in reversed(list(re.finditer(r"\.(?:testTarget|executableTarget|target)\(\s*name: ", mask))):
        name = re.match(r'"([^"]+)"', text[match.end() :])
        if not name or name.group(1) not in UNNEEDED:
            continue
        depth, end = 0, mask.index("(", match.start())
        while True:
            depth += (mask[end] == "(") - (mask[end] == ")")
            end += 1
            if depth == 0:
                break
        end += mask[end] == ","
        text = text[: match.start()] + text[end:]
        mask = mask[: match.start()] + mask[end:]
    open(path, "w").write(text)


def main():
    prune("Package.swift")
    number = rules(sys.argv[1])
    for path in sys.argv[2:]:
        text = open(path).read()
        out, at, places = [], 0, {}
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
            words = re.sub(r"Mutant.breaks.[0-9]+.", "BROKEN", words)
            # The second place of the same words in a file is another guard.
            places[words] = places.get(words, 0) + 1
            print(f"{number}\t{path}\t{line}\t{words}" + (f" #{places[words]}" if places[words] > 1 else ""))
        out.append(text[at:])
        open(path, "w").write("".join(out))


if __name__ == "__main__":
    main()
