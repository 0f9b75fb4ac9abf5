namespace RouteService.Infrastructure.Import;

/// <summary>Where in a file its reader is, and how errors say so.</summary>
internal sealed class FilePosition(string file)
{
    /// <summary>The record that is read, from 1; 0 in the header.</summary>
    public long Record { get; set; }

    /// <summary>The line where it begins, from 1.</summary>
    public long Line { get; set; }

    /// <summary>An error of this record.</summary>
    public FeatureFileException Error(string reason, Exception? cause = null) =>
        Record == 0 ? FileError(reason, cause) : new FeatureFileException($"{file}, record {Record} (line {Line}): {reason}", cause);

    /// <summary>An error of the whole file.</summary>
    public FeatureFileException FileError(string reason, Exception? cause = null) => new($"{file}: {reason}", cause);
}
