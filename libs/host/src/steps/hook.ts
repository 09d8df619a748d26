/** Step `hook`: a hook of the user, on this host, if this host's own configuration allows the program. */
import { runHook } from '../hooks.ts';
import type { Step } from './step.ts';

export const hook: Step<'hook'> = async (input, { config, signal }) => ({
  outcome: await runHook({
    hook: input.hook,
    context: input.context,
    allowed: config.hooks,
    host: config.name,
    signal,
  }),
});
