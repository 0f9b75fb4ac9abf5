using RouteService.Api.Errors;

namespace RouteService.Api.Tests;

public sealed class RedactedTests
{
    [Theory]
    [InlineData("https://issuer.example/keys?a=b@c", "https://issuer.example/keys?a=b@c")]
    [InlineData("https://user:s3cret@issuer.example/keys", "https://issuer.example/keys")]
    [InlineData("https://user:s3@cret@issuer.example/keys", "https://issuer.example/keys")]
    [InlineData("https://user:s3cret@issuer.example?a=b@c", "https://issuer.example?a=b@c")]
    public void A_URL_is_shown_without_credentials(string url, string shown)
    {
        Assert.Equal(shown, Redacted.Url(url));
        Assert.Equal($"Neither '{shown}' nor '{shown}' answers.", Redacted.Message($"Neither '{url}' nor '{url}' answers."));
    }

    [Fact]
    public void An_address_without_a_scheme_is_shown_without_credentials() =>
        Assert.Equal("issuer.example:443", Redacted.Url("user:s3@cret@issuer.example:443"));

    [Theory]
    [InlineData("import", "import")]
    [InlineData("--Password=s3=cret", "--Password=…")]
    public void An_argument_is_shown_without_its_value(string argument, string shown) => Assert.Equal(shown, Redacted.Argument(argument));
}
