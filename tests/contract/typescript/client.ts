// What a phone's developer writes: each call is checked against the API's own description.
import type { paths } from "./api";

type Method = "get" | "post" | "patch" | "delete";

/** What an operation takes. */
type Query<P extends keyof paths, M extends Method> = paths[P][M] extends { parameters: { query?: infer Q } }
  ? Exclude<Q, undefined>
  : never;
type InPath<P extends keyof paths, M extends Method> = paths[P][M] extends { parameters: { path: infer Q } } ? Q : never;
type Body<P extends keyof paths, M extends Method> = paths[P][M] extends {
  requestBody?: { content: { "application/json": infer B } };
}
  ? B
  : never;

/** What it answers when all is well. */
type Answer<P extends keyof paths, M extends Method> = paths[P][M] extends { responses: infer R }
  ? { [Status in keyof R & (200 | 201 | 202)]: R[Status] extends { content: { "application/json": infer A } } ? A : never }[
      keyof R & (200 | 201 | 202)
    ]
  : never;

export declare function get<P extends keyof paths>(path: P, query?: Query<P, "get">): Promise<Answer<P, "get">>;
export declare function post<P extends keyof paths>(
  path: P,
  inPath: InPath<P, "post">,
  body?: Body<P, "post">,
): Promise<Answer<P, "post">>;

/** The five screens of the app, and one thing to press. */
export async function screens(): Promise<string[]> {
  const dashboard = await get("/api/bff/tds/dashboard");
  const runs = await get("/api/bff/tds/runs", { limit: 20, entity_type: "product" });
  const entities = await get("/api/bff/tds/entities");
  const alerts = await get("/api/bff/tds/alerts");
  const letters = await get("/api/bff/tds/dead-letter");
  const first = alerts[0];
  if (first !== undefined && !first.acknowledged) {
    const alert = await post("/api/bff/tds/alerts/{alert_id}/acknowledge", { alert_id: first.id }, { note: "Seen." });
    alert satisfies { acknowledged_by: string | null };
  }
  return [
    `${dashboard.health.status}: ${dashboard.queue.pending.toFixed()} waiting, ${dashboard.health.error_rate.toFixed(1)} %`,
    ...runs.map((run) => `${run.entity_type} ${run.status} ${run.progress_percentage.toFixed()} % ${run.duration ?? ""}`),
    ...entities.map((one) => `${one.entity_type} ${one.success_rate.toFixed(1)} % ${one.last_sync ?? "never"}`),
    ...alerts.map((one) => `${one.severity.toUpperCase()} ${one.title}`),
    ...letters.map((one) => `${one.entity_type} ${one.failure_reason}`),
  ];
}
