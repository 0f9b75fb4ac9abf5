using System.Runtime.CompilerServices;
using System.Threading.Channels;
using RouteService.Domain.Chat;
using RouteService.Domain.Features;
using RouteService.Domain.Geography;

namespace RouteService.Domain.Tests;

/// <summary>A log in memory that several chats can share, as replicas share a database, and that can be away.</summary>
internal sealed class MemoryNoteLog : INoteLog
{
    private readonly Lock _gate = new();
    private readonly List<(LoggedNote Note, DateTimeOffset Time)> _notes = [];
    private readonly List<Channel<bool>> _listeners = [];
    private long _head;
    private int _readsOfPlaces;

    /// <summary>While true every call fails.</summary>
    public bool IsAway { get; set; }

    /// <summary>A message that the log cannot store.</summary>
    public string? Refused { get; init; }

    /// <summary>The message of notes that are dropped, as by a trigger.</summary>
    public string? Dropped { get; init; }

    /// <summary>While not null an append waits for it.</summary>
    public Task? Hold { get; set; }

    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Whether others are told of appends; else they are to find out when they look.</summary>
    public bool Notifies { get; init; } = true;

    public List<int> Batches { get; } = [];

    /// <summary>Reads of what a chat has not had in memory.</summary>
    public int ReadsOfPlaces => _readsOfPlaces;

    public List<LoggedNote> All
    {
        get
        {
            lock (_gate)
            {
                return [.. _notes.Select(each => each.Note)];
            }
        }
    }

    public async Task<IReadOnlyList<LoggedNote>> AppendAsync(IReadOnlyList<NewNote> notes, CancellationToken cancellationToken)
    {
        await (Hold ?? Task.CompletedTask);
        ThrowIfAway();
        lock (_gate)
        {
            Batches.Add(notes.Count);
            if (notes.Any(note => note.Note.Message == Refused))
            {
                throw new StoreUnavailableException("refused", StoreFailure.Refused);
            }

            var kept = notes.Select(note =>
            {
                _head++;
                if (note.Id is not null && _notes.Find(each => each.Note.Id == note.Id) is { Note.Sequence: > 0 } there)
                {
                    return there.Note;
                }

                if (note.Note.Message == Dropped)
                {
                    return default;
                }

                var added = new LoggedNote(_head, note.Author, note.Note, note.Id);
                _notes.Add((added, Clock.GetUtcNow()));
                return added;
            }).ToList();
            foreach (var listener in Notifies ? _listeners : [])
            {
                listener.Writer.TryWrite(true);
            }

            return kept;
        }
    }

    public Task<long> ReadHeadAsync(CancellationToken cancellationToken)
    {
        ThrowIfAway();
        lock (_gate)
        {
            return Task.FromResult(_head);
        }
    }

    public Task<IReadOnlyList<LoggedNote>> ReadAfterAsync(long after, int limit, CancellationToken cancellationToken) =>
        Task.FromResult(Read(note => note.Sequence > after, notes => notes.Take(limit)));

    public Task<IReadOnlyList<LoggedNote>> ReadAfterAsync(
        IReadOnlyCollection<Coordinate> places, long after, int limit, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _readsOfPlaces);
        return Task.FromResult(Read(note => places.Contains(note.Note.Location) && note.Sequence > after, notes => notes.Take(limit)));
    }

    public Task<IReadOnlyList<LoggedNote>> ReadBeforeAsync(
        IReadOnlyCollection<Coordinate> places, long before, int limit, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _readsOfPlaces);
        return Task.FromResult(Read(note => places.Contains(note.Note.Location) && note.Sequence < before, notes => notes.TakeLast(limit)));
    }

    public Task<int> RemoveAsync(TimeSpan age, int limit, CancellationToken cancellationToken)
    {
        ThrowIfAway();
        lock (_gate)
        {
            var old = _notes.Take(limit).Count(each => each.Time < Clock.GetUtcNow() - age);
            _notes.RemoveRange(0, old);
            return Task.FromResult(old);
        }
    }

    public Task CheckWritableAsync(CancellationToken cancellationToken)
    {
        ThrowIfAway();
        return Task.CompletedTask;
    }

    public async IAsyncEnumerable<bool> ListenAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ThrowIfAway();
        var channel = Channel.CreateUnbounded<bool>();
        lock (_gate)
        {
            _listeners.Add(channel);
        }

        yield return true;
        await foreach (var hint in channel.Reader.ReadAllAsync(cancellationToken))
        {
            ThrowIfAway();
            yield return hint;
        }
    }

    private IReadOnlyList<LoggedNote> Read(Func<LoggedNote, bool> which, Func<IEnumerable<LoggedNote>, IEnumerable<LoggedNote>> part)
    {
        ThrowIfAway();
        lock (_gate)
        {
            return [.. part(_notes.Select(each => each.Note).Where(which))];
        }
    }

    private void ThrowIfAway()
    {
        if (IsAway)
        {
            throw new StoreUnavailableException("away");
        }
    }
}
