// The calls of the API's document, in JavaScript (Node 18 or newer, or any browser).
//
//   node docs/examples/errors.js
//
// BASE and API_KEY may be set in the environment.
const env = globalThis.process?.env ?? {};
const API_KEY = env.API_KEY ?? "test-api-key";
const API_BASE = `${env.BASE ?? "http://localhost:8080"}/api`;

// An answer's body. Failures say what is wrong, and are thrown.
async function bodyOf(response) {
  const body = await response.json();
  if (!response.ok) {
    throw new Error(`${response.status}: ${body.error}`);
  }
  return body;
}

// Create an error
async function logError(errorData) {
  const response = await fetch(`${API_BASE}/errors`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-API-Key": API_KEY,
    },
    body: JSON.stringify(errorData),
  });
  return bodyOf(response);
}

// Get errors
async function getErrors(params = {}) {
  const query = new URLSearchParams(params);
  const response = await fetch(`${API_BASE}/errors?${query}`, {
    headers: {
      "X-API-Key": API_KEY,
    },
  });
  return bodyOf(response);
}

// Get analytics trends
async function getTrends(period = "week", groupBy = "day") {
  const response = await fetch(
    `${API_BASE}/analytics/trends?period=${period}&group_by=${groupBy}`,
    {
      headers: {
        "X-API-Key": API_KEY,
      },
    },
  );
  return bodyOf(response);
}

// Get service health
async function getServiceHealth() {
  const response = await fetch(`${API_BASE}/monitoring/services`, {
    headers: {
      "X-API-Key": API_KEY,
    },
  });
  return bodyOf(response);
}

// Create alert rule
async function createAlertRule(ruleData) {
  const response = await fetch(`${API_BASE}/alerts/rules`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-API-Key": API_KEY,
    },
    body: JSON.stringify(ruleData),
  });
  return bodyOf(response);
}

// Usage examples
async function main() {
  const logged = await logError({
    level: "error",
    message: "User authentication failed",
    source: "frontend",
    context: {
      user_id: "12345",
      page: "/login",
    },
  });
  console.log("Logged:", logged.data.id, "seen", logged.data.count, "times");

  const errors = await getErrors({ limit: 10, level: "error" });
  console.log("Errors:", errors.data.total);

  const trends = await getTrends("month", "week");
  console.log("Trend data:", trends.data.data_points);

  const health = await getServiceHealth();
  console.log("Services:", health.data.overall_health);

  const rule = await createAlertRule({
    name: "High Error Rate",
    condition: "error_count > threshold in time_window",
    threshold: 50,
    time_window: "5m",
    notifications: ["email"],
    enabled: true,
  });
  console.log("Rule:", rule.data.condition_explained);
}

main().catch((error) => {
  console.error(error.message);
  globalThis.process?.exit(1);
});
