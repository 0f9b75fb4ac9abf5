using System.Globalization;
using Grpc.Interop;

// Usage: PORT [--tls]. With --tls it makes a certificate for localhost and writes it to interop.pem in the working directory.
if (args is not [var text, ..] || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) || args[1..] is not ([] or ["--tls"]))
{
    await Console.Error.WriteLineAsync("Usage: PORT [--tls]");
    return 2;
}

using var certificate = args.Length > 1 ? TestCertificate.Make() : null;
if (certificate is not null)
{
    await File.WriteAllTextAsync("interop.pem", certificate.ExportCertificatePem());
}

await using var host = InteropHost.Build(port, certificate);
await host.RunAsync();
return 0;
