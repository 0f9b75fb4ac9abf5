// A plain RouteGuide server on grpc-go, a peer to measure beside: features in a slice that is searched from end to end, as the tutorials
// keep them, and notes in a map behind a lock. No batching, no index, no store.
//
// Usage: go-peer PORT FEATURES.json
package main

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"math"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"routeguide"
)

const earthRadiusMeters = 6371000

type place struct{ latitude, longitude int32 }

type server struct {
	features []*routeguide.Feature

	mutex sync.Mutex
	notes map[place][]*routeguide.RouteNote
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: go-peer PORT FEATURES.json")
	}
	listener, err := net.Listen("tcp", "localhost:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	features, err := readFeatures(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	grpcServer := grpc.NewServer()
	routeguide.RegisterRouteGuideServer(grpcServer, &server{features: features, notes: map[place][]*routeguide.RouteNote{}})
	log.Fatal(grpcServer.Serve(listener))
}

func readFeatures(path string) ([]*routeguide.Feature, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var features []*routeguide.Feature
	err = json.NewDecoder(file).Decode(&features)
	return features, err
}

func (s *server) GetFeature(_ context.Context, point *routeguide.Point) (*routeguide.Feature, error) {
	if found := s.find(placeOf(point)); found != nil {
		return found, nil
	}
	return &routeguide.Feature{Location: point}, nil
}

func (s *server) ListFeatures(area *routeguide.Rectangle, stream routeguide.RouteGuide_ListFeaturesServer) error {
	if area.Lo == nil || area.Hi == nil {
		return status.Error(codes.InvalidArgument, "lo and hi are both wanted")
	}
	south, north := sorted(area.Lo.Latitude, area.Hi.Latitude)
	west, east := sorted(area.Lo.Longitude, area.Hi.Longitude)
	for _, feature := range s.features {
		at := placeOf(feature.Location)
		if south <= at.latitude && at.latitude <= north && west <= at.longitude && at.longitude <= east {
			if err := stream.Send(feature); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *server) RecordRoute(stream routeguide.RouteGuide_RecordRouteServer) error {
	started := time.Now()
	var points, passed int32
	var meters float64
	var last place
	for {
		point, err := stream.Recv()
		if err == io.EOF {
			stream.SetTrailer(metadata.Pairs("route-distance-meters", strconv.FormatFloat(meters, 'g', -1, 64)))
			return stream.SendAndClose(&routeguide.RouteSummary{
				PointCount:   points,
				FeatureCount: passed,
				Distance:     int32(math.Min(meters, math.MaxInt32)),
				ElapsedTime:  int32(time.Since(started).Seconds()),
			})
		}
		if err != nil {
			return err
		}
		at := placeOf(point)
		if points > 0 {
			meters += haversine(last, at)
		}
		if s.find(at) != nil {
			passed++
		}
		points++
		last = at
	}
}

func (s *server) RouteChat(stream routeguide.RouteGuide_RouteChatServer) error {
	for {
		note, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if note.Location == nil {
			return status.Error(codes.InvalidArgument, "location is missing")
		}
		for _, earlier := range s.leave(note) {
			if err := stream.Send(earlier); err != nil {
				return err
			}
		}
	}
}

// leave keeps a note and returns those that were at its place before it. What is returned is never written to again: notes are only appended.
func (s *server) leave(note *routeguide.RouteNote) []*routeguide.RouteNote {
	at := placeOf(note.Location)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	earlier := s.notes[at]
	s.notes[at] = append(earlier, note)
	return earlier
}

func (s *server) find(at place) *routeguide.Feature {
	for _, feature := range s.features {
		if feature.Location.Latitude == at.latitude && feature.Location.Longitude == at.longitude {
			return feature
		}
	}
	return nil
}

func placeOf(point *routeguide.Point) place {
	return place{point.GetLatitude(), point.GetLongitude()}
}

func sorted(a, b int32) (int32, int32) {
	if a < b {
		return a, b
	}
	return b, a
}

func haversine(from, to place) float64 {
	const radiansPerE7 = math.Pi / 180 / 1e7
	latitude1, latitude2 := float64(from.latitude)*radiansPerE7, float64(to.latitude)*radiansPerE7
	sinLatitude := math.Sin((latitude2 - latitude1) / 2)
	sinLongitude := math.Sin((float64(to.longitude) - float64(from.longitude)) * radiansPerE7 / 2)
	h := sinLatitude*sinLatitude + math.Cos(latitude1)*math.Cos(latitude2)*sinLongitude*sinLongitude
	return 2 * earthRadiusMeters * math.Asin(math.Sqrt(math.Min(1, h)))
}
