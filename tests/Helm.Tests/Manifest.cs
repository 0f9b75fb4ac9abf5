using System.Text.Json.Nodes;

namespace RouteService.Helm.Tests;

/// <summary>The objects of a release.</summary>
internal sealed class Manifest(IReadOnlyList<JsonObject> objects)
{
    public IReadOnlyList<JsonObject> Objects => objects;

    /// <summary>The pods that it leads to.</summary>
    public IReadOnlyList<Pod> Pods =>
    [
        .. objects.Where(static o => o.Kind() is "Deployment" or "StatefulSet" or "Job").Select(static o => new Pod(o, o.At("spec.template")!.AsObject())),
        .. OfKind("Pod").Select(static o => new Pod(o, o)),
    ];

    public JsonObject Deployment => The("Deployment");

    public static Manifest Parse(string yaml) => new([.. Yaml.ParseAll(yaml)]);

    public IEnumerable<JsonObject> OfKind(string kind) => objects.Where(o => o.Kind() == kind);

    /// <summary>The only one of its kind, or the one of this name.</summary>
    public JsonObject The(string kind, string? name = null) =>
        Assert.Single(OfKind(kind), o => name is null || o.Name() == name);

    /// <summary>What a container is given as its environment, as Kubernetes puts it together.</summary>
    /// <param name="container">The container.</param>
    /// <param name="given">What Secrets, ConfigMaps and the pod's own fields have that are not of this release: by "NAME/KEY", or by a field's path.</param>
    public Dictionary<string, string> Environment(JsonObject container, IReadOnlyDictionary<string, string>? given = null)
    {
        var environment = new Dictionary<string, string>();
        foreach (var source in container.List("envFrom"))
        {
            var name = (source.Text("configMapRef.name") ?? source.Text("secretRef.name"))!;
            foreach (var (key, value) in (OfKind("ConfigMap").Concat(OfKind("Secret")).Single(o => o.Name() == name)["data"] ?? new JsonObject()).AsObject())
            {
                environment[key] = value!.GetValue<string>();
            }
        }

        foreach (var variable in container.List("env"))
        {
            environment[variable.Text("name")!] = variable.At("valueFrom") is { } from ? Resolve(from) : Expand(variable.Text("value") ?? "");
        }

        return environment;

        string Expand(string value) => environment.Aggregate(value, static (text, known) => text.Replace($"$({known.Key})", known.Value, StringComparison.Ordinal));

        string Resolve(JsonNode from)
        {
            if (from.Text("fieldRef.fieldPath") is { } field)
            {
                return given![field];
            }

            var (name, key) = (from.Text("secretKeyRef.name")!, from.Text("secretKeyRef.key")!);
            return OfKind("Secret").FirstOrDefault(o => o.Name() == name)?.At("stringData")?[key]?.GetValue<string>() ?? given![$"{name}/{key}"];
        }
    }
}

/// <summary>A pod, or what makes some.</summary>
/// <param name="Owner">The object that it comes of, or itself.</param>
/// <param name="Template">Its metadata and spec.</param>
internal sealed record Pod(JsonObject Owner, JsonObject Template)
{
    public JsonObject Spec => Template["spec"]!.AsObject();

    public IReadOnlyList<JsonObject> Containers => [.. Spec.List("initContainers"), .. Spec.List("containers")];

    /// <summary>Those of the service's program.</summary>
    public IEnumerable<JsonObject> Ours => Containers.Where(static c => c.Text("name") is "route-service" or "migrate" or "health");

    public string Name => $"{Owner.Kind()}/{Owner.Name()}";
}

internal static class JsonExtensions
{
    public static string Kind(this JsonObject o) => o["kind"]!.GetValue<string>();

    public static string Name(this JsonObject o) => o.Text("metadata.name")!;

    /// <summary>What is at a path of keys; null if it goes nowhere.</summary>
    public static JsonNode? At(this JsonNode o, string path) => path.Split('.').Aggregate((JsonNode?)o, static (node, key) => (node as JsonObject)?[key]);

    public static string? Text(this JsonNode o, string path) => o.At(path)?.GetValue<string>();

    public static long? Number(this JsonNode o, string path) => o.At(path)?.GetValue<long>();

    public static bool? Flag(this JsonNode o, string path) => o.At(path)?.GetValue<bool>();

    public static IEnumerable<JsonObject> List(this JsonNode o, string path) => o.At(path)?.AsArray().Select(static item => item!.AsObject()) ?? [];

    public static IEnumerable<string> Texts(this JsonNode o, string path) => o.At(path)?.AsArray().Select(static item => item!.GetValue<string>()) ?? [];

    public static Dictionary<string, string> Map(this JsonNode o, string path) =>
        o.At(path)?.AsObject().ToDictionary(static pair => pair.Key, static pair => pair.Value!.GetValue<string>()) ?? [];

    public static bool IsHook(this JsonObject o, string hook) =>
        o.Map("metadata.annotations").GetValueOrDefault("helm.sh/hook", "").Split(',').Contains(hook);
}
