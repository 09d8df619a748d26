/** Runs a hook of the user: the migration as JSON on standard input and as `CMT_*` variables. */
import { CmtError, type Hook, type HookOutcome, type HostName } from '@cmt/contracts';
import { ProcessError, tryRun, type Finished } from './process.ts';

/** Programs that this machine's own configuration lets hooks run. */
export type AllowedHooks = 'any' | readonly string[];

const OUTPUT_CHARACTERS = 4096;

export interface HookRun {
  readonly hook: Hook;
  /** What the hook is told: the migration's report. */
  readonly context: Readonly<Record<string, unknown>>;
  readonly allowed: AllowedHooks;
  readonly host: HostName;
  readonly signal: AbortSignal;
}

/**
 * Runs a hook to its end. A hook that fails is an outcome, not an exception.
 * @throws CmtError HOOK_FORBIDDEN when this machine does not allow the program
 */
export async function runHook({ hook, context, allowed, host, signal }: HookRun): Promise<HookOutcome> {
  const [program, ...args] = hook.argv;
  if (program === undefined || !isAllowed(program, allowed))
    throw new CmtError('HOOK_FORBIDDEN', { hook: hook.name, program: program ?? '', host });
  try {
    const finished = await tryRun(program, args, {
      timeoutMs: hook.timeoutMs,
      signal,
      withChildren: true,
      input: `${JSON.stringify(context)}\n`,
      env: { ...variables(context), CMT_HOOK: hook.name },
    });
    signal.throwIfAborted();
    return outcomeOf(hook, finished);
  } catch (error) {
    if (error instanceof ProcessError) return outcomeOf(hook, error.finished);
    throw error;
  }
}

/** Exact paths only: `..` or a second name of an allowed program is another program. Pure. */
export const isAllowed = (program: string, allowed: AllowedHooks): boolean =>
  allowed === 'any' || allowed.includes(program);

/** Every plain value of the context as a variable: `blackoutMs` becomes `CMT_BLACKOUT_MS`. Pure. */
export function variables(context: Readonly<Record<string, unknown>>): Record<string, string> {
  const plain = Object.entries(context).filter(([, value]) =>
    ['string', 'number', 'boolean'].includes(typeof value),
  );
  return Object.fromEntries(
    plain.map(([name, value]) => [
      `CMT_${name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()}`,
      String(value).replaceAll('\0', ''),
    ]),
  );
}

function outcomeOf(hook: Hook, finished: Finished): HookOutcome {
  const said = [finished.stdout, finished.stderr].filter((text) => text !== '').join('\n');
  const late = finished.timedOut ? `\nkilled after ${hook.timeoutMs} ms` : '';
  return {
    name: hook.name,
    ok: finished.code === 0,
    code: finished.code,
    output: `${said}${late}`.slice(-OUTPUT_CHARACTERS),
    ms: finished.ms,
  };
}
