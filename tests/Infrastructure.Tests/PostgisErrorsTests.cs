using System.Net.Sockets;
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
    [InlineData("08000", "Reconnect")]
    [InlineData("08006", "Reconnect")]
    [InlineData("08P01", "Reconnect")]
    [InlineData("40001", "Repeat")]
    [InlineData("40P01", "Repeat")]
    [InlineData("25006", "FindPrimary")]
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
    [InlineData("25006", StoreFailure.Unreachable)]
    [InlineData("08P01", StoreFailure.Unreachable)]
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

    [Fact]
    public void A_pooler_that_refuses_a_connection_while_others_work_has_no_more()
    {
        Assert.Equal(StoreFailure.Overloaded, PostgisErrors.NotOpened(Answer("08P01"), inUse: 1, maximum: 20).Failure);
        Assert.Equal(StoreFailure.Unreachable, PostgisErrors.NotOpened(Answer("08P01"), inUse: 0, maximum: 20).Failure);
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
