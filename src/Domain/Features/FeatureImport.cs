namespace RouteService.Domain.Features;

/// <summary>How features are imported.</summary>
/// <param name="Replace">True to remove all other features; false to keep them.</param>
/// <param name="RequestId">
/// As for <see cref="FeatureWrite"/>: a repeat imports nothing, and has the summary of the import. Null for none.
/// </param>
public sealed record FeatureImport(bool Replace, Guid? RequestId = null)
{
    // Unlike the kinds of a write.
    private const byte Kind = 4;

    /// <summary>
    /// As <see cref="FeatureWrite.Fingerprint"/>: the same for a repeat of this import, and almost surely another one for other requests.
    /// </summary>
    public uint Fingerprint => Checksum.Crc32C([Kind, Replace ? (byte)1 : (byte)0]);

    /// <summary>Checks a repeat.</summary>
    /// <param name="fingerprint">That of the request with this id.</param>
    /// <exception cref="InvalidValueException">The id is that of another request.</exception>
    public void CheckRepeat(uint fingerprint)
    {
        if (fingerprint != Fingerprint)
        {
            throw FeatureWrite.IdTaken(RequestId);
        }
    }
}

/// <summary>Result of an import.</summary>
/// <param name="Read">Records read.</param>
/// <param name="Superseded">Records that a later record of the same import at the same location replaced.</param>
/// <param name="Overwritten">Earlier features that a record replaced; 0 if all earlier features were removed.</param>
/// <param name="Total">Features in the store afterwards.</param>
public sealed record ImportSummary(long Read, long Superseded, long Overwritten, long Total);
