using Grpc.Core;
using static RouteService.Client.Tests.Places;

namespace RouteService.Client.Tests;

/// <summary>Listings of more features than fit where the first are remembered.</summary>
public sealed class LongListingTests
{
    [Theory]
    [InlineData(1_023)]
    [InlineData(1_024)]
    [InlineData(1_025)]
    [InlineData(3_072)]
    [InlineData(140_000)]
    public async Task One_that_breaks_twice_goes_on_with_no_feature_twice_and_none_missing(int at)
    {
        var count = at + 2_000;
        await using var service = await BreakAsync(at, count, breaks: 2);
        await using var client = Connect(service.Address);

        var features = await ToListAsync(client.ListFeaturesAsync(BoundingBox.World));

        Assert.Equal(count, features.Count);
        Assert.Equal(count, features.Select(static feature => feature.Location).ToHashSet().Count);
        Assert.Equal(3, service.Script.Calls);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1_024)]
    [InlineData(2_000)]
    public async Task As_many_are_remembered_as_is_allowed_and_beyond_it_none(int allowed)
    {
        await using var within = await BreakAsync(allowed, count: 4_000, breaks: 1);
        await using var beyond = await BreakAsync(allowed + 1, count: 4_000, breaks: 1);
        await using var patient = Connect(within.Address, options => options with { MaxResumableFeatures = allowed });
        await using var client = Connect(beyond.Address, options => options with { MaxResumableFeatures = allowed });

        Assert.Equal(4_000, (await ToListAsync(patient.ListFeaturesAsync(BoundingBox.World))).Count);
        var error = await Assert.ThrowsAsync<RouteServiceException>(() => ToListAsync(client.ListFeaturesAsync(BoundingBox.World)));
        Assert.Equal((FailureReason.CannotResume, allowed + 1L), (error.Reason, error.Delivered));
    }

    /// <summary>A service whose first listings end after so many features, the later of them with other ones first.</summary>
    private static Task<ScriptedService> BreakAsync(int at, int count, int breaks) => ScriptedService.StartAsync(new Script
    {
        ListFeatures = async (stream, _, call) =>
        {
            for (var i = 0; i < (call > breaks ? count : at); i++)
            {
                await stream.WriteAsync(Feature((i + ((call - 1) * 700)) % count));
            }

            if (call <= breaks)
            {
                throw Script.Error(StatusCode.Unavailable);
            }
        },
    });
}
