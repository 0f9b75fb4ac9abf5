using System.Globalization;
using RouteService.Client;

// Two travellers leave each other notes; stop the service meanwhile and start it again. Usage: dotnet run --project samples/Chat [ADDRESS [NOTES]]
var address = args is [var given, ..] ? given : "http://localhost:50051";
var notes = args is [_, var count] ? int.Parse(count, CultureInfo.InvariantCulture) : 20;
var place = Coordinate.FromDegrees(40.74399, -74.03236);

// For how long a session tries to go on after its connection is lost.
await using var client = new RouteServiceClient(new RouteServiceClientOptions { Address = address, ResumeWithin = TimeSpan.FromMinutes(5) });

try
{
    // What was left there before is not for them: the newest note's number is where both begin.
    await using var ann = await client.JoinChatAsync([place]);
    var first = await ann.PostAsync(place, "Ann is here.");
    await using var bob = await client.JoinChatAsync([place], after: first.Sequence);

    var reading = ReadAsync();
    for (var i = 1; i <= notes; i++)
    {
        // Completes when the service has committed the note, even if it restarts meanwhile.
        await ann.PostAsync(place, $"Note {i} of {notes}");
        await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
    }

    Console.WriteLine($"Bob has read {await reading} notes, each once and in order.");
    return 0;

    async Task<int> ReadAsync()
    {
        var read = 0;
        await foreach (var note in bob)
        {
            Console.WriteLine($"Bob reads {note.Sequence}: {note.Message}");
            if (note.Message != $"Note {read + 1} of {notes}")
            {
                throw new InvalidOperationException($"Bob should have read note {read + 1}.");
            }

            if (++read == notes)
            {
                break;
            }
        }

        return read;
    }
}
catch (RouteServiceException e)
{
    await Console.Error.WriteLineAsync(e.Message);
    return 1;
}
