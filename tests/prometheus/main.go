// Command prometheus is the part of Prometheus that the agent is compared with: its OTLP receiver, its
// TSDB, its engine and its HTTP API, out of its own packages; without scraping, rules and the page.
//
//	go run . -listen 127.0.0.1:0 -directory DIR
//
// Prints the address that it listens on. OTLP goes to /api/v1/otlp/v1/metrics.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/grafana/regexp"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// What the agent promotes without being told, but for k8s.*, which the tests do not send.
const configuration = `
otlp:
  promote_resource_attributes:
    - service.name
    - service.version
    - deployment.environment.name
    - deployment.environment
`

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on")
	directory := flag.String("directory", "", "where the TSDB lives")
	flag.Parse()
	if err := run(*listen, *directory); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(listen, directory string) error {
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	parsed, err := config.Load(configuration, logger)
	if err != nil {
		return err
	}
	options := tsdb.DefaultOptions()
	options.EnableExemplarStorage = true
	options.MaxExemplars = 10_000
	options.OutOfOrderTimeWindow = 0
	db, err := tsdb.Open(directory, logger, nil, options, nil)
	if err != nil {
		return err
	}
	defer db.Close()

	language := parser.NewParser(parser.Options{ExperimentalDurationExpr: true})
	engine := promql.NewEngine(promql.EngineOpts{
		Logger:               logger,
		MaxSamples:           50_000_000,
		Timeout:              2 * time.Minute,
		LookbackDelta:        5 * time.Minute,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
		NoStepSubqueryIntervalFn: func(int64) int64 {
			return time.Minute.Milliseconds()
		},
		Parser: language,
	})
	fanout := storage.NewFanout(logger, db)
	api := v1.NewAPI(
		engine, fanout, db, db, db,
		nil, nil, nil,
		func() config.Config { return *parsed },
		nil, v1.GlobalURLOptions{},
		func(handler http.HandlerFunc) http.HandlerFunc { return handler },
		nil, "", false, false, 0, logger, nil, 0, 0, 0, false,
		regexp.MustCompile("^$"),
		func() (v1.RuntimeInfo, error) { return v1.RuntimeInfo{}, errors.New("not here") },
		&v1.PrometheusVersion{},
		nil, nil,
		prometheus.NewRegistry(), prometheus.NewRegistry(),
		nil, false,
		remoteapi.MessageTypes{},
		true, true, false, false,
		5*time.Minute,
		false, true, nil, nil, v1.OpenAPIOptions{}, language,
	)
	router := route.New()
	api.Register(router.WithPrefix("/api/v1"))
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	server := &http.Server{Handler: router, BaseContext: func(net.Listener) context.Context {
		return context.Background()
	}}
	return server.Serve(listener)
}
