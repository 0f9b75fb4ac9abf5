namespace RouteService.Infrastructure;

/// <summary>Looks at a file before it is opened: a pipe would wait for its other end, and a device may be endless.</summary>
public static class RegularFile
{
    /// <summary>Whether the path, or the link there, leads to a regular file that is not empty.</summary>
    public static bool HasContent(string path)
    {
        var file = new FileInfo(path);
        return ((FileInfo)(file.ResolveLinkTarget(returnFinalTarget: true) ?? file)) is { Exists: true, Length: > 0 };
    }
}
