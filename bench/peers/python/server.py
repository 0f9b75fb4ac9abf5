#!/usr/bin/python3
"""A plain RouteGuide server on Python's grpcio, a peer to measure beside: features in a list that is searched from end to end, as the
tutorials keep them, and notes in a dictionary. No batching, no index, no store.

Usage: server.py PORT FEATURES.json, with the stubs of protos/route_guide.proto on PYTHONPATH"""
import asyncio
import json
import math
import sys
import time
from collections import defaultdict

import grpc

import route_guide_pb2 as rg
import route_guide_pb2_grpc as rg_grpc

EARTH_RADIUS_METERS = 6371000
INT32_MAX = 2**31 - 1


class RouteGuide(rg_grpc.RouteGuideServicer):
    def __init__(self, features):
        self._features = features
        self._notes = defaultdict(list)

    async def GetFeature(self, request, context):
        return self._find(request) or rg.Feature(location=request)

    async def ListFeatures(self, request, context):
        if not (request.HasField("lo") and request.HasField("hi")):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "lo and hi are both required")
        south, north = sorted((request.lo.latitude, request.hi.latitude))
        west, east = sorted((request.lo.longitude, request.hi.longitude))
        for feature in self._features:
            at = feature.location
            if south <= at.latitude <= north and west <= at.longitude <= east:
                yield feature

    async def RecordRoute(self, request_iterator, context):
        started = time.monotonic()
        points = passed = 0
        meters = 0.0
        last = None
        async for point in request_iterator:
            if last is not None:
                meters += haversine(last, point)
            if self._find(point) is not None:
                passed += 1
            points += 1
            last = point
        context.set_trailing_metadata((("route-distance-meters", repr(meters)),))
        return rg.RouteSummary(
            point_count=points,
            feature_count=passed,
            distance=min(int(meters), INT32_MAX),
            elapsed_time=int(time.monotonic() - started),
        )

    async def RouteChat(self, request_iterator, context):
        async for note in request_iterator:
            if not note.HasField("location"):
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "location is missing")
            notes = self._notes[(note.location.latitude, note.location.longitude)]
            earlier = len(notes)
            notes.append(note)
            for i in range(earlier):
                yield notes[i]

    def _find(self, point):
        latitude, longitude = point.latitude, point.longitude
        for feature in self._features:
            if feature.location.latitude == latitude and feature.location.longitude == longitude:
                return feature
        return None


def haversine(a, b):
    latitude1, latitude2 = math.radians(a.latitude / 1e7), math.radians(b.latitude / 1e7)
    half_longitude = math.radians((b.longitude - a.longitude) / 1e7) / 2
    h = math.sin((latitude2 - latitude1) / 2) ** 2 + math.cos(latitude1) * math.cos(latitude2) * math.sin(half_longitude) ** 2
    return 2 * EARTH_RADIUS_METERS * math.asin(math.sqrt(min(1.0, h)))


def read_features(path):
    with open(path, encoding="utf-8") as file:
        return [
            rg.Feature(name=record.get("name", ""), location=rg.Point(**record["location"]))
            for record in json.load(file)
        ]


async def serve(port, path):
    server = grpc.aio.server()
    rg_grpc.add_RouteGuideServicer_to_server(RouteGuide(read_features(path)), server)
    server.add_insecure_port(f"localhost:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(serve(*sys.argv[1:]))
