using System.Reflection;
using Google.Protobuf.Reflection;
using Grpc.Core;

namespace Grpc.AspNetCore.Server.Reflection;

/// <summary>The proto files of the services served, with all they import, by file name, symbol and extension.</summary>
internal sealed class DescriptorIndex
{
    private readonly Dictionary<string, FileDescriptor> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, FileDescriptor> _symbols = new(StringComparer.Ordinal);
    // By the full name of the message they extend; every known message is here.
    private readonly Dictionary<string, SortedDictionary<int, FileDescriptor>> _extensions = new(StringComparer.Ordinal);

    private DescriptorIndex(IReadOnlyList<ServiceDescriptor> services)
    {
        Services = [.. services.Select(service => service.FullName).Order(StringComparer.Ordinal)];
        foreach (var service in services)
        {
            Add(service.File);
        }
    }

    /// <summary>The full names of the services, sorted.</summary>
    public IReadOnlyList<string> Services { get; }

    /// <summary>
    /// Of services by their implementations; each has a generated base, beside which protoc puts the descriptor. One that has none, such as one
    /// whose messages are not protobuf's, cannot be told of.
    /// </summary>
    public static DescriptorIndex Of(IEnumerable<Type> serviceTypes) => new([.. serviceTypes
        .Select(static type => type.GetCustomAttribute<BindServiceMethodAttribute>(inherit: true)?.BindType
            .GetProperty("Descriptor", BindingFlags.Public | BindingFlags.Static)?.GetValue(null))
        .OfType<ServiceDescriptor>()]);

    public FileDescriptor? FileByName(string name) => _files.GetValueOrDefault(name);

    public FileDescriptor? FileOfSymbol(string fullName) => _symbols.GetValueOrDefault(fullName.TrimStart('.'));

    public FileDescriptor? FileOfExtension(string containingType, int number) =>
        _extensions.GetValueOrDefault(containingType.TrimStart('.'))?.GetValueOrDefault(number);

    /// <summary>The numbers of a message's known extensions; null where the message is not known.</summary>
    public IEnumerable<int>? ExtensionNumbers(string containingType) =>
        _extensions.GetValueOrDefault(containingType.TrimStart('.'))?.Keys;

    /// <summary>A file and all it imports, each once, the file first.</summary>
    public static IReadOnlyCollection<FileDescriptor> WithImports(FileDescriptor file)
    {
        var found = new List<FileDescriptor> { file };
        for (var i = 0; i < found.Count; i++)
        {
            found.AddRange(found[i].Dependencies.Where(import => !found.Contains(import)).ToArray());
        }

        return found;
    }

    private void Add(FileDescriptor file)
    {
        if (!_files.TryAdd(file.Name, file))
        {
            return;
        }

        foreach (var import in file.Dependencies)
        {
            Add(import);
        }

        foreach (var service in file.Services)
        {
            AddSymbol(service.FullName, file);
            foreach (var method in service.Methods)
            {
                AddSymbol(method.FullName, file);
            }
        }

        foreach (var message in file.MessageTypes)
        {
            Add(message);
        }

        foreach (var enumeration in file.EnumTypes)
        {
            Add(enumeration);
        }

        foreach (var extension in file.Extensions.UnorderedExtensions)
        {
            Add(extension);
        }
    }

    private void Add(MessageDescriptor message)
    {
        AddSymbol(message.FullName, message.File);
        _extensions.TryAdd(message.FullName, []);
        foreach (var field in message.Fields.InDeclarationOrder())
        {
            AddSymbol(field.FullName, message.File);
        }

        foreach (var oneof in message.Oneofs)
        {
            AddSymbol(oneof.FullName, message.File);
        }

        foreach (var nested in message.NestedTypes)
        {
            Add(nested);
        }

        foreach (var enumeration in message.EnumTypes)
        {
            Add(enumeration);
        }

        foreach (var extension in message.Extensions.UnorderedExtensions)
        {
            Add(extension);
        }
    }

    private void Add(EnumDescriptor enumeration)
    {
        AddSymbol(enumeration.FullName, enumeration.File);

        // Protobuf's scope of a value is that of its enum, not the enum, whatever the descriptor's own FullName says.
        var scope = enumeration.FullName[..^enumeration.Name.Length];
        foreach (var value in enumeration.Values)
        {
            AddSymbol(scope + value.Name, enumeration.File);
        }
    }

    private void Add(FieldDescriptor extension)
    {
        AddSymbol(extension.FullName, extension.File);
        Add(extension.ExtendeeType.File);
        _extensions[extension.ExtendeeType.FullName][extension.FieldNumber] = extension.File;
    }

    private void AddSymbol(string fullName, FileDescriptor file) => _symbols.TryAdd(fullName, file);
}
