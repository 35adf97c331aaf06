// What must not compile: every line below that says so is a mistake that the API's description finds.
import { get, post } from "./client";

export async function mistakes(): Promise<void> {
  // @ts-expect-error a path that is not there
  await get("/api/bff/tds/dashbord");
  // @ts-expect-error a filter that is not there
  await get("/api/bff/tds/runs", { entity: "product" });
  // @ts-expect-error a number, not a text
  await get("/api/bff/tds/runs", { limit: "20" });
  // @ts-expect-error a field that is not there
  (await get("/api/bff/tds/dashboard")).helth;
  // @ts-expect-error an action without its id
  await post("/api/bff/tds/alerts/{alert_id}/acknowledge", {});
  // @ts-expect-error a body of another shape
  await post("/api/bff/tds/alerts/{alert_id}/acknowledge", { alert_id: "1" }, { remark: "Seen." });
}
