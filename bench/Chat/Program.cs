using System.Globalization;
using RouteService.Chat.Bench;

// chat.sh and watch.sh run it. Each measurement prints NAME=NUMBER pairs.
Console.WriteLine(args switch
{
    ["post", var address, var streams, var seconds] => await Posting.RunAsync(address, Number(streams), Time(seconds)),
    ["fan", var writer, var listener, var listeners, var rate, var seconds] =>
        await FanOut.RunAsync(writer, listener, Number(listeners), Number(rate), Time(seconds)),
    ["stall", var address, var listeners, var notes] => await Stalling.RunAsync(address, Number(listeners), Number(notes)),
    ["watch", var writer, var watcher, var callers, var rate, var seconds] =>
        await Watching.RunAsync(writer, watcher, Number(callers), Number(rate), Time(seconds)),
    ["commits", var database, var writers, var seconds] => await Commits.RunAsync(database, Number(writers), Time(seconds)),
    _ => "post ADDRESS STREAMS SECONDS | fan WRITER LISTENER LISTENERS NOTES-A-SECOND SECONDS | stall ADDRESS LISTENERS NOTES | watch WRITER WATCHER CALLERS WRITES-A-SECOND SECONDS"
        + " | commits DATABASE WRITERS SECONDS",
});

static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

static TimeSpan Time(string seconds) => TimeSpan.FromSeconds(Number(seconds));
