using System.Diagnostics;
using System.Globalization;
using Google.Protobuf;
using Grpc.Net.Client;
using RouteService.Contracts.Routeguide;
using RouteService.Runtime.Bench;

// bench/runtime.sh runs it: H2RG [SECONDS ROUNDS]
using var load = new Load(args[0]);
var (seconds, rounds) = args.Length > 2 ? (args[1], int.Parse(args[2], CultureInfo.InvariantCulture)) : ("3", 5);
await using var runtime = await Servers.StartRuntimeAsync();
await using var kestrel = await Servers.StartKestrelAsync();
using var channel = GrpcChannel.ForAddress($"http://{runtime.Address()}");
using var http = new HttpClient { BaseAddress = new Uri($"http://{runtime.Address()}"), Timeout = Timeout.InfiniteTimeSpan };
var client = new RouteGuide.RouteGuideClient(channel);

const int Messages = 100_000;
const int Calls = 200_000;
var point = new Point { Latitude = 403487200, Longitude = -746590500 };
IMessage[] unary = [point];
IMessage[] list = [new Rectangle { Lo = new Point { Latitude = Messages }, Hi = point }];
IMessage[] route = [.. Enumerable.Repeat(point, 10_000)];
var busy = $"-s {seconds} -c 10 -m 10";
var few = $"-s {seconds} -c 2 -m 1";

Console.WriteLine("| | runtime | beside it | ratio |");
Console.WriteLine("|---|---:|---:|---:|");
await CompareAsync(
    "Unary calls/s, 10 connections with 10 calls each; beside: Kestrel alone",
    () => load.RunAsync("rpc_s", "GetFeature", unary, runtime.Address(), busy),
    () => load.RunAsync("rpc_s", "GetFeature", unary, kestrel.Address(), busy));
await CompareAsync(
    "CPU of the server for a unary call, ns; beside: Kestrel alone",
    () => CpuAsync(runtime.Address()),
    () => CpuAsync(kestrel.Address()));
await CompareAsync(
    "Messages/s from the server, 2 streams; beside: Kestrel with a flush for each",
    () => load.RunAsync("msg_s", "ListFeatures", list, runtime.Address(), few),
    () => load.RunAsync("msg_s", "ListFeatures", list, kestrel.Address(), few));
await CompareAsync(
    "Messages/s from the client, 1 stream; beside: HttpClient with a flush for each",
    () => RateAsync(SendRouteAsync),
    () => RateAsync(() => FlushedContent.SendAsync(http, point, Messages)));

Console.WriteLine();
Console.WriteLine("| bytes allocated | server | client |");
Console.WriteLine("|---|---:|---:|");
await AllocatedAsync(
    "a unary call",
    Calls,
    () => load.RunAsync("rpc_s", "GetFeature", unary, runtime.Address(), $"-n {Calls} -c 10 -m 10"),
    async () =>
    {
        await Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
        {
            for (var i = 0; i < Calls / 50; i++)
            {
                await client.GetFeatureAsync(point);
            }
        }));
    });
await AllocatedAsync(
    "a message from server to client",
    20 * Messages,
    () => load.RunAsync("msg_s", "ListFeatures", list, runtime.Address(), "-n 20 -c 2 -m 1"),
    async () =>
    {
        for (var i = 0; i < 20; i++)
        {
            using var call = client.ListFeatures((Rectangle)list[0]);
            while (await call.ResponseStream.MoveNext(CancellationToken.None))
            {
            }
        }
    });
await AllocatedAsync(
    "a message from client to server",
    20 * Messages,
    () => load.RunAsync("sent_s", "RecordRoute", route, runtime.Address(), $"-n {20 * Messages / route.Length} -c 2 -m 1"),
    async () =>
    {
        for (var i = 0; i < 20; i++)
        {
            await SendRouteAsync();
        }
    });

async Task SendRouteAsync()
{
    using var call = client.RecordRoute();
    for (var i = 0; i < Messages; i++)
    {
        await call.RequestStream.WriteAsync(point);
    }

    await call.RequestStream.CompleteAsync();
    if ((await call).PointCount != Messages)
    {
        throw new InvalidOperationException("Messages are missing.");
    }
}

static string Spaced(double number) => number.ToString("N0", CultureInfo.InvariantCulture).Replace(',', ' ');

// Both take turns after a warm-up, so that a slow moment of the machine meets both.
async Task CompareAsync(string label, Func<Task<double>> ours, Func<Task<double>> theirs)
{
    await ours();
    await theirs();
    var (a, b) = (new List<double>(), new List<double>());
    for (var round = 0; round < rounds; round++)
    {
        a.Add(await ours());
        b.Add(await theirs());
    }

    var (median, beside) = (a.Order().ElementAt(rounds / 2), b.Order().ElementAt(rounds / 2));
    Console.WriteLine(FormattableString.Invariant($"| {label} | {Spaced(median)} | {Spaced(beside)} | {median / beside:F2} |"));
}

// The load client is another process.
async Task<double> CpuAsync(string address)
{
    var before = Environment.CpuUsage.TotalTime;
    await load.RunAsync("rpc_s", "GetFeature", unary, address, $"-n {Calls} -c 10 -m 10");
    return (Environment.CpuUsage.TotalTime - before).TotalNanoseconds / Calls;
}

async Task<double> RateAsync(Func<Task> send)
{
    var time = Stopwatch.StartNew();
    var sent = 0;
    while (time.Elapsed.TotalSeconds < double.Parse(seconds, CultureInfo.InvariantCulture))
    {
        await send();
        sent += Messages;
    }

    return sent / time.Elapsed.TotalSeconds;
}

// The load client is another process; ours is in this one, and the server's share is known by then.
async Task AllocatedAsync(string label, int count, Func<Task> byLoadClient, Func<Task> byOurClient)
{
    var server = await OfAsync(byLoadClient);
    var both = await OfAsync(byOurClient);
    Console.WriteLine(FormattableString.Invariant($"| {label} | {Spaced(server)} | {Spaced(both - server)} |"));

    async Task<double> OfAsync(Func<Task> run)
    {
        await run();
        var before = GC.GetTotalAllocatedBytes(precise: true);
        await run();
        return (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)count;
    }
}
