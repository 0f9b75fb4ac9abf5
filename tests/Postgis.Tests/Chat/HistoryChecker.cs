using RouteService.Domain.Chat;
using RouteService.Domain.Geography;

namespace RouteService.Postgis.Tests.Chat;

/// <summary>
/// Checks the guarantees of RouteChat against the notes that clients have received and the log at the end: each note is in the log once and as it was sent; at
/// each location every stream has the log's notes in the log's order, none missing and none repeated; a stream that resumes continues exactly where the one before
/// it ended. The service must have no bound on the history of a location.
/// </summary>
internal sealed class HistoryChecker
{
    private readonly List<string> _violations = [];
    private readonly Dictionary<long, LoggedNote> _log = [];
    private readonly Dictionary<Coordinate, List<LoggedNote>> _places = [];

    private HistoryChecker(IEnumerable<LoggedNote> log)
    {
        var ids = new HashSet<string>();
        foreach (var note in log)
        {
            Expect(_log.TryAdd(note.Sequence, note), $"the log has the sequence {note.Sequence} twice");
            Expect(note.Id is null || ids.Add(note.Id), $"the log has the note {note.Id} twice");
            if (!_places.TryGetValue(note.Note.Location, out var notes))
            {
                _places.Add(note.Note.Location, notes = []);
            }

            Expect(notes.Count == 0 || notes[^1].Sequence < note.Sequence, $"the log is not in order at {note.Sequence}");
            notes.Add(note);
        }
    }

    /// <returns>The violations, in sentences.</returns>
    public static List<string> Check(IEnumerable<LoggedNote> log, IEnumerable<ClientHistory> clients, IEnumerable<PublishedStream> published)
    {
        var checker = new HistoryChecker(log);
        foreach (var (client, streams) in clients)
        {
            checker.CheckClient(client, streams);
        }

        foreach (var stream in published)
        {
            checker.CheckPublished(stream);
        }

        return checker._violations;
    }

    private void CheckClient(string client, IReadOnlyList<SequencedStream> streams)
    {
        // The sequence up to which the client has received each location.
        var sentUpTo = new Dictionary<Coordinate, long>();
        foreach (var (i, stream) in streams.Index())
        {
            var name = $"{client}, stream {i + 1}";
            foreach (var place in stream.Listen)
            {
                if (sentUpTo.TryGetValue(place, out var upTo))
                {
                    var missed = NotesAt(place).FirstOrDefault(note => note.Sequence > upTo && note.Sequence <= stream.After);
                    Expect(missed.Sequence == 0, $"{name} resumes behind {stream.After}, and {missed.Sequence} had not come before");
                }
            }

            foreach (var (place, notes) in CheckOrder(name, stream))
            {
                var isListening = stream.Listen.Contains(place);
                CheckComplete(name, notes, NotesAt(place).SkipWhile(note => isListening && note.Sequence <= stream.After));
                sentUpTo[place] = Math.Max(sentUpTo.GetValueOrDefault(place), notes[^1].Sequence);
            }

            foreach (var place in stream.Listen)
            {
                sentUpTo[place] = Math.Max(sentUpTo.GetValueOrDefault(place), stream.After ?? 0);
            }
        }
    }

    /// <summary>
    /// The notes of a stream by location, without the acknowledgements of repeated posts, which may be outside of the order. No note is below the highest so far,
    /// because the client may resume there, except the earlier notes of a location that a post joins, until one of them is the highest.
    /// </summary>
    private Dictionary<Coordinate, List<LoggedNote>> CheckOrder(string name, SequencedStream stream)
    {
        var notesByPlace = new Dictionary<Coordinate, List<LoggedNote>>();
        var received = new HashSet<long>();
        var joined = stream.Listen.ToHashSet();
        var highest = stream.After ?? 0;
        foreach (var note in stream.Received)
        {
            var (sequence, place) = (note.Sequence, note.Note.Location);
            if (!_log.TryGetValue(sequence, out var logged) || logged with { Author = default } != note)
            {
                Expect(false, $"{name} was sent {note}, and the log has {logged}");
                continue;
            }

            Expect(received.Add(sequence), $"{name} was sent {sequence} twice");
            var isBehind = (joined.Contains(place) && sequence <= highest) || (notesByPlace.TryGetValue(place, out var notes) && sequence <= notes[^1].Sequence);
            if (isBehind)
            {
                Expect(stream.Posted.Contains(note.Id!), $"{name} was sent {sequence} after {highest}");
                continue;
            }

            if (!notesByPlace.TryGetValue(place, out notes))
            {
                notesByPlace.Add(place, notes = []);
            }

            notes.Add(note);
            if (sequence > highest)
            {
                highest = sequence;
                joined.Add(place);
            }
        }

        return notesByPlace;
    }

    private void CheckPublished(PublishedStream stream)
    {
        var due = NotesAt(stream.Place).Where(note => note.Note.Message != stream.Posted).ToList();
        Expect(
            stream.Received.Count == 0 || due.Count < NotesAt(stream.Place).Count,
            $"the published stream of {stream.Posted} was answered, and the log does not have its note");
        Expect(
            stream.Received.SequenceEqual(due.Take(stream.Received.Count).Select(static note => note.Note)),
            $"the published stream of {stream.Posted} was not sent the first {stream.Received.Count} notes of its place in their order");
    }

    private void CheckComplete(string name, List<LoggedNote> notes, IEnumerable<LoggedNote> due)
    {
        foreach (var (note, next) in notes.Zip(due))
        {
            if (note.Sequence != next.Sequence)
            {
                Expect(false, $"{name} was sent {note.Sequence} without {next.Sequence}");
                return;
            }
        }
    }

    private List<LoggedNote> NotesAt(Coordinate place) => _places.GetValueOrDefault(place) ?? [];

    private void Expect(bool isSo, string violation)
    {
        if (!isSo)
        {
            _violations.Add(violation);
        }
    }
}
