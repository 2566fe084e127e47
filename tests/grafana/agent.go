package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// token is what the agent asks of everyone who reads it here.
const token = "grafana-reads-this"

// agent is one agent process with its files in a directory of its own.
type agent struct {
	process   *exec.Cmd
	directory string
	otlp      string
	admin     string
}

func startAgent(ctx context.Context, binary string) (*agent, error) {
	directory, err := os.MkdirTemp("", "sidelight-grafana-")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	tokenFile := filepath.Join(directory, "token")
	config := fmt.Sprintf(`receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:%d"}, http: {endpoint: "127.0.0.1:%d"}}}}
journal: {directory: %q}
store: {directory: %q}
admin: {endpoint: "127.0.0.1:%d", token_file: %q}
`, ports[0], ports[1], filepath.Join(directory, "journal"), filepath.Join(directory, "store"), ports[2], tokenFile)
	configFile := filepath.Join(directory, "config.yaml")
	if err := os.WriteFile(tokenFile, []byte(token), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(configFile, []byte(config), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(directory, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	process := exec.CommandContext(ctx, binary, "run", "-c", configFile)
	process.Stderr = log
	if err := process.Start(); err != nil {
		return nil, err
	}
	agent := &agent{
		process:   process,
		directory: directory,
		otlp:      fmt.Sprintf("http://127.0.0.1:%d/v1/metrics", ports[1]),
		admin:     fmt.Sprintf("http://127.0.0.1:%d", ports[2]),
	}
	if err := agent.becomesReady(ctx); err != nil {
		said := agent.said()
		agent.stop()
		return nil, fmt.Errorf("%w\n%s", err, said)
	}
	return agent, nil
}

func freePorts(count int) ([]int, error) {
	ports := make([]int, 0, count)
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func (a *agent) becomesReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.admin+"/readyz", nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the agent did not become ready")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// said is the agent's log.
func (a *agent) said() string {
	text, _ := os.ReadFile(filepath.Join(a.directory, "log"))
	return string(text)
}

func (a *agent) stop() {
	_ = a.process.Process.Signal(syscall.SIGTERM)
	_ = a.process.Wait()
	_ = os.RemoveAll(a.directory)
}
