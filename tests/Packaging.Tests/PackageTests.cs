using System.IO.Compression;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Xml.Linq;

namespace RouteService.Packaging.Tests;

/// <summary>What is in the packages.</summary>
public sealed class PackageTests(Packages packages)
{
    public static TheoryData<string> Ids => [Packages.Contracts, Packages.Client, Packages.Testing];

    [Theory]
    [MemberData(nameof(Ids))]
    public void A_package_has_its_assembly_docs_readme_and_icon_and_nothing_else(string id)
    {
        using var package = packages.Open(id);

        Assert.Equal(
            new[] { "README.md", "icon.png", $"lib/net10.0/{id}.dll", $"lib/net10.0/{id}.xml" }.Order(StringComparer.Ordinal),
            package.Entries.Select(static entry => entry.FullName).Where(static name => !IsOfTheFormat(name)).Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public void A_package_says_what_it_is(string id)
    {
        var metadata = packages.Metadata(id);

        Assert.Equal("Apache-2.0", Value("license"));
        Assert.Equal("expression", metadata.Element(metadata.Name.Namespace + "license")!.Attribute("type")!.Value);
        Assert.Equal("README.md", Value("readme"));
        Assert.Equal("icon.png", Value("icon"));
        Assert.NotEqual("Package Description", Value("description"));
        Assert.NotEmpty(Value("tags"));
        Assert.NotEmpty(Value("authors"));
        Assert.Equal(Packages.RepositoryUrl, metadata.Element(metadata.Name.Namespace + "repository")!.Attribute("url")!.Value);

        string Value(string name) => metadata.Element(metadata.Name.Namespace + name)?.Value ?? "";
    }

    [Fact]
    public void The_contract_depends_on_messages_and_stubs_alone() =>
        Assert.Equal(["Google.Api.CommonProtos", "Google.Protobuf", "Grpc.Core.Api"], Dependencies(Packages.Contracts).Select(static one => one.Id));

    [Fact]
    public void The_client_depends_on_the_contract_of_its_own_version_and_on_the_stock_packages()
    {
        var dependencies = Dependencies(Packages.Client).ToDictionary();

        Assert.Equal(packages.Version, dependencies[Packages.Contracts]);
        Assert.Equal(
            ["Grpc.HealthCheck", "Grpc.Net.Client", "Grpc.StatusProto", "Microsoft.Extensions.Logging.Abstractions", "Microsoft.Extensions.Options.ConfigurationExtensions", "Polly.Core", Packages.Contracts],
            dependencies.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_double_depends_on_the_client_of_its_own_version() =>
        Assert.Equal([(Packages.Client, packages.Version)], Dependencies(Packages.Testing));

    [Theory]
    [InlineData(Packages.Client)]
    [InlineData(Packages.Testing)]
    public void No_public_type_is_of_another_namespace_than_ours_or_the_one_where_registrations_are_looked_for(string id)
    {
        using var reader = ReadAssembly(id);
        var metadata = reader.GetMetadataReader();

        var namespaces = metadata.TypeDefinitions.Select(metadata.GetTypeDefinition)
            .Where(static type => (type.Attributes & TypeAttributes.VisibilityMask) == TypeAttributes.Public)
            .Select(type => metadata.GetString(type.Namespace)).ToHashSet(StringComparer.Ordinal);

        namespaces.ExceptWith([id, "Microsoft.Extensions.DependencyInjection"]);
        Assert.Empty(namespaces);
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public void An_assembly_is_deterministic_and_says_that_it_may_be_trimmed(string id)
    {
        using var reader = ReadAssembly(id);
        var metadata = reader.GetMetadataReader();
        var values = metadata.GetAssemblyDefinition().GetCustomAttributes()
            .Select(handle => metadata.GetBlobReader(metadata.GetCustomAttribute(handle).Value))
            .Select(static blob => System.Text.Encoding.UTF8.GetString(blob.ReadBytes(blob.Length))).ToList();

        Assert.Contains(reader.ReadDebugDirectory(), static entry => entry.Type == DebugDirectoryEntryType.Reproducible);
        Assert.Contains(values, static value => value.Contains("IsTrimmable", StringComparison.Ordinal));
        Assert.Contains(values, static value => value.Contains("IsAotCompatible", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Ids))]
    public void The_symbols_are_portable_and_of_that_assembly(string id)
    {
        using var symbols = packages.Open(id, "snupkg");
        using var pdb = MetadataReaderProvider.FromPortablePdbStream(Bytes(symbols, $"lib/net10.0/{id}.pdb"));
        using var assembly = ReadAssembly(id);

        var codeView = assembly.ReadDebugDirectory().Single(static entry => entry.Type == DebugDirectoryEntryType.CodeView);
        Assert.Equal(assembly.ReadCodeViewDebugDirectoryData(codeView).Guid, new BlobContentId(pdb.GetMetadataReader().DebugMetadataHeader!.Id).Guid);
    }

    [Fact]
    public void Every_public_call_is_documented_in_the_package()
    {
        using var package = packages.Open(Packages.Client);
        var documented = XDocument.Load(Bytes(package, $"lib/net10.0/{Packages.Client}.xml")).Descendants("member").Select(static member => member.Attribute("name")!.Value).ToList();

        Assert.All(
            typeof(Client.IRouteServiceClient).GetMethods().Concat(typeof(Client.IFeatureCatalog).GetMethods()).Where(static method => !method.IsSpecialName)
                .Select(static method => $"M:{method.DeclaringType}.{method.Name}("),
            call => Assert.Contains(documented, name => name.StartsWith(call, StringComparison.Ordinal)));
    }

    private PEReader ReadAssembly(string id)
    {
        using var package = packages.Open(id);
        return new PEReader(Bytes(package, $"lib/net10.0/{id}.dll"));
    }

    private static MemoryStream Bytes(ZipArchive archive, string name)
    {
        var bytes = new MemoryStream();
        using var entry = archive.GetEntry(name)!.Open();
        entry.CopyTo(bytes);
        bytes.Position = 0;
        return bytes;
    }

    private IEnumerable<(string Id, string Version)> Dependencies(string id) => packages.Metadata(id).Descendants()
        .Where(static element => element.Name.LocalName == "dependency")
        .Select(static element => (element.Attribute("id")!.Value, element.Attribute("version")!.Value)).Order();

    /// <summary>Parts of every package (Open Packaging Conventions), and its manifest.</summary>
    private static bool IsOfTheFormat(string name) =>
        name is "_rels/.rels" or "[Content_Types].xml" || name.StartsWith("package/", StringComparison.Ordinal) || name.EndsWith(".nuspec", StringComparison.Ordinal);
}
