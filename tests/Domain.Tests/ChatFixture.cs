using System.Diagnostics.Metrics;
using RouteService.Domain.Chat;

namespace RouteService.Domain.Tests;

/// <summary>The chat of one replica over a log, as the service composes it.</summary>
internal sealed class ChatFixture : IAsyncDisposable
{
    private readonly RouteChat _chat;

    public ChatFixture(INoteLog log, ChatOptions? options = null, TimeProvider? clock = null)
    {
        options ??= new ChatOptions();
        clock ??= TimeProvider.System;
        var metrics = CreateMetrics();
        Feed = new NoteFeed(log, options, metrics);
        Writer = new NoteWriter(log, Feed, options, clock, metrics);
        _chat = new RouteChat(Feed, Writer, options, clock, metrics);
    }

    public NoteFeed Feed { get; }

    public NoteWriter Writer { get; }

    public static ChatMetrics CreateMetrics() => new(new Meters());

    public ChatStream Join(ChatJoin join) => _chat.Join(join);

    public async ValueTask DisposeAsync()
    {
        await Writer.DisposeAsync();
        Feed.Dispose();
    }

    private sealed class Meters : IMeterFactory
    {
        public Meter Create(MeterOptions options) => new(options);

        public void Dispose()
        {
        }
    }
}
