#!/usr/bin/env python3
"""Makes src/Domain/Features/TextFold.Table.cs from UnicodeData.txt, version 15.0.0 (unicode.org; Debian's package unicode-data):

    eng/make-text-fold.py /usr/share/unicode/UnicodeData.txt [migrations/NAME.sql]

With a migration it also replaces the table of the function search_key there: the keys of all characters that are not ASCII and fold to others.
src/Infrastructure/Postgis/SearchKey.cs has the rules of keys. A later Unicode needs another function and another index, in another migration.

A character folds to its full compatibility decomposition without accents, in lower case. Accents are the marks whose canonical combining
class is 1 (overlays), 10 to 36 (points of Hebrew, Arabic and Syriac) or 200 to 240 (those around a base); other marks are parts of letters,
such as the vowel signs of Thai and the voicing of kana. Letters that Unicode does not decompose, but readers take for another letter, are below.
Hangul syllables are decomposed by arithmetic, in the program.
"""
import json
import re
import sys
from pathlib import Path

LETTERS = {'ß': 'ss', 'æ': 'ae', 'œ': 'oe', 'ð': 'd', 'þ': 'th', 'ı': 'i', 'ŋ': 'n'}
VARIANT = re.compile(r'LATIN SMALL LETTER ([A-Z]) WITH ')  # ø, ł, đ, ħ, ɓ and the like: the plain letter
WIDTH = 138

names, classes, decompositions, uppers, lowers, marks = {}, {}, {}, {}, {}, set()
for line in Path(sys.argv[1]).read_text().splitlines():
    code, name, category, combining, _, decomposition, _, _, _, _, _, _, upper, lower, _ = line.split(';')
    code = int(code, 16)
    names[code], classes[code] = name, int(combining)
    if decomposition:
        decompositions[code] = [int(part, 16) for part in re.sub(r'<\w+> ', '', decomposition).split()]
    if upper:
        uppers[code] = int(upper, 16)
    if lower:
        lowers[code] = int(lower, 16)
    if category in ('Mn', 'Me') and (classes[code] == 1 or 10 <= classes[code] <= 36 or 200 <= classes[code] <= 240):
        marks.add(code)


def fold(code):
    if code in marks:
        return []
    if code in decompositions:
        return [folded for part in decompositions[code] for folded in fold(part)]
    upper = uppers.get(code, code)
    lower = lowers.get(upper, upper)
    if lower != code:
        return fold(lower)
    if chr(code) in LETTERS:
        return [ord(letter) for letter in LETTERS[chr(code)]]
    variant = VARIANT.match(names.get(code, ''))
    return [ord(variant[1].lower())] if variant else [code]


folds = {code: folded for code in names if (folded := fold(code)) != [code] and names[code] != '<Hangul Syllable, First>'}

# Runs, longest first: of neighbours or of every other character, to the same text ("=") or to one as far away (">").
def run_from(first, step, kind):
    run = [first]
    while (following := run[-1] + step) in left:
        expected = folds[first] if kind == '=' else [folds[first][0] + following - first] if len(folds[first]) == 1 else None
        if folds[following] != expected:
            break
        run.append(following)
    return run


tokens = []
left = dict.fromkeys(sorted(folds))
while left:
    first = next(iter(left))
    run, step, kind = max(((run_from(first, step, kind), step, kind) for step in (1, 2) for kind in '=>'), key=lambda one: len(one[0]))
    tokens.append(f'{first:X}'
                  + (f'-{run[-1]:X}' if len(run) > 1 else '') + ('/2' if step == 2 else '')
                  + kind + '+'.join(f'{folded:X}' for folded in folds[first]))
    for code in run:
        del left[code]

lines, line = [], ''
for token in tokens:
    if len(line) + 1 + len(token) > WIDTH - 8:
        lines.append(line)
        line = ''
    line += (' ' if line else '') + token
lines.append(line)
body = '\n'.join(f'        {line}' for line in lines)
target = Path(__file__).parent.parent / 'src/Domain/Features/TextFold.Table.cs'
target.write_text(f'''namespace RouteService.Domain.Features;

public static partial class TextFold
{{
    /// <summary>
    /// Made by eng/make-text-fold.py of Unicode 15.0.0. Each entry is a character or a run of them (FIRST-LAST, or every other one,
    /// FIRST-LAST/2), and what it folds to: "=" and the text for all of the run, or "&gt;" and where the first one goes, the others as far.
    /// </summary>
    private static ReadOnlySpan<byte> Table => """
{body}
        """u8;
}}
''')
print(len(folds), 'characters,', len(tokens), 'entries,', sum(map(len, lines)), 'characters of text')

DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'


def key(code):
    if code < 0x80:
        return chr(code)
    return chr(ord('a') + code % 26) if code < 0x2E80 else ''.join(DIGITS[code // power % 36] for power in (36 * 36, 36, 1))


if len(sys.argv) > 2:
    lines, line = [], ''
    for code, folded in sorted(folds.items()):
        if code < 0x80:
            continue
        entry = f'"{code:x}":{json.dumps("".join(map(key, folded)))}'
        if len(line) + len(entry) + 1 > WIDTH:
            lines.append(line)
            line = ''
        line += entry + ','
    lines.append(line[:-1])
    migration = Path(sys.argv[2])
    before, _, after = migration.read_text().split('$table$')
    migration.write_text('$table$'.join([before, '{\n' + '\n'.join(lines) + '\n}', after]))
