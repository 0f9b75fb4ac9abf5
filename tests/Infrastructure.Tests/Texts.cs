namespace RouteService.Infrastructure.Tests;

/// <summary>Text of every kind that a caller can send, and stores keep: all of Unicode but U+0000.</summary>
public static class Texts
{
    public static TheoryData<string> Kinds => [.. ByKind.Keys];

    private static Dictionary<string, string> ByKind { get; } = new()
    {
        ["controls"] = "\u0001\u0008\t\r\n\u001b[31m\u007f\u0080\u0085\u009f",
        ["noncharacters"] = "\ufdd0\ufffe\uffff\U0001fffe\U0010ffff",
        ["directions"] = "\u202eabc\u202c \u2066x\u2069 \u200f\u200e\u061c",
        ["marks, joiners and blanks"] = "e\u0301 \u00e9 \ufeff\u200b\u200d\u00ad\u2028\u2029\u3000",
        ["four bytes"] = "\U0001f469\u200d\U0001f680 \U00020000 \U000e0001",
        ["SQL, COPY and formats"] = "'; DROP TABLE note; -- \"\\ \\N \\. %s {0} $1 :x @y \\u0000 \\x00",
    };

    public static string Of(string kind) => ByKind[kind];
}
