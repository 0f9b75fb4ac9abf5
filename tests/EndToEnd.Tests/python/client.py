"""Calls a running RouteService as any Python program would. Usage: client.py ADDRESS SCENARIO PLACES.json PROCESS"""
import json
import math
import os
import signal
import sys
import threading
import time
import uuid

import grpc

import hello_service_pb2 as hello
import hello_service_pb2_grpc as hello_grpc
import helloworld_pb2 as helloworld
import helloworld_pb2_grpc as helloworld_grpc
import route_guide_pb2 as rg
import route_guide_pb2_grpc as rg_grpc
from routeservice.v1 import features_pb2 as features_v1
from routeservice.v1 import features_pb2_grpc as features_v1_grpc
from google.rpc import error_details_pb2, status_pb2
import health_pb2

WORLD = rg.Rectangle(
    lo=rg.Point(latitude=-900000000, longitude=-1800000000), hi=rg.Point(latitude=900000000, longitude=1800000000))


def places():
    with open(sys.argv[3], encoding="utf-8") as file:
        return {(p["location"]["latitude"], p["location"]["longitude"]): p["name"] for p in json.load(file)}


def point(latitude, longitude=0):
    return rg.Point(latitude=latitude, longitude=longitude)


def note(latitude, message):
    return rg.RouteNote(location=point(latitude), message=message)


def expect(code, detail, call):
    try:
        answer = call()
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        assert detail in error.details(), error.details()
        return error
    raise AssertionError(f"{code} was expected, and {answer!r} came")


def greeter(channel):
    stub = helloworld_grpc.GreeterStub(channel)
    for name in ("you", "", "Zoë 👋", "x" * 100_000):
        assert stub.SayHello(helloworld.HelloRequest(name=name)).message == f"Hello, {name}!"
        assert stub.SayHelloAgain(helloworld.HelloRequest(name=name)).message == f"Hello again, {name}!"


def hello_service(channel):
    stub = hello_grpc.HelloServiceStub(channel)
    requests = [hello.HelloRequest(greeting=g) for g in "ABC"]
    assert stub.SayHello(requests[0]).reply == "Hello, A!"
    assert [r.reply for r in stub.LotsOfReplies(requests[0])] == [f"Hello, A! ({i})" for i in range(1, 6)]
    assert stub.LotsOfGreetings(iter(requests)).reply == "Hello, A, B, C!"
    assert [r.reply for r in stub.BidiHello(iter(requests))] == ["Hello, A!", "Hello, B!", "Hello, C!"]
    assert list(stub.BidiHello(iter([]))) == []


def get_feature(channel):
    stub = rg_grpc.RouteGuideStub(channel)
    for (latitude, longitude), name in list(places().items())[::100]:
        assert stub.GetFeature(point(latitude, longitude)) == rg.Feature(name=name, location=point(latitude, longitude))
    nowhere = stub.GetFeature(point(1, 2))
    assert nowhere.name == "" and nowhere.location == point(1, 2)
    assert stub.GetFeature(rg.Point()) == rg.Feature(location=rg.Point())


def list_features(channel):
    stub = rg_grpc.RouteGuideStub(channel)
    known = places()
    for corners in (
        (400000000, -750000000, 420000000, -730000000),
        (420000000, -730000000, 400000000, -750000000),
        (-900000000, -1800000000, 900000000, 1800000000),
        (403487200, -746590500, 403487200, -746590500),
        (1, 1, 2, 2),
    ):
        lo, hi = point(*corners[:2]), point(*corners[2:])
        south, north = sorted((lo.latitude, hi.latitude))
        west, east = sorted((lo.longitude, hi.longitude))
        expected = {place: name for place, name in known.items() if south <= place[0] <= north and west <= place[1] <= east}
        listed = [((f.location.latitude, f.location.longitude), f.name) for f in stub.ListFeatures(rg.Rectangle(lo=lo, hi=hi))]
        assert len(listed) == len(expected) and dict(listed) == expected, corners


def features(channel):
    stub = features_v1_grpc.FeaturesStub(channel)
    guide = rg_grpc.RouteGuideStub(channel)
    name = "features/517591900,194560000"
    get = features_v1.GetFeatureRequest(name=name)
    expect(grpc.StatusCode.NOT_FOUND, name, lambda: stub.GetFeature(get))

    create = features_v1.CreateFeatureRequest(feature={"name": name, "display_name": "Łódź"}, request_id=str(uuid.uuid4()))
    create.feature.properties.update({"height": 61.5, "open": True, "roof": None, "uses": ["view", {"since": 1900}]})
    created = stub.CreateFeature(create)
    assert created.properties == create.feature.properties and created.display_name == "Łódź", created
    assert stub.CreateFeature(create) == created and stub.GetFeature(get) == created
    assert guide.GetFeature(point(517591900, 194560000)).name == "Łódź"

    update = features_v1.UpdateFeatureRequest(feature={"name": name, "display_name": "Lodz", "etag": created.etag})
    updated = stub.UpdateFeature(update)
    assert updated.display_name == "Lodz" and updated.properties == created.properties and updated.etag != created.etag, updated
    error = expect(grpc.StatusCode.ABORTED, updated.etag, lambda: stub.UpdateFeature(update))
    info = error_details_pb2.ErrorInfo()
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    assert any(detail.Unpack(info) for detail in status.details)
    assert (info.reason, info.metadata["etag"]) == ("FEATURE_CHANGED", updated.etag), info

    batch = features_v1.BatchUpdateFeaturesRequest(requests=[
        {"feature": {"location": {"latitude_e7": 1, "longitude_e7": i}, "display_name": str(i)}, "allow_missing": True} for i in range(1000)])
    answer = stub.BatchUpdateFeatures(batch)
    assert [f.display_name for f in answer.features] == [str(i) for i in range(1000)]
    search = features_v1.SearchFeaturesRequest(filter={"area": {"circle": {"center": {"latitude_e7": 1}, "radius_meters": 1}}}, page_size=1)
    found = []
    while not found or search.page_token:
        page = stub.SearchFeatures(search)
        found += [result.feature.display_name for result in page.results]
        search.page_token = page.next_page_token
    assert sorted(found, key=int) == [str(i) for i in range(90)], found
    near = stub.SearchFeatures(features_v1.SearchFeaturesRequest(near={"latitude_e7": 1, "longitude_e7": 999}, page_size=2))
    assert [result.feature.display_name for result in near.results] == ["999", "998"], near
    assert sum(len(message.features) for message in stub.StreamFeatures(features_v1.StreamFeaturesRequest())) == len(places()) + 1001
    stub.BatchDeleteFeatures(features_v1.BatchDeleteFeaturesRequest(requests=[{"name": f.name, "etag": f.etag} for f in answer.features]))
    assert guide.GetFeature(point(1, 999)).name == ""

    stub.DeleteFeature(features_v1.DeleteFeatureRequest(name=name, etag=updated.etag))
    expect(grpc.StatusCode.NOT_FOUND, name, lambda: stub.GetFeature(get))


def import_request(i, name):
    feature = features_v1.Feature(location={"latitude_e7": 5, "longitude_e7": i}, display_name=name)
    feature.properties.update({"number": i, "of": [name, None]})
    return feature


def import_features(channel):
    stub = features_v1_grpc.FeaturesStub(channel)
    get = features_v1.GetFeatureRequest(name="features/5,4999")
    before = len(places())
    options = features_v1.ImportFeaturesRequest(options={"request_id": str(uuid.uuid4())})

    def batches(name, *last):
        yield options
        for first in range(0, 5000, 500):
            batch = [import_request(i, name) for i in range(first, first + 500)]
            yield features_v1.ImportFeaturesRequest(batch={"features": batch})
        yield from last

    bad = features_v1.ImportFeaturesRequest(batch={"features": [import_request(1, "x" * 1025)]})
    expect(grpc.StatusCode.INVALID_ARGUMENT, "Feature 5001 of the stream: ", lambda: stub.ImportFeatures(batches("bad", bad)))
    expect(grpc.StatusCode.NOT_FOUND, "", lambda: stub.GetFeature(get))
    expect(grpc.StatusCode.INVALID_ARGUMENT, "options", lambda: stub.ImportFeatures(iter([bad])))

    again = features_v1.ImportFeaturesRequest(batch={"features": [import_request(7, "later")]})
    summary = stub.ImportFeatures(batches("first", again))
    expected = features_v1.ImportFeaturesResponse(read_count=5001, superseded_count=1, total_count=before + 5000)
    assert summary == expected, summary
    got = stub.GetFeature(get)
    assert got.display_name == "first" and got.properties == import_request(4999, "first").properties, got
    assert stub.GetFeature(features_v1.GetFeatureRequest(name="features/5,7")).display_name == "later"
    assert stub.ImportFeatures(batches("second")) == summary and stub.GetFeature(get) == got
    names = [f"features/5,{i}" for i in range(5000)]
    for first in range(0, 5000, 1000):
        stub.BatchDeleteFeatures(features_v1.BatchDeleteFeaturesRequest(requests=[{"name": n} for n in names[first:first + 1000]]))


def import_killed(channel):
    stub = features_v1_grpc.FeaturesStub(channel)
    sent = threading.Event()

    def batches():
        yield features_v1.ImportFeaturesRequest(options={"replace_all": True})
        for first in range(0, 50000, 500):
            yield features_v1.ImportFeaturesRequest(batch={"features": [import_request(i, "half") for i in range(first, first + 500)]})
        sent.set()
        threading.Event().wait(30)

    call = stub.ImportFeatures.future(batches())
    assert sent.wait(60)
    os.kill(int(sys.argv[4]), signal.SIGKILL)
    expect(grpc.StatusCode.UNAVAILABLE, "", call.result)
    os._exit(0)


def haversine(a, b):
    (lat1, lon1), (lat2, lon2) = (tuple(math.radians(x / 1e7) for x in p) for p in (a, b))
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371000 * math.asin(math.sqrt(h))


def record_route(channel):
    stub = rg_grpc.RouteGuideStub(channel)
    route = list(places())[:200] + [(1, 2), (3, 4)]
    summary, call = stub.RecordRoute.with_call(point(*p) for p in route)
    meters = sum(haversine(a, b) for a, b in zip(route, route[1:]))
    assert (summary.point_count, summary.feature_count) == (202, 200), summary
    exact = float(dict(call.trailing_metadata())["route-distance-meters"])
    assert abs(exact - meters) < 0.01 and summary.distance == int(exact), (summary, exact, meters)

    assert stub.RecordRoute(iter([])) == rg.RouteSummary()

    poles = [point(-900000000 if i % 2 else 900000000) for i in range(121)]
    summary, call = stub.RecordRoute.with_call(iter(poles))
    assert summary.distance == 2**31 - 1, summary
    assert abs(float(dict(call.trailing_metadata())["route-distance-meters"]) - 120 * math.pi * 6371000) < 0.01


def route_chat(channel):
    stub = rg_grpc.RouteGuideStub(channel)

    def talk(*notes):
        return [n.message for n in stub.RouteChat(iter(notes))]

    assert talk(note(100, "a")) == []
    assert talk(note(100, "b"), note(101, "elsewhere"), note(100, "c")) == ["a", "a", "b"]
    answers = list(stub.RouteChat(iter([note(100, "d")])))
    assert answers == [note(100, m) for m in "abc"]
    assert talk() == []


def route_chat_live(channel):
    stub = rg_grpc.RouteGuideStub(channel)
    leave = threading.Event()

    def listening():
        yield note(200, "listening")
        yield note(200, "still")
        leave.wait(30)

    listener = stub.RouteChat(listening())
    assert next(listener).message == "listening"
    assert [n.message for n in stub.RouteChat(iter([note(200, "x"), note(201, "elsewhere"), note(200, "y")]))] == [
        "listening", "still", "listening", "still", "x"]
    assert [next(listener).message for _ in range(2)] == ["x", "y"]
    leave.set()
    assert list(listener) == [] and listener.code() == grpc.StatusCode.OK


class Resuming:
    """The sequenced mode, as docs/chat.md tells to use it: posts are repeated until they are acknowledged, and a stream goes on where the last ended."""

    def __init__(self, stub):
        self.stub, self.places, self.after, self.open, self.received = stub, set(), None, {}, []

    def post(self, note_id, latitude, message):
        self.open[note_id] = rg.RouteNote(location=point(latitude), message=message, note_id=note_id)

    def stream(self, until):
        """One stream, until it has received what is asked for; then it is dropped in the middle."""
        metadata = [("route-chat-mode", "sequenced")]
        metadata += [("route-chat-listen", f"{latitude},0") for latitude in self.places]
        if self.after is not None:
            metadata.append(("route-chat-after", str(self.after)))
        leave = threading.Event()

        def posts():
            yield from list(self.open.values())
            leave.wait(30)

        call = self.stub.RouteChat(posts(), metadata=metadata, timeout=60)
        acknowledged = set()
        while not until(self):
            received = next(call)
            self.received.append((received.sequence, received.note_id, received.message))
            if self.after is None or received.sequence > self.after:
                self.after = received.sequence
                self.places.add(received.location.latitude)
            acknowledged.add(received.note_id)
            for note_id in [i for i in self.open if i in acknowledged and self.open[i].location.latitude in self.places]:
                del self.open[note_id]
        call.cancel()
        leave.set()


def route_chat_sequenced(channel):
    stub = rg_grpc.RouteGuideStub(channel)
    assert list(stub.RouteChat(iter([note(800, "before")]))) == []

    traveller = Resuming(stub)
    for i in range(5):
        traveller.post(f"python-{i}", 800, f"note {i}")
    traveller.stream(until=lambda t: len(t.received) == 3)
    assert [n[1:] for n in traveller.received] == [("", "before"), ("python-0", "note 0"), ("python-1", "note 1")], traveller.received

    # While it is away: an unchanged client, which sees nothing of sequences and ids.
    answers = list(stub.RouteChat(iter([note(800, "meanwhile")])))
    assert answers[0] == note(800, "before") and all(n.sequence == 0 and n.note_id == "" for n in answers), answers

    traveller.post("python-5", 800, "note 5")
    traveller.stream(until=lambda t: not t.open and any(n[2] == "meanwhile" for n in t.received))
    sequences = [n[0] for n in traveller.received]
    assert len(traveller.received) == 8, traveller.received
    assert sorted(n[1] for n in traveller.received if n[1]) == [f"python-{i}" for i in range(6)]
    assert sequences == sorted(set(sequences)), sequences

    listener = stub.RouteChat(iter([]), metadata=[
        ("route-chat-mode", "sequenced"), ("route-chat-listen", "800,0"), ("route-chat-after", str(sequences[4]))])
    assert [n.sequence for n in listener] == sequences[5:]
    expect(
        grpc.StatusCode.INVALID_ARGUMENT, "route-chat-after is 'x'",
        lambda: list(stub.RouteChat(iter([]), metadata=[("route-chat-mode", "sequenced"), ("route-chat-after", "x")])))


def deadline(channel):
    leave = threading.Event()

    def one_and_wait(message):
        yield message
        leave.wait(30)

    chat = rg_grpc.RouteGuideStub(channel)
    expect(grpc.StatusCode.DEADLINE_EXCEEDED, "", lambda: list(chat.RouteChat(one_and_wait(note(300, "x")), timeout=0.3)))
    expect(grpc.StatusCode.DEADLINE_EXCEEDED, "", lambda: chat.RecordRoute(one_and_wait(point(1)), timeout=0.3))
    leave.set()
    greeter(channel)


def cancelled_stream(channel):
    stub = rg_grpc.RouteGuideStub(channel)
    for _ in range(20):
        features = stub.ListFeatures(WORLD)
        next(features)
        features.cancel()
        assert features.code() == grpc.StatusCode.CANCELLED
    list_features(channel)


def metadata(channel):
    stub = rg_grpc.RouteGuideStub(channel)
    sent = [("x-text", "plain ascii"), ("x-text", "twice"), ("x-bytes-bin", bytes(range(256))), ("x-empty-bin", b"")]
    _, call = stub.RecordRoute.with_call(iter([point(0), point(10000000)]), metadata=sent)
    trailers = dict(call.trailing_metadata())
    assert abs(float(trailers["route-distance-meters"]) - 111194.92664455873) < 1e-6, trailers

    error = expect(
        grpc.StatusCode.INVALID_ARGUMENT, "latitude is 900000001", lambda: stub.GetFeature(point(900000001), metadata=sent))
    status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    details = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(details) and details.field_violations[0].field == "latitude"


def error_statuses(channel):
    stub = rg_grpc.RouteGuideStub(channel)
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    expect(invalid, "longitude is -1800000001", lambda: stub.GetFeature(point(0, -1800000001)))
    expect(invalid, "lo is missing", lambda: list(stub.ListFeatures(rg.Rectangle(hi=point(1)))))
    expect(invalid, "hi is missing", lambda: list(stub.ListFeatures(rg.Rectangle(lo=point(1)))))
    expect(invalid, "lo.latitude is -900000001", lambda: list(stub.ListFeatures(rg.Rectangle(lo=point(-900000001), hi=point(1)))))
    expect(invalid, "location is missing", lambda: list(stub.RouteChat(iter([rg.RouteNote(message="x")]))))
    expect(invalid, "message has 4097 bytes", lambda: list(stub.RouteChat(iter([note(400, "x" * 4097)]))))
    expect(invalid, "latitude is 900000001", lambda: stub.RecordRoute(iter([point(1), point(900000001)])))
    unimplemented = grpc.StatusCode.UNIMPLEMENTED
    expect(unimplemented, "Method is unimplemented", lambda: channel.unary_unary("/routeguide.RouteGuide/Nothing")(b""))
    expect(unimplemented, "Service is unimplemented", lambda: channel.unary_unary("/nobody.Nobody/Nothing")(b""))
    internal = grpc.StatusCode.INTERNAL
    expect(internal, "Additional data", lambda: channel.stream_unary("/helloworld.Greeter/SayHello")(iter([b"", b""])))
    expect(internal, "Incomplete message", lambda: channel.stream_unary("/helloworld.Greeter/SayHello")(iter([])))
    too_long = b"\x0a" + b"\x80\x80\xc0\x02" + b"x" * 5242880
    expect(grpc.StatusCode.RESOURCE_EXHAUSTED, "exceeds", lambda: channel.unary_unary("/helloworld.Greeter/SayHello")(too_long))
    greeter(channel)


def unparsable_message(channel):
    expect(grpc.StatusCode.UNKNOWN, "", lambda: channel.unary_unary("/helloworld.Greeter/SayHello")(b"\xff\xff\xff"))
    greeter(channel)


def compression(channel):
    stub = helloworld_grpc.GreeterStub(channel)
    name = "again and " * 1000
    for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        assert stub.SayHello(helloworld.HelloRequest(name=name), compression=compression).message == f"Hello, {name}!"


def health(channel):
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString)
    for service in ("", "routeguide.RouteGuide", "routeservice.v1.Features", "helloworld.Greeter", "HelloService"):
        assert check(health_pb2.HealthCheckRequest(service=service)).status == health_pb2.HealthCheckResponse.SERVING
    expect(grpc.StatusCode.NOT_FOUND, "", lambda: check(health_pb2.HealthCheckRequest(service="nobody")))
    watch = channel.unary_stream(
        "/grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest.SerializeToString, health_pb2.HealthCheckResponse.FromString)
    for service, status in (("routeguide.RouteGuide", health_pb2.HealthCheckResponse.SERVING), ("nobody", health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)):
        watching = watch(health_pb2.HealthCheckRequest(service=service), timeout=60)
        assert next(watching).status == status
        watching.cancel()


def stopped_by_signal(channel):
    stub = rg_grpc.RouteGuideStub(channel)
    leave = threading.Event()

    def notes():
        yield note(700, "a")
        yield note(700, "b")
        leave.wait(30)

    def points():
        yield point(1)
        leave.wait(30)

    chats = [stub.RouteChat(notes()) for _ in range(10)]
    for chat in chats:
        next(chat)
    route = stub.RecordRoute.future(points())
    time.sleep(0.5)
    os.kill(int(sys.argv[4]), signal.SIGTERM)
    for chat in chats:
        expect(grpc.StatusCode.UNAVAILABLE, "shutting down", lambda: list(chat))
    expect(grpc.StatusCode.UNAVAILABLE, "shutting down", route.result)
    leave.set()


def many_streams_at_once(channel):
    stub = rg_grpc.RouteGuideStub(channel)
    count = len(places())
    calls = [stub.ListFeatures(WORLD) for _ in range(50)]
    assert [sum(1 for _ in call) for call in calls] == [count] * 50


if __name__ == "__main__":
    with grpc.insecure_channel(sys.argv[1]) as opened:
        globals()[sys.argv[2]](opened)
