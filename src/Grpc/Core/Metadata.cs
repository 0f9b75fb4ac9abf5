using System.Buffers;
using System.Collections;
using System.Text;

namespace Grpc.Core;

/// <summary>The custom headers or trailers of a call, in order; a key may come several times. Keys are compared in lower case.</summary>
internal sealed class Metadata : IList<Metadata.Entry>
{
    /// <summary>A key that ends so has bytes for a value; any other has ASCII text.</summary>
    public const string BinaryHeaderSuffix = "-bin";

    /// <summary>Has nothing in it and takes nothing.</summary>
    public static readonly Metadata Empty = new() { IsReadOnly = true };

    private readonly List<Entry> _entries = [];

    public int Count => _entries.Count;

    public bool IsReadOnly { get; private init; }

    public Entry this[int index]
    {
        get => _entries[index];
        set
        {
            CheckWrite(value);
            _entries[index] = value;
        }
    }

    /// <summary>The last entry of this key, or null.</summary>
    public Entry? Get(string key)
    {
        for (var i = _entries.Count - 1; i >= 0; i--)
        {
            if (string.Equals(_entries[i].Key, key, StringComparison.OrdinalIgnoreCase))
            {
                return _entries[i];
            }
        }

        return null;
    }

    /// <summary>The last value of this key, or null.</summary>
    /// <exception cref="InvalidOperationException">The value is binary.</exception>
    public string? GetValue(string key) => Get(key)?.Value;

    /// <summary>The last value of this binary key, or null.</summary>
    public byte[]? GetValueBytes(string key) => Get(key)?.ValueBytes;

    public IEnumerable<Entry> GetAll(string key) =>
        _entries.Where(entry => string.Equals(entry.Key, key, StringComparison.OrdinalIgnoreCase));

    /// <exception cref="ArgumentException">The key is not of a-z, 0-9, '_', '-', '.', or ends in "-bin".</exception>
    public void Add(string key, string value) => Add(new Entry(key, value));

    /// <exception cref="ArgumentException">The key is not of a-z, 0-9, '_', '-', '.', or does not end in "-bin".</exception>
    public void Add(string key, byte[] valueBytes) => Add(new Entry(key, valueBytes));

    public void Add(Entry item)
    {
        CheckWrite(item);
        _entries.Add(item);
    }

    public void Insert(int index, Entry item)
    {
        CheckWrite(item);
        _entries.Insert(index, item);
    }

    public void RemoveAt(int index)
    {
        CheckWrite();
        _entries.RemoveAt(index);
    }

    public bool Remove(Entry item)
    {
        CheckWrite();
        return _entries.Remove(item);
    }

    public void Clear()
    {
        CheckWrite();
        _entries.Clear();
    }

    public int IndexOf(Entry item) => _entries.IndexOf(item);

    public bool Contains(Entry item) => _entries.Contains(item);

    public void CopyTo(Entry[] array, int arrayIndex) => _entries.CopyTo(array, arrayIndex);

    public IEnumerator<Entry> GetEnumerator() => _entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private void CheckWrite(Entry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        CheckWrite();
    }

    private void CheckWrite()
    {
        if (IsReadOnly)
        {
            throw new InvalidOperationException("Object is read only");
        }
    }

    /// <summary>A key with its value: text, or bytes where the key ends in "-bin".</summary>
    public class Entry
    {
        private static readonly SearchValues<char> KeyCharacters = SearchValues.Create("abcdefghijklmnopqrstuvwxyz0123456789_-.");

        private readonly string? _value;
        private readonly byte[]? _valueBytes;

        public Entry(string key, byte[] valueBytes)
        {
            Key = NormalizeKey(key);
            if (!IsBinary)
            {
                throw new ArgumentException("Key for binary valued metadata entry needs to have suffix indicating binary value.", nameof(key));
            }

            ArgumentNullException.ThrowIfNull(valueBytes);
            _valueBytes = valueBytes.AsSpan().ToArray();
        }

        public Entry(string key, string value)
        {
            Key = NormalizeKey(key);
            if (IsBinary)
            {
                throw new ArgumentException("Key for ASCII valued metadata entry cannot have suffix indicating binary value.", nameof(key));
            }

            ArgumentNullException.ThrowIfNull(value);
            _value = value;
        }

        public string Key { get; }

        public bool IsBinary => Key.EndsWith(BinaryHeaderSuffix, StringComparison.Ordinal);

        /// <summary>The bytes of a binary value, or of the text in UTF-8. A copy.</summary>
        public byte[] ValueBytes => _valueBytes is null ? Encoding.UTF8.GetBytes(_value!) : _valueBytes.AsSpan().ToArray();

        /// <exception cref="InvalidOperationException">The value is binary.</exception>
        public string Value => _value ?? throw new InvalidOperationException("Cannot access string value of a binary metadata entry");

        /// <summary>The bytes without a copy.</summary>
        internal ReadOnlySpan<byte> RawBytes => _valueBytes;

        public override string ToString() => IsBinary
            ? $"[Entry: key={Key}, valueBytes={Convert.ToHexString(_valueBytes!)}]"
            : $"[Entry: key={Key}, value={_value}]";

        private static string NormalizeKey(string key)
        {
            ArgumentNullException.ThrowIfNull(key);
            var normalized = key.ToLowerInvariant();
            if (normalized.Length == 0 || normalized.AsSpan().ContainsAnyExcept(KeyCharacters))
            {
                throw new ArgumentException(
                    $"Metadata entry key '{key}' not valid. Keys can only contain lowercase alphanumeric characters, underscores, hyphens and dots.",
                    nameof(key));
            }

            return normalized;
        }
    }
}
