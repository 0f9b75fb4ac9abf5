using System.Diagnostics;
using System.Globalization;
using Grpc.Core;
using Grpc.Net.Client;
using static Grpc.Tests.Client.Calls;

namespace Grpc.Tests.Client;

/// <summary>Every kind of call against a server that is not ours: Python's grpcio, which is the gRPC project's own core.</summary>
public sealed class PythonPeerTests
{
    [Fact]
    public async Task A_unary_call_with_metadata_both_ways()
    {
        await using var peer = await PythonPeer.StartAsync();
        using var call = peer.Channel.Unary("grüße", new CallOptions([new("x-text", "plain"), new("x-raw-bin", [0, 1, 255])]));

        Assert.Equal("grüße", await call);
        Assert.Equal("plain", (await call.ResponseHeadersAsync).GetValue("x-initial"));
        Assert.Equal([0, 1, 255], call.GetTrailers().GetValueBytes("x-echo-bin"));
    }

    [Fact]
    public async Task A_status_with_its_message()
    {
        await using var peer = await PythonPeer.StartAsync();

        var failure = await FailureOf(peer.Channel.Unary("fail").ResponseAsync);

        Assert.Equal((StatusCode.NotFound, "no ☕ here"), (failure.StatusCode, failure.Status.Detail));
    }

    [Fact]
    public async Task A_method_that_is_not_there()
    {
        await using var peer = await PythonPeer.StartAsync();
        var method = new Method<string, string>(MethodType.Unary, "tests.Echo", "Nothing", Text, Text);

        var failure = await FailureOf(peer.Channel.CreateCallInvoker().AsyncUnaryCall(method, null, default, "hello").ResponseAsync);

        Assert.Equal(StatusCode.Unimplemented, failure.StatusCode);
    }

    [Fact]
    public async Task A_server_stream_and_its_error_at_the_end()
    {
        await using var peer = await PythonPeer.StartAsync();
        using var whole = peer.Channel.ServerStreaming("2000");
        using var broken = peer.Channel.ServerStreaming("13");

        Assert.Equal(2000, (await whole.ResponseStream.ToListAsync()).Count);
        Assert.Equal("unlucky", (await FailureOf(broken.ResponseStream.ToListAsync())).Status.Detail);
    }

    [Fact]
    public async Task A_client_stream()
    {
        await using var peer = await PythonPeer.StartAsync();
        using var call = peer.Channel.ClientStreaming();

        for (var i = 0; i < 2000; i++)
        {
            await call.RequestStream.WriteAsync(new string('x', i));
        }

        await call.RequestStream.CompleteAsync();

        Assert.Equal("1999000", await call);
    }

    [Fact]
    public async Task A_stream_both_ways_in_turns_and_at_once()
    {
        await using var peer = await PythonPeer.StartAsync();
        using var call = peer.Channel.Duplex();

        for (var i = 0; i < 50; i++)
        {
            await call.RequestStream.WriteAsync(i.ToString(CultureInfo.InvariantCulture));
            Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None).WaitAsync(Patience));
        }

        var rest = call.ResponseStream.ToListAsync();
        for (var i = 0; i < 2000; i++)
        {
            await call.RequestStream.WriteAsync(new string('y', 100));
        }

        await call.RequestStream.CompleteAsync();

        Assert.Equal(2000, (await rest).Count);
    }

    [Fact]
    public async Task Messages_compressed_both_ways()
    {
        await using var peer = await PythonPeer.StartAsync("gzip");
        var text = string.Concat(Enumerable.Repeat("compressible ", 10_000));

        Assert.Equal(text, await peer.Channel.Unary(text, new CallOptions([new("grpc-internal-encoding-request", "gzip")])));
    }

    [Fact]
    public async Task A_deadline_reaches_the_server()
    {
        await using var peer = await PythonPeer.StartAsync();

        var left = await peer.Channel.Unary("time", new CallOptions(deadline: DateTime.UtcNow.AddSeconds(100)));

        Assert.InRange(double.Parse(left, CultureInfo.InvariantCulture), 1, 100);
    }

    [Fact]
    public async Task A_stream_that_is_cancelled_after_its_first_message_and_a_channel_that_goes_on()
    {
        await using var peer = await PythonPeer.StartAsync();
        var method = new Method<string, string>(MethodType.ServerStreaming, "tests.Echo", "Forever", Text, Text);
        using var cancel = new CancellationTokenSource();
        using var call = peer.Channel.CreateCallInvoker().AsyncServerStreamingCall(method, null, new CallOptions(cancellationToken: cancel.Token), "go");
        Assert.True(await call.ResponseStream.MoveNext(CancellationToken.None));

        await cancel.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await FailureOf(call.ResponseStream.ToListAsync())).StatusCode);
        Assert.Equal("still here", await peer.Channel.Unary("still here"));
    }

    /// <summary>The server of python_peer.py, and a channel to it.</summary>
    private sealed class PythonPeer : IAsyncDisposable
    {
        private const string Python = "/usr/bin/python3";

        private readonly Process _process;

        private PythonPeer(Process process, string port)
        {
            _process = process;
            Channel = GrpcChannel.ForAddress($"http://127.0.0.1:{port}");
        }

        public GrpcChannel Channel { get; }

        public static async Task<PythonPeer> StartAsync(params string[] arguments)
        {
            if (!File.Exists(Python))
            {
                Assert.Skip($"{Python} is missing (Debian: apt-get install python3-grpcio).");
            }

            var start = new ProcessStartInfo(Python, [Path.Combine(AppContext.BaseDirectory, "Client", "python_peer.py"), .. arguments])
            {
                UseShellExecute = false,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            var process = Process.Start(start)!;
            if (await process.StandardOutput.ReadLineAsync() is { } port)
            {
                return new PythonPeer(process, port);
            }

            var reason = await process.StandardError.ReadToEndAsync();
            process.Dispose();
            if (reason.Contains("No module named 'grpc'", StringComparison.Ordinal))
            {
                Assert.Skip("Python's grpcio is missing (Debian: apt-get install python3-grpcio).");
            }

            throw new InvalidOperationException(reason);
        }

        public async ValueTask DisposeAsync()
        {
            Channel.Dispose();
            _process.StandardInput.Close();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }
    }
}
