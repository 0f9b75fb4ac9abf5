using System.Buffers.Binary;
using System.Text.RegularExpressions;

namespace RouteService.EndToEnd.Tests;

/// <summary>nghttp2's load client.</summary>
public sealed partial class H2loadTests(RunningService service) : IClassFixture<RunningService>
{
    [Fact]
    public async Task Twenty_thousand_calls_at_a_hundred_at_a_time_all_succeed()
    {
        const string h2load = "/usr/bin/h2load";
        Assert.SkipUnless(File.Exists(h2load), "h2load is missing: apt-get install nghttp2-client");

        // Point{latitude: 403487200, longitude: -746590500}, framed.
        byte[] message = [0x08, .. Varint(403_487_200), 0x10, .. Varint(-746_590_500)];
        var body = new byte[5 + message.Length];
        BinaryPrimitives.WriteInt32BigEndian(body.AsSpan(1), message.Length);
        message.CopyTo(body, 5);
        var file = Path.Combine(service.Folder, "get-feature.bin");
        await File.WriteAllBytesAsync(file, body);

        var load = (await Command.RunAsync(h2load,
        [
            "-n", "20000", "-c", "10", "-m", "10", "-d", file, "-H", "content-type: application/grpc", "-H", "te: trailers",
            $"http://{service.Address}/routeguide.RouteGuide/GetFeature",
        ])).AssertSuccess();

        Assert.Matches("requests: 20000 total, 20000 started, 20000 done, 20000 succeeded, 0 failed, 0 errored, 0 timeout", load.Output);
        Assert.Matches("status codes: 20000 2xx", load.Output);

        // Name, location and the frame around them, for every one.
        var answer = 5 + 2 + "Princeton, New Jersey, US".Length + 2 + message.Length;
        Assert.Equal(20_000 * answer, long.Parse(DataBytes().Match(load.Output).Groups[1].Value));
    }

    private static IEnumerable<byte> Varint(long value)
    {
        var rest = (ulong)value;
        do
        {
            yield return (byte)((rest & 0x7F) | (rest > 0x7F ? 0x80u : 0));
            rest >>= 7;
        }
        while (rest > 0);
    }

    [GeneratedRegex(@"\((\d+)\) data")]
    private static partial Regex DataBytes();
}
