// The call of the API's document in Go: report an error.
//
//	go run docs/examples/client.go
//
// BASE and API_KEY may be set in the environment.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

type ErrorRequest struct {
	Level   string                 `json:"level"`
	Message string                 `json:"message"`
	Source  string                 `json:"source"`
	Context map[string]interface{} `json:"context"`
}

var client = &http.Client{Timeout: 10 * time.Second}

func logError(errorReq ErrorRequest) error {
	data, err := json.Marshal(errorReq)
	if err != nil {
		return err
	}

	url := setting("BASE", "http://localhost:8080") + "/api/errors"
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", setting("API_KEY", "test-api-key"))

	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()

	if resp.StatusCode != http.StatusCreated {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("%s: %s", resp.Status, body)
	}
	return nil
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	err := logError(ErrorRequest{
		Level:   "error",
		Message: "Database connection failed",
		Source:  "backend",
		Context: map[string]interface{}{"service": "user-service"},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("logged")
}
