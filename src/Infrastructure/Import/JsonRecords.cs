using System.Text.Json;

namespace RouteService.Infrastructure.Import;

/// <summary>
/// The records of a JSON stream: the elements of an array, those of a FeatureCollection's <c>features</c>, or values one after the other.
/// One record is in memory at a time.
/// </summary>
internal sealed class JsonRecords(Stream utf8, bool hasSeparators, FilePosition position)
{
    // Without a bound, an unclosed bracket would read the whole file into memory.
    private const int MaxRecord = 16 * 1024 * 1024;

    private byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _end;
    private bool _isLast;
    private long _line = 1;
    private JsonReaderState _state = new(new JsonReaderOptions { AllowMultipleValues = true });
    private bool _inCollection;
    private bool _inArray;

    /// <param name="json">The next record; valid until the next call.</param>
    /// <returns>False at the end.</returns>
    public bool TryRead(out ReadOnlyMemory<byte> json)
    {
        position.Record++;
        position.Line = _line;
        try
        {
            while (!TryScan(out json))
            {
                if (_isLast)
                {
                    return false;
                }

                Fill();
            }

            return true;
        }
        catch (InvalidOperationException e)
        {
            throw position.Error(FeatureJson.NotUnicode, e);
        }
    }

    /// <summary>Takes the next record and the tokens before it. False if its end is not in the buffer, or there is none.</summary>
    private bool TryScan(out ReadOnlyMemory<byte> json)
    {
        var reader = new Utf8JsonReader(_buffer.AsSpan(_start, _end - _start), _isLast, _state);
        var start = 0L;
        json = default;
        while (reader.Read())
        {
            if (_inArray && reader.TokenType != JsonTokenType.EndArray)
            {
                start = reader.TokenStartIndex;
                return reader.TrySkip() && TakeRecord(ref reader, start, out json);
            }

            switch (reader.TokenType)
            {
                case JsonTokenType.StartArray:
                case JsonTokenType.EndArray:
                    _inArray = reader.TokenType == JsonTokenType.StartArray;
                    Take(ref reader);
                    break;

                case JsonTokenType.StartObject:
                    // Not taken: an object without features is a record itself.
                    start = reader.TokenStartIndex;
                    break;

                case JsonTokenType.PropertyName:
                    var isFeatures = reader.ValueTextEquals("features"u8);
                    var isCrs = reader.ValueTextEquals("crs"u8);
                    if (!reader.Read())
                    {
                        return false;
                    }

                    if (isFeatures && reader.TokenType == JsonTokenType.StartArray)
                    {
                        _inCollection = _inArray = true;
                    }
                    else if (isCrs)
                    {
                        if (!JsonElement.TryParseValue(ref reader, out var crs))
                        {
                            return false;
                        }

                        FeatureJson.CheckCrs(crs.Value, position);
                    }
                    else if (!reader.TrySkip())
                    {
                        return false;
                    }

                    if (_inCollection)
                    {
                        Take(ref reader);
                    }

                    break;

                case JsonTokenType.EndObject when _inCollection:
                    _inCollection = false;
                    Take(ref reader);
                    break;

                case JsonTokenType.EndObject:
                    return TakeRecord(ref reader, start, out json);

                default:
                    return TakeRecord(ref reader, reader.TokenStartIndex, out json);
            }
        }

        return false;
    }

    private bool TakeRecord(ref Utf8JsonReader reader, long start, out ReadOnlyMemory<byte> json)
    {
        json = _buffer.AsMemory(_start + (int)start, (int)(reader.BytesConsumed - start));
        position.Line = _line + _buffer.AsSpan(_start, (int)start).Count((byte)'\n');
        Take(ref reader);
        return true;
    }

    private void Take(ref Utf8JsonReader reader)
    {
        var taken = (int)reader.BytesConsumed;
        _line += _buffer.AsSpan(_start, taken).Count((byte)'\n');
        _start += taken;
        _state = reader.CurrentState;
        reader = new Utf8JsonReader(_buffer.AsSpan(_start, _end - _start), _isLast, _state);
    }

    private void Fill()
    {
        _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
        (_start, _end) = (0, _end - _start);
        if (_end == _buffer.Length)
        {
            if (_end >= MaxRecord)
            {
                throw position.Error($"the record is longer than {MaxRecord} bytes");
            }

            Array.Resize(ref _buffer, 2 * _buffer.Length);
        }

        var free = _buffer.AsSpan(_end);
        var read = utf8.ReadAtLeast(free, free.Length, throwOnEndOfStream: false);
        _isLast = read < free.Length;
        _end += read;
        if (hasSeparators)
        {
            free.Replace((byte)FeatureJson.RecordSeparator, (byte)' ');
        }
    }
}
