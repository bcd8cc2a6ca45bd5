/** PD's HTTP API: the configuration, and schedulers that rest. */

import {
  type Answer,
  type Asked,
  bootstrapped,
  fail,
  type HttpDeps,
  ok,
  type Routes,
} from "./http_route.js";
import { configSection } from "./schedule_config.js";

async function change({ cluster }: HttpDeps, { body }: Asked): Promise<Answer> {
  if (Object.keys(body).length === 0) return fail(400, "no config item is given");
  const wrong = await cluster.changeConfig(body);
  return wrong === undefined ? ok("The config is updated.") : fail(400, wrong);
}

const SCHEDULERS: Routes = bootstrapped({
  "GET schedulers": ({ cluster }, { query }) => {
    const wanted = query.get("status");
    const shown = cluster.coordinator
      .schedulers()
      .filter(({ pausedUntilMs }) => wanted !== "paused" || pausedUntilMs > 0);
    return ok(shown.map(({ name }) => name));
  },
  "POST schedulers/{}": ({ cluster }, { args: [name = ""], body }) => {
    const { delay } = body;
    if (typeof delay !== "number" || !(delay >= 0)) return fail(400, "invalid delay, seconds");
    if (cluster.coordinator.pauseScheduler(name, delay * 1000)) {
      return ok(delay > 0 ? "Pause scheduler successfully." : "Resume scheduler successfully.");
    }
    return fail(404, `[PD:scheduler:ErrSchedulerNotFound]scheduler not found: ${name}`);
  },
});

export const CONFIG_ROUTES: Routes = {
  "GET config": ({ config }) => ok(config()),
  "POST config": change,
  "GET config/schedule": ({ cluster }) => ok(configSection(cluster.config, "schedule")),
  "POST config/schedule": change,
  "GET config/replicate": ({ cluster }) => ok(configSection(cluster.config, "replication")),
  "POST config/replicate": change,
  ...SCHEDULERS,
};
