using System.Net.Sockets;
using System.Text.RegularExpressions;
using Npgsql;
using RouteService.Domain.Features;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Infrastructure.Tests;

/// <summary>Faults are known by type and SQLSTATE. The texts here are in no language, as those of a server may be.</summary>
public sealed class PostgisErrorsTests
{
    [Theory]
    [InlineData("57P01", "Reconnect")]
    [InlineData("57P02", "Reconnect")]
    [InlineData("57P03", "Reconnect")]
    [InlineData("57P04", "Reconnect")]
    [InlineData("57P05", "Reconnect")]
    [InlineData("25P03", "Reconnect")]
    [InlineData("25P04", "Reconnect")]
    [InlineData("08000", "Reconnect")]
    [InlineData("08006", "Reconnect")]
    [InlineData("08P01", "Reconnect")]
    [InlineData("40001", "Repeat")]
    [InlineData("40P01", "Repeat")]
    [InlineData("25006", "FindPrimary")]
    [InlineData("0A000", "Prepare")]
    [InlineData("26000", "Prepare")]
    [InlineData("57014", "None")]
    [InlineData("22021", "None")]
    [InlineData("42501", "None")]
    [InlineData("53300", "None")]
    [InlineData("XX000", "None")]
    public void What_is_tried_again_depends_on_the_state(string state, string remedy) =>
        Assert.Equal(remedy, PostgisErrors.RemedyOf(Answer(state)).ToString());

    [Fact]
    public void A_socket_that_fails_is_a_lost_connection_and_a_time_out_is_none()
    {
        Assert.Equal(Remedy.Reconnect, PostgisErrors.RemedyOf(new NpgsqlException("?", new EndOfStreamException())));
        Assert.Equal(Remedy.Reconnect, PostgisErrors.RemedyOf(new NpgsqlException("?", new SocketException(104))));
        Assert.Equal(Remedy.None, PostgisErrors.RemedyOf(new NpgsqlException("?", new TimeoutException())));
        Assert.Equal(Remedy.None, PostgisErrors.RemedyOf(new NpgsqlException("?")));
    }

    [Theory]
    [InlineData("57014", StoreFailure.TooSlow)]
    [InlineData("55P03", StoreFailure.TooSlow)]
    [InlineData("53300", StoreFailure.Overloaded)]
    [InlineData("53200", StoreFailure.Overloaded)]
    [InlineData("53100", StoreFailure.Unreachable)]
    [InlineData("22021", StoreFailure.Refused)]
    [InlineData("22P05", StoreFailure.Refused)]
    [InlineData("22003", StoreFailure.Refused)]
    [InlineData("23502", StoreFailure.Refused)]
    [InlineData("23514", StoreFailure.Refused)]
    [InlineData("P0001", StoreFailure.Refused)]
    [InlineData("44000", StoreFailure.Refused)]
    [InlineData("38000", StoreFailure.Refused)]
    [InlineData("54000", StoreFailure.Refused)]
    [InlineData("25006", StoreFailure.Unreachable)]
    [InlineData("08P01", StoreFailure.Unreachable)]
    [InlineData("25P03", StoreFailure.Unreachable)]
    [InlineData("28P01", StoreFailure.Unreachable)]
    [InlineData("3D000", StoreFailure.Unreachable)]
    [InlineData("42P01", StoreFailure.Unreachable)]
    [InlineData("XX001", StoreFailure.Unreachable)]
    [InlineData("99999", StoreFailure.Unreachable)]
    public void Each_state_has_its_failure_and_a_sentence_of_ours(string state, StoreFailure failure)
    {
        var told = PostgisErrors.Unavailable(Answer(state));

        Assert.Equal(failure, told.Failure);
        Assert.Matches("^The .+[.]$", told.Message);
        Assert.DoesNotContain("SELECT", told.Message);
    }

    [Fact]
    public void A_connection_that_is_not_opened_in_time_is_a_full_pool_only_where_the_pool_is_full()
    {
        var timeout = new NpgsqlException("?", new TimeoutException());
        var hosts = new NpgsqlException("?", new AggregateException(new NpgsqlException("?", new SocketException(111)), timeout));

        foreach (var fault in (NpgsqlException[])[timeout, hosts])
        {
            Assert.Equal(StoreFailure.Overloaded, PostgisErrors.NotOpened(fault, inUse: 20, maximum: 20).Failure);
            Assert.Equal(StoreFailure.Unreachable, PostgisErrors.NotOpened(fault, inUse: 19, maximum: 20).Failure);
        }

        Assert.Equal(StoreFailure.TooSlow, PostgisErrors.Unavailable(timeout).Failure);
    }

    /// <summary>PgBouncer's words, which are in no other language: it has one code for all it says.</summary>
    [Theory]
    [InlineData("no more connections allowed (max_client_conn)", StoreFailure.Overloaded)]
    [InlineData("no more connections allowed", StoreFailure.Overloaded)]
    [InlineData("query_wait_timeout", StoreFailure.Overloaded)]
    [InlineData("server conn crashed?", StoreFailure.Unreachable)]
    [InlineData("pgbouncer cannot connect to server", StoreFailure.Unreachable)]
    [InlineData("unsupported startup parameter: search_path", StoreFailure.Unreachable, false)]
    public void What_a_pooler_says_is_told_from_a_lost_server(string words, StoreFailure failure, bool isLost = true)
    {
        var answer = new PostgresException(words, "FATAL", "FATAL", "08P01");

        Assert.Equal(failure, PostgisErrors.NotOpened(answer, inUse: 0, maximum: 20).Failure);
        Assert.Equal(failure, PostgisErrors.Unavailable(answer).Failure);
        Assert.Equal(failure is StoreFailure.Overloaded || !isLost ? Remedy.None : Remedy.Reconnect, PostgisErrors.RemedyOf(answer));
    }

    /// <summary>Of a code its own row counts, then that of its class, then the last.</summary>
    [Fact]
    public void The_runbook_has_every_state_as_it_is()
    {
        var rows = Regex.Matches(Runbook(), @"^\| (.*(?:\d\d…|\b[0-9A-Z]{5}\b).*|any other) \| .* \| (.+) \| ([A-Z_]+).* \|$", RegexOptions.Multiline)
            .Select(static row => (States: row.Groups[1].Value, IsTriedAgain: !row.Groups[2].Value.StartsWith("no", StringComparison.Ordinal), Status: row.Groups[3].Value))
            .ToList();
        Assert.True(rows.Count > 10);
        var states = typeof(PostgresErrorCodes).GetFields().Select(static field => (string)field.GetRawConstantValue()!).Concat(["57P05", "25P03", "25P04"]).ToList();
        Assert.True(states.Count > 200);

        // Successes and warnings are no faults.
        foreach (var state in states.Where(static state => state[..2] is not ("00" or "01" or "02")))
        {
            var ofCode = rows.Where(row => row.States.Contains(state) && !row.States.Contains('`'));
            var ofClass = rows.Where(row => row.States.Contains($"{state[..2]}…"));
            var row = ofCode.Concat(ofClass).Append(rows[^1]).First();

            Assert.Equal((state, row.Status, row.IsTriedAgain), (state, StatusOf(Answer(state)), PostgisErrors.RemedyOf(Answer(state)) is not Remedy.None));
        }

        var poolers = rows.SelectMany(static row => Regex.Matches(row.States, "`([^`]+)`").Select(match => (Words: match.Groups[1].Value, Row: row))).ToList();
        Assert.Equal(3, poolers.Count);
        foreach (var (words, row) in poolers)
        {
            var answer = new PostgresException(words, "FATAL", "FATAL", "08P01");
            Assert.Equal((row.Status, row.IsTriedAgain), (StatusOf(answer), PostgisErrors.RemedyOf(answer) is not Remedy.None));
        }

        static string StatusOf(PostgresException answer) => PostgisErrors.Unavailable((Exception)answer).Failure switch
        {
            StoreFailure.Overloaded => "RESOURCE_EXHAUSTED",
            StoreFailure.TooSlow => "DEADLINE_EXCEEDED",
            StoreFailure.Refused => "INVALID_ARGUMENT",
            _ => "UNAVAILABLE",
        };

        static string Runbook()
        {
            var root = AppContext.BaseDirectory;
            while (!File.Exists(Path.Combine(root, "RouteService.sln")))
            {
                root = Path.GetDirectoryName(root)!;
            }

            return File.ReadAllText(Path.Combine(root, "docs", "operations", "runbooks.md"));
        }
    }

    [Fact]
    public void What_EF_Core_takes_for_transient_is_found_in_its_wrapping()
    {
        var fault = Answer("57P01");

        Assert.Same(fault, PostgisErrors.FaultIn(new InvalidOperationException("?", fault)));
        Assert.Same(fault, PostgisErrors.FaultIn(fault));
        Assert.Null(PostgisErrors.FaultIn(new InvalidOperationException("?")));
    }

    private static PostgresException Answer(string state) => new("¿SELECT?", "¡!", "ERROR", state);
}
