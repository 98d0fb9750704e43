#!/usr/bin/env bash
# The calls of the API's document with curl, in its order.
#
#   docs/examples/tour.sh
#
# BASE and API_KEY may be set in the environment. Each answer is printed on a line of its own; the
# first that fails ends the tour.
set -euo pipefail

BASE=${BASE:-http://localhost:8080}
API_KEY=${API_KEY:-test-api-key}

call() {
  curl --silent --show-error --fail-with-body --write-out '\n' -H "X-API-Key: $API_KEY" "$@"
}

# Create an error
created=$(call -X POST "$BASE/api/errors" \
  -H "Content-Type: application/json" \
  -d '{
    "level": "error",
    "message": "Database connection failed",
    "source": "backend",
    "context": {"service": "user-service"}
  }') || { echo "$created"; exit 1; }
echo "$created"
[[ $created =~ \"id\":\"([^\"]+)\" ]]
error_id=${BASH_REMATCH[1]}

# Get errors
call "$BASE/api/errors?limit=10&level=error"

# Get statistics
call "$BASE/api/stats"

# Get analytics trends
call "$BASE/api/analytics/trends?period=week&group_by=day"

# Get service health
call "$BASE/api/monitoring/services"

# Get system metrics
call "$BASE/api/monitoring/metrics?timeframe=24h"

# Create alert rule
call -X POST "$BASE/api/alerts/rules" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "High Error Rate",
    "condition": "error_count > threshold in time_window",
    "threshold": 50,
    "time_window": "5m",
    "notifications": ["email"],
    "enabled": true
  }'

# Create API key
call -X POST "$BASE/api/settings/api-keys" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "Development Key",
    "permissions": ["read"]
  }'

# Resolve an error
call -X PUT "$BASE/api/errors/$error_id/resolve"
