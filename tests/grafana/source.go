package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/log"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana/pkg/promlib"
)

// source is the agent as a data source that was made in Grafana's settings.
type source struct {
	service *promlib.Service
	context backend.PluginContext
}

// newSource makes one that sends its token as the settings page says: a header that Grafana keeps as a secret. Without a
// token there is none.
func newSource(url, token, method string) *source {
	settings := map[string]any{"httpMethod": method, "timeInterval": "15s"}
	secrets := map[string]string{}
	if token != "" {
		settings["httpHeaderName1"] = "Authorization"
		secrets["httpHeaderValue1"] = "Bearer " + token
	}
	said, _ := json.Marshal(settings)
	return &source{
		service: promlib.NewService(nil, log.NewNullLogger(), nil),
		context: backend.PluginContext{DataSourceInstanceSettings: &backend.DataSourceInstanceSettings{
			ID: 1, UID: "sidelight", Type: "prometheus", Name: "Sidelight", URL: url,
			JSONData: said, DecryptedSecureJSONData: secrets,
		}},
	}
}

// query is what a panel asks: the last ten minutes in points of 15 s, where it says nothing else.
type query struct {
	expr     string
	to       time.Time
	instant  bool
	exemplar bool
	format   string
	legend   string
	over     time.Duration
}

// points is the width of a panel.
const points = 1000

// ask gives the frames that a panel draws.
func (s *source) ask(ctx context.Context, asked query) (data.Frames, error) {
	response, err := s.respond(ctx, asked)
	if err != nil {
		return nil, err
	}
	return response.Frames, response.Error
}

func (s *source) respond(ctx context.Context, asked query) (backend.DataResponse, error) {
	if asked.over == 0 {
		asked.over = 10 * time.Minute
	}
	model, err := json.Marshal(map[string]any{
		"refId": "A", "expr": asked.expr, "instant": asked.instant, "range": !asked.instant, "exemplar": asked.exemplar,
		"format": asked.format, "legendFormat": asked.legend, "intervalMs": step.Milliseconds(), "maxDataPoints": points,
	})
	if err != nil {
		return backend.DataResponse{}, err
	}
	answered, err := s.service.QueryData(ctx, &backend.QueryDataRequest{
		PluginContext: s.context,
		Queries: []backend.DataQuery{{
			RefID: "A", JSON: model, Interval: step, MaxDataPoints: points,
			TimeRange: backend.TimeRange{From: asked.to.Add(-asked.over), To: asked.to},
		}},
	})
	if err != nil {
		return backend.DataResponse{}, err
	}
	return answered.Responses["A"], nil
}

// resource asks for what the editor and the variables need. With a form it is sent as one.
func (s *source) resource(ctx context.Context, path, parameters, form string) (int, []byte, error) {
	request := &backend.CallResourceRequest{
		PluginContext: s.context, Path: path, URL: path + "?" + parameters, Method: "GET", Headers: map[string][]string{},
	}
	if form != "" {
		request.Method, request.Body = "POST", []byte(form)
		request.Headers["Content-Type"] = []string{"application/x-www-form-urlencoded"}
	}
	var status int
	var body []byte
	take := backend.CallResourceResponseSenderFunc(func(response *backend.CallResourceResponse) error {
		status, body = response.Status, append(body, response.Body...)
		return nil
	})
	err := s.service.CallResource(ctx, request, take)
	return status, body, err
}

// answer is `data` of a resource's answer.
func answer[T any](ctx context.Context, s *source, path, parameters, form string) (T, error) {
	var said struct {
		Status string `json:"status"`
		Data   T      `json:"data"`
	}
	status, body, err := s.resource(ctx, path, parameters, form)
	if err != nil {
		return said.Data, err
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return said.Data, fmt.Errorf("%d %s: %w", status, body, err)
	}
	if status != 200 || said.Status != "success" {
		return said.Data, fmt.Errorf("%d %s", status, body)
	}
	return said.Data, nil
}

// values is the column of a frame.
func values(frame *data.Frame, at int) []float64 {
	if len(frame.Fields) <= at {
		return nil
	}
	field := frame.Fields[at]
	found := make([]float64, 0, field.Len())
	for row := range field.Len() {
		value, err := field.FloatAt(row)
		if err != nil {
			value = math.NaN()
		}
		found = append(found, value)
	}
	return found
}

// last is the newest value of a frame of times and values; NaN where there is none.
func last(frame *data.Frame) float64 {
	found := values(frame, 1)
	if len(found) == 0 {
		return math.NaN()
	}
	return found[len(found)-1]
}
