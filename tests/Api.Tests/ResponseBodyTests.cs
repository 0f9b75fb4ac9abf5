using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using RouteService.Api.Hosting;

namespace RouteService.Api.Tests;

/// <summary>The body of a response stream, over a plain stream.</summary>
public sealed class ResponseBodyTests : IDisposable
{
    private readonly MemoryStream _sent = new();
    private readonly ResponseBody _body;

    public ResponseBodyTests() => _body = new ResponseBody(new StreamResponseBodyFeature(_sent));

    public void Dispose() => _sent.Dispose();

    [Fact]
    public async Task What_is_written_in_pieces_of_any_size_arrives_as_it_was_written()
    {
        var chance = new Random(1);
        var written = new List<byte>();
        for (var i = 0; i < 2_000; i++)
        {
            // Now and then more than a block, with and without a hint.
            var piece = new byte[chance.Next(100) == 0 ? chance.Next(300_000) : chance.Next(3_000)];
            chance.NextBytes(piece);
            written.AddRange(piece);
            if (chance.Next(2) == 0)
            {
                piece.CopyTo(_body.GetSpan(piece.Length));
                _body.Advance(piece.Length);
            }
            else
            {
                _body.Write(piece);
            }

            if (chance.Next(20) == 0)
            {
                await _body.FlushAsync(TestContext.Current.CancellationToken);
                Assert.Equal(written.Count, _sent.Length);
            }
        }

        await _body.FlushAsync(TestContext.Current.CancellationToken);
        Assert.Equal(written, _sent.ToArray());
    }

    [Fact]
    public async Task The_end_of_the_response_beside_a_writer_does_not_touch_what_it_writes()
    {
        var room = _body.GetMemory(10);
        await _body.CompleteAsync();
        room.Span[..10].Fill(1);
        _body.Advance(10);
        Assert.Equal((10, 0), (_body.UnflushedBytes, _sent.Length));
    }
}
