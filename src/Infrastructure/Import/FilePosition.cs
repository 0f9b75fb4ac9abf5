namespace RouteService.Infrastructure.Import;

/// <summary>Position of a reader in its file, and errors that name it.</summary>
internal sealed class FilePosition(string file)
{
    /// <summary>Number of the current record, from 1; 0 in the header.</summary>
    public long Record { get; set; }

    /// <summary>Line where the record begins, from 1.</summary>
    public long Line { get; set; }

    /// <summary>An error of this record.</summary>
    public FeatureFileException Error(string reason, Exception? cause = null) =>
        Record == 0 ? FileError(reason, cause) : new FeatureFileException($"{file}, record {Record} (line {Line}): {reason}", cause);

    /// <summary>An error of the whole file.</summary>
    public FeatureFileException FileError(string reason, Exception? cause = null) => new($"{file}: {reason}", cause);
}
