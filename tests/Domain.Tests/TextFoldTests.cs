using System.Diagnostics;
using System.Globalization;
using System.Text;
using RouteService.Domain.Features;

namespace RouteService.Domain.Tests;

public sealed class TextFoldTests
{
    private const string Python = "/usr/bin/python3";

    // The rules told in eng/make-text-fold.py, from Python's own tables: character, its canonical decomposition, and what it folds to.
    private const string Model = """
        import re, unicodedata as u
        letters = {'ß': 'ss', 'æ': 'ae', 'œ': 'oe', 'ð': 'd', 'þ': 'th', 'ı': 'i', 'ŋ': 'n'}
        def one(c):
            if u.category(c) in ('Mn', 'Me') and (u.combining(c) == 1 or 10 <= u.combining(c) <= 36 or 200 <= u.combining(c) <= 240):
                return ''
            upper = c.upper() if len(c.upper()) == 1 else c
            lower = upper.lower() if len(upper.lower()) == 1 else c
            if lower != c:
                return fold(lower)
            variant = re.match('LATIN SMALL LETTER ([A-Z]) WITH ', u.name(c, ''))
            return letters.get(c) or (variant[1].lower() if variant else c)
        def fold(text):
            return ''.join(map(one, u.normalize('NFKD', text)))
        for code in range(0x110000):
            c = chr(code)
            if u.category(c) not in ('Cn', 'Cs', 'Co'):
                print(*(','.join(f'{ord(x):X}' for x in text) for text in (c, u.normalize('NFD', c), fold(c))), sep=';')
        """;

    [Theory]
    [InlineData("São Tomé", "sao tome")]
    [InlineData("STRASSE", "strasse")]
    [InlineData("Straße ẞ", "strasse ss")]
    [InlineData("Łódź", "lodz")]
    [InlineData("Tromsø", "tromso")]
    [InlineData("Ærø", "aero")]
    [InlineData("Đà Nẵng", "da nang")]
    [InlineData("İzmir Iğdır", "izmir igdir")]
    [InlineData("Þórshöfn, Seyðisfjörður", "thorshofn, seydisfjordur")]
    [InlineData("Ħal Għaxaq", "hal ghaxaq")]
    [InlineData("Ɗan Ɓatta", "dan batta")]
    [InlineData("ΑΘΉΝΑ Πειραιάς", "αθηνα πειραιασ")]
    [InlineData("Ёлка Йод", "елка иод")]
    [InlineData("ﬁn ＡＢＣ ½", "fin abc 1⁄2")]
    [InlineData("東京", "東京")]
    [InlineData("ガ", "\u30AB\u3099")]
    [InlineData("ｶﾞ", "\u30AB\u3099")]
    [InlineData("ไทย ที่นี่", "ไทย ที่นี่")]
    [InlineData("서울", "\u1109\u1165\u110B\u116E\u11AF")]
    [InlineData("שָׁלוֹם", "שלום")]
    [InlineData("🚀 𝐀 𐐀", "🚀 a 𐐨")]
    [InlineData("", "")]
    public void Case_and_accents_go_and_the_letters_stay(string text, string folded) => Assert.Equal(folded, TextFold.Fold(text));

    [Fact]
    public void Half_of_a_surrogate_pair_stays() => Assert.Equal("\udc00x\ud800", TextFold.Fold("\udc00X\ud800"));

    [Fact]
    public void Folding_again_changes_nothing()
    {
        for (var code = 0; code <= 0x10FFFF; code++)
        {
            if (Rune.IsValid(code))
            {
                var folded = TextFold.Fold(char.ConvertFromUtf32(code));
                Assert.Equal(folded, TextFold.Fold(folded));
            }
        }
    }

    [Fact]
    public void A_text_contains_what_its_fold_contains()
    {
        var chance = new Random(1);
        const string Characters = "abcABC iIkKsS%_\u212A\u017F\u0130\u0131ßéŁ東가각🚀";
        for (var i = 0; i < 100_000; i++)
        {
            var (text, part) = (Random(chance.Next(12)), TextFold.Fold(Random(chance.Next(4))));
            Assert.True(
                TextFold.Fold(text).Contains(part, StringComparison.Ordinal) == TextFold.Contains(text, part), $"'{text}' and '{part}'");
        }

        string Random(int length)
        {
            var runes = (chance.Next(2) == 0 ? Characters[..14] : Characters).EnumerateRunes().ToArray();
            return string.Concat(chance.GetItems(runes, length));
        }
    }

    [Fact]
    public void No_culture_changes_it()
    {
        var before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = new CultureInfo("tr-TR");
            Assert.Equal("iii", TextFold.Fold("Iİı"));
            Assert.Equal("i", TextFold.Fold("I"));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public async Task All_of_Unicode_folds_as_Pythons_tables_say()
    {
        Assert.SkipUnless(File.Exists(Python), $"{Python} is missing: apt-get install python3");

        using var python = Process.Start(new ProcessStartInfo(Python, ["-c", Model]) { RedirectStandardOutput = true })!;
        var lines = (await python.StandardOutput.ReadToEndAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        await python.WaitForExitAsync();

        Assert.Equal(0, python.ExitCode);
        Assert.True(lines.Length > 140_000);
        foreach (var line in lines)
        {
            var texts = line.Split(';').Select(static text => string.Concat(
                text.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(static code => char.ConvertFromUtf32(int.Parse(code, NumberStyles.HexNumber))))).ToList();
            Assert.True(texts[2] == TextFold.Fold(texts[0]) && texts[2] == TextFold.Fold(texts[1]), line);
        }
    }
}
