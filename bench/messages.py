"""The messages of route_guide.proto in protobuf's encoding, as gRPC sends them, and sets of features to fill a store with."""
import json
import random
import struct

# Degrees times ten million, as the contract has them.
MAX_LATITUDE, MAX_LONGITUDE = 900_000_000, 1_800_000_000


def frame(message):
    """A message as gRPC sends it: not compressed, its length, itself."""
    return struct.pack(">BI", 0, len(message)) + message


def note(latitude, longitude, number):
    """RouteNote{location{latitude, longitude}, message}."""
    return field(1, point(latitude, longitude)) + field(2, b"Note %09d" % number)


def rectangle(south, west, north, east):
    """Rectangle{lo{latitude, longitude}, hi{latitude, longitude}}."""
    return field(1, point(south, west)) + field(2, point(north, east))


def point(latitude, longitude):
    """Point{latitude, longitude}; fields of zero are not sent."""
    return b"".join(tag + varint(value) for tag, value in ((b"\x08", latitude), (b"\x10", longitude)) if value)


def sint_point(latitude, longitude):
    """Point{latitude_e7, longitude_e7} of routeservice.v1."""
    return b"".join(tag + varint(value << 1 ^ value >> 63) for tag, value in ((b"\x08", latitude), (b"\x10", longitude)) if value)


def greeting(name):
    """HelloRequest{name} of helloworld.proto."""
    return field(1, name.encode())


def field(number, content):
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value):
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def fields(message):
    """The fields of a message that are messages, texts and bytes: pairs of number and content. Its other fields must be floats or doubles."""
    at = 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            value |= (message[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if message[at - 1] < 0x80:
                return value

    while at < len(message):
        tag = read()
        if tag & 7 == 2:
            size = read()
            yield tag >> 3, message[at:at + size]
        else:
            size = {1: 8, 5: 4}[tag & 7]
        at += size


WORLD = rectangle(-MAX_LATITUDE, -MAX_LONGITUDE, MAX_LATITUDE, MAX_LONGITUDE)


def write_body(path, *messages):
    """A request body for h2rg."""
    path.write_bytes(b"".join(map(frame, messages)))
    return path


def shuffled(messages):
    """The same messages in another order, always the same one: servers that search their lists from the start find what is early sooner."""
    messages = list(messages)
    random.Random(1).shuffle(messages)
    return messages


def synthetic_features(count):
    """Tuples of (latitude, longitude, name), always the same: spread evenly over the grid of coordinates, every 16th without a name."""
    dice = random.Random(42)
    places = {}
    while len(places) < count:
        place = dice.randint(-MAX_LATITUDE, MAX_LATITUDE), dice.randint(-MAX_LONGITUDE, MAX_LONGITUDE)
        i = len(places)
        places.setdefault(place, "" if i % 16 == 15 else f"Feature {i:07}, Synthetic Road, Testville")
    return [(latitude, longitude, name) for (latitude, longitude), name in places.items()]


def write_features(path, features):
    """A file of features in the format of the tutorials' route_guide_db.json."""
    records = [{"location": {"latitude": latitude, "longitude": longitude}, "name": name} for latitude, longitude, name in features]
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def write_csv(path, features):
    """A file of features for the import, in degrees."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("name,latitude,longitude\n")
        file.writelines(f'"{name}",{degrees(latitude)},{degrees(longitude)}\n' for latitude, longitude, name in features)


def degrees(e7):
    return f"{'-' if e7 < 0 else ''}{abs(e7) // 10**7}.{abs(e7) % 10**7:07}"
