package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
)

const (
	step = 15 * time.Second
	// steps are twenty minutes.
	steps      = 80
	cumulative = metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
)

// Of every step, by route.
var (
	routes = []string{"/cart", "/checkout"}
	// In buckets up to 0.1 s, 0.5 s, 1 s and above.
	requests = map[string][]uint64{"/cart": {8, 2, 0, 0}, "/checkout": {0, 0, 10, 0}}
	bounds   = []float64{0.1, 0.5, 1}
	// In buckets (1, 2], (2, 4] and (4, 8] ms.
	calls = []uint64{1, 2, 1}
)

var (
	traceID = []byte{0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	spanID  = []byte{0xca, 0xfe, 1, 2, 3, 4, 5, 6}
)

// send gives the agent one export request for every step up to `end`.
func send(ctx context.Context, url string, end time.Time) error {
	start := end.Add(-steps * step)
	for nth := 1; nth <= steps; nth++ {
		body, err := proto.Marshal(exported(start, uint64(nth)))
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return err
		}
		request.Header.Set("Content-Type", "application/x-protobuf")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("the agent answered %d: %s", response.StatusCode, text)
		}
	}
	return nil
}

func exported(start time.Time, nth uint64) *collector.ExportMetricsServiceRequest {
	from, at := uint64(start.UnixNano()), uint64(start.Add(time.Duration(nth)*step).UnixNano())
	depth := &metrics.NumberDataPoint{TimeUnixNano: at, Value: &metrics.NumberDataPoint_AsInt{AsInt: int64(nth)}}
	orders, durations := []*metrics.NumberDataPoint{}, []*metrics.HistogramDataPoint{}
	for _, route := range routes {
		attributes := []*common.KeyValue{text("http.route", route)}
		orders = append(orders, &metrics.NumberDataPoint{
			Attributes:        attributes,
			StartTimeUnixNano: from,
			TimeUnixNano:      at,
			Value:             &metrics.NumberDataPoint_AsInt{AsInt: int64(3 * nth)},
		})
		durations = append(durations, duration(attributes, requests[route], from, at, nth))
	}
	var count uint64
	counts := make([]uint64, len(calls))
	for at, of := range calls {
		counts[at] = of * nth
		count += counts[at]
	}
	sum := 3.5 * float64(count)
	rpc := &metrics.ExponentialHistogramDataPoint{
		StartTimeUnixNano: from,
		TimeUnixNano:      at,
		Count:             count,
		Sum:               &sum,
		Positive:          &metrics.ExponentialHistogramDataPoint_Buckets{BucketCounts: counts},
	}
	return of([]*metrics.Metric{
		{Name: "queue.depth", Unit: "{message}", Description: "Messages that wait.", Data: &metrics.Metric_Gauge{
			Gauge: &metrics.Gauge{DataPoints: []*metrics.NumberDataPoint{depth}},
		}},
		{Name: "orders", Unit: "{order}", Description: "Orders.", Data: &metrics.Metric_Sum{
			Sum: &metrics.Sum{DataPoints: orders, IsMonotonic: true, AggregationTemporality: cumulative},
		}},
		{Name: "http.server.request.duration", Unit: "s", Description: "Requests.", Data: &metrics.Metric_Histogram{
			Histogram: &metrics.Histogram{DataPoints: durations, AggregationTemporality: cumulative},
		}},
		{Name: "rpc.server.duration", Unit: "ms", Description: "Calls.", Data: &metrics.Metric_ExponentialHistogram{
			ExponentialHistogram: &metrics.ExponentialHistogram{
				DataPoints:             []*metrics.ExponentialHistogramDataPoint{rpc},
				AggregationTemporality: cumulative,
			},
		}},
	})
}

// duration has an exemplar in every tenth step.
func duration(attributes []*common.KeyValue, each []uint64, from, at, nth uint64) *metrics.HistogramDataPoint {
	point := &metrics.HistogramDataPoint{
		Attributes:        attributes,
		StartTimeUnixNano: from,
		TimeUnixNano:      at,
		ExplicitBounds:    bounds,
	}
	for _, of := range each {
		point.BucketCounts = append(point.BucketCounts, of*nth)
		point.Count += of * nth
	}
	sum := 0.05 * float64(point.Count)
	point.Sum = &sum
	if nth%10 == 0 {
		point.Exemplars = []*metrics.Exemplar{{
			TimeUnixNano: at - 1_000_000_000,
			Value:        &metrics.Exemplar_AsDouble{AsDouble: 0.25},
			TraceId:      traceID,
			SpanId:       spanID,
		}}
	}
	return point
}

func of(found []*metrics.Metric) *collector.ExportMetricsServiceRequest {
	return &collector.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{{
		Resource: &resource.Resource{Attributes: []*common.KeyValue{
			text("service.name", "shop"), text("service.instance.id", "shop-1"),
		}},
		ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: found}},
	}}}
}

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{
		Key:   key,
		Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}},
	}
}
