using Npgsql;
using RouteService.Infrastructure.Postgis;

namespace RouteService.Infrastructure.Tests;

public sealed class PostgresConnectionStringTests
{
    [Fact]
    public void Keywords_are_set_over_the_defaults()
    {
        var settings = PostgresConnectionString.Parse(" Host=db ; username=u;Password=\"a;b=c\";Maximum Pool Size=3;");

        Assert.Equal(("db", "u", "a;b=c", 3, 5), (settings.Host, settings.Username, settings.Password, settings.MaxPoolSize, settings.Timeout));
        Assert.Equal("route-service", settings.ApplicationName);
        Assert.True(settings.NoResetOnClose);
    }

    [Fact]
    public void Gss_encryption_is_off_unless_it_is_asked_for()
    {
        Assert.Equal(GssEncryptionMode.Disable, PostgresConnectionString.Parse("Host=db").GssEncryptionMode);
        Assert.Equal(GssEncryptionMode.Prefer, PostgresConnectionString.Parse("Host=db;GSS Encryption Mode=Prefer").GssEncryptionMode);
        Assert.Equal(GssEncryptionMode.Require, PostgresConnectionString.Parse("postgresql://db/places?gssencmode=require").GssEncryptionMode);
    }

    [Theory]
    [InlineData("postgres://u:p@db/places", "db", 5432, "u", "p", "places")]
    [InlineData("postgresql://u:p@db:6432/places", "db", 6432, "u", "p", "places")]
    [InlineData("POSTGRESQL://db", "db", 5432, null, null, null)]
    [InlineData("postgresql://u@db", "db", 5432, "u", null, null)]
    [InlineData("postgresql://u:a%40b%2Fc%3A%25@db/p%C3%A4ce", "db", 5432, "u", "a@b/c:%", "päce")]
    [InlineData("postgresql://u:a@b:c@db/places", "db", 5432, "u", "a@b:c", "places")]
    [InlineData("postgresql://u:p@[::1]:6432/places", "::1", 6432, "u", "p", "places")]
    [InlineData("postgresql://[fe80::2]/places", "fe80::2", 5432, null, null, "places")]
    [InlineData("postgresql://u:p@db-1,db-2:6432/places", "db-1,db-2:6432", 5432, "u", "p", "places")]
    [InlineData("postgresql:///places?host=%2Fvar%2Frun&user=u&password=p&port=6432", "/var/run", 6432, "u", "p", "places")]
    [InlineData("postgresql://%2Fvar%2Frun/places", "/var/run", 5432, null, null, "places")]
    public void A_uri_is_read(string uri, string host, int port, string? user, string? password, string? database)
    {
        var settings = PostgresConnectionString.Parse(uri);

        Assert.Equal(
            (host, port, user, password, database),
            (settings.Host, settings.Port, settings.Username, settings.Password, settings.Database));
        Assert.Equal("route-service", settings.ApplicationName);
    }

    [Fact]
    public void The_parameters_of_a_uri_are_those_of_libpq_and_of_Npgsql()
    {
        var settings = PostgresConnectionString.Parse(
            "postgresql://db/places?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=7&application_name=a%20b&target_session_attrs=prefer-standby"
            + "&options=-c%20geqo%3Doff&Maximum%20Pool%20Size=4&channel_binding=require&load_balance_hosts=random");

        Assert.Equal((SslMode.VerifyFull, "/ca.pem", 7), (settings.SslMode, settings.RootCertificate, settings.Timeout));
        Assert.Equal(("a b", "-c geqo=off", 4), (settings.ApplicationName, settings.Options, settings.MaxPoolSize));
        Assert.Equal(("prefer-standby", ChannelBinding.Require), (settings.TargetSessionAttributes, settings.ChannelBinding));
        Assert.True(settings.LoadBalanceHosts);
    }

    // "s3cret" and its like stand for what must not be told.
    [Theory]
    [InlineData("Host=db;Root Certificate=/dev/zero", "Root Certificate is empty, or no regular file")]
    [InlineData("Host=db;SSL Certificate=/", "SSL Certificate is empty, or no regular file")]
    [InlineData("postgresql://db/places?sslkey=/dev/null", "SSL Key is empty, or no regular file")]
    [InlineData("Host=db;Passfile=/dev", "Passfile is empty, or no regular file")]
    public void A_file_that_would_be_waited_for_is_refused(string text, string reason) =>
        Assert.Contains(reason, Assert.Throws<ConnectionStringException>(() => PostgresConnectionString.Parse(text)).Message);

    [Theory]
    [InlineData("Host=db;Password=Tops3;cret=5", "Its keyword number 3 is not one of Npgsql's. A value that contains ';'")]
    [InlineData("Host=db;Password=a;s3cret", "Expected KEYWORD=VALUE pairs")]
    [InlineData("s3cret", "Expected KEYWORD=VALUE pairs")]
    [InlineData("Password=\"s3cret", "Expected KEYWORD=VALUE pairs")]
    [InlineData("Host=db;Port=s3cret", "The value of Port does not fit.")]
    [InlineData("Host=db;port=s3cret", "The value of Port does not fit.")]
    [InlineData("Host=db;SSL Mode=s3cret", "The value of S")]
    [InlineData("Host=db;Port=1;Timeout=-s3cret", "The value of Timeout does not fit.")]
    [InlineData("Password=s3cret", "Host is missing.")]
    [InlineData("", "Host is missing.")]
    [InlineData("Host=postgresql://u:s3cret@db/places", "Host is not a host name. A URI is the whole connection string")]
    [InlineData("Host=u:s3cret@db", "Host is not a host name.")]
    [InlineData("host=db port=5432 user=u password=s3cret", "Host contains '='. Expected ';' between KEYWORD=VALUE pairs.")]
    [InlineData("Host=db,Username=u,Password=s3cret", "Host contains '='.")]
    [InlineData("Host=db\nPassword=s3cret", "Host contains '='.")]
    [InlineData("Host=db;Database=places Password=s3cret", "Database contains '='.")]
    [InlineData("Host=db;Username=u&password=s3cret", "Username contains '='.")]
    [InlineData("postgresql://db/places&password=s3cret", "Database contains '='.")]
    [InlineData("postgresql://db,password=s3cret/places", "Host contains '='.")]
    [InlineData("Host=db;Password=s3cret;Multiplexing=true", "Multiplexing=true is not supported: LISTEN, COPY and transactions")]
    [InlineData("Host=db;Password=s3cret;Pooling=false;Multiplexing=true", "Multiplexing=true is not supported: LISTEN, COPY and transactions")]
    [InlineData("Host=db;Minimum Pool Size=30", "Minimum Pool Size is greater than Maximum Pool Size.")]
    [InlineData("postgresql://u:s3cret/1@db/places", "The URI has an '@' after its first '/' or '?'.")]
    [InlineData("postgresql://u:s3cret?@db/places", "The URI has an '@' after its first '/' or '?'.")]
    [InlineData("postgresql://u:s3cret/places", "The URI's port is not a number from 1 to 65535.")]
    [InlineData("postgresql://db:0/places", "The URI's port is not a number from 1 to 65535.")]
    [InlineData("postgresql://db:99999,db-2/places", "The URI's port is not a number from 1 to 65535.")]
    [InlineData("postgresql://db/places?sslmode=disable&s3cret=1", "The URI's parameter number 2 is not known.")]
    [InlineData("postgresql://db/places?connect_timeout=s3cret", "The value of Timeout does not fit.")]
    [InlineData("postgresql://u:s3cret@/places", "Host is missing.")]
    [InlineData("postgresql://db/places?multiplexing=true", "Multiplexing=true is not supported")]
    public void What_cannot_be_used_is_told_without_a_part_of_it(string text, string reason)
    {
        var error = Assert.Throws<ConnectionStringException>(() => PostgresConnectionString.Parse(text));

        Assert.StartsWith(reason, error.Message);
        Assert.DoesNotContain("s3cret", error.ToString());
        Assert.DoesNotContain("Tops3", error.ToString());
        Assert.DoesNotContain("cret", error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }
}
