/** The words behind `--` of `cmt schedule add`, read by the verb's own flags: what cannot be understood is said now, not at three in the morning. */
import { Command, CommanderError } from 'commander';
import {
  CmtError,
  DRAIN_NAME_LENGTH,
  FleetOrder,
  type ScheduledWork,
  type ScheduleName,
} from '@cmt/contracts';
import { withDrainFlags } from './commands/drain.ts';
import { withMigrateFlags } from './commands/migrate.ts';
import { closest } from './flags/closest.ts';
import { invalid } from './flags/invalid.ts';
import type { Fleet } from './fleet.ts';
import { parseOrder, type OrderFlags } from './fleet-order.ts';
import {
  parseRequest,
  refuseUnknownLabels,
  registeredName,
  resolveRequest,
  type RequestFlags,
} from './request.ts';

/** What a verb's words are made into. The names of hosts are looked up before anything is signed. */
interface Reading {
  readonly name: ScheduleName;
  readonly words: readonly string[];
  readonly fleet: Pick<Fleet, 'hosts'>;
}

/** Verbs that may be scheduled. One more verb is one more line here, one more kind of `ScheduledWork`, one more case of the coordinator. */
const VERBS: Readonly<Record<string, (reading: Reading) => Promise<ScheduledWork>>> = {
  migrate: readMigrate,
  drain: readDrain,
};

/** @throws {CmtError} REQUEST_INVALID, HOST_UNKNOWN, SAME_HOST */
export function readWork(
  name: ScheduleName,
  words: readonly string[],
  fleet: Reading['fleet'],
): Promise<ScheduledWork> {
  const [verb = '', ...rest] = words;
  const read = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (read) return read({ name, words: rest, fleet });
  const known = Object.keys(VERBS);
  const meant = closest(verb, known);
  const hint = meant ? `did you mean ${meant}?` : `there are: ${known.join(', ')}`;
  throw invalid('--', `'${verb}' cannot be scheduled; ${hint}`);
}

async function readMigrate({ name, words, fleet }: Reading): Promise<ScheduledWork> {
  const { operands, flags: typed } = parse(withMigrateFlags(new Command('migrate')), words);
  const flags = typed as RequestFlags;
  if (flags.id !== undefined) throw invalid('--id', 'each run of a schedule gets an id of its own');
  const [container] = operands;
  const parsed = parseRequest({ container, flags, validateOnly: false, newId: name, now: Date.now() });
  const { source } = parsed;
  if (source === null)
    throw invalid('--src', 'a schedule has to name it: where the container is by then is not known');
  const hosts = await fleet.hosts();
  const records = hosts.map(({ record }) => record);
  return { kind: 'migrate', request: resolveRequest({ ...parsed, source }, records) };
}

async function readDrain({ name, words, fleet }: Reading): Promise<ScheduledWork> {
  const { operands, flags: typed } = parse(withDrainFlags(new Command('drain')), words);
  const flags = typed as OrderFlags & { readonly wait?: boolean };
  if (flags.wait === true) throw invalid('--wait', 'nobody waits for what a schedule begins');
  const [host, ...more] = operands;
  if (host === undefined || more.length > 0) throw invalid('--', 'name the one host that is to be drained');
  if (name.length > DRAIN_NAME_LENGTH)
    throw invalid('--name', `'${name}': for a drain it has at most ${DRAIN_NAME_LENGTH} characters`);
  const parsed = parseOrder(flags, name);
  const records = (await fleet.hosts()).map(({ record }) => record);
  refuseUnknownLabels(parsed, records);
  const order = FleetOrder.parse({ ...parsed, kind: 'drain', host: registeredName(host, records) });
  return { kind: 'drain', order };
}

/** @throws {CmtError} REQUEST_INVALID with what commander says */
function parse(
  command: Command,
  words: readonly string[],
): { readonly operands: readonly string[]; readonly flags: unknown } {
  const silent = { outputError: () => undefined, writeErr: () => undefined, writeOut: () => undefined };
  command.exitOverride().configureOutput(silent).helpOption(false);
  try {
    command.parse([...words], { from: 'user' });
    return { operands: command.args, flags: command.opts() };
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    const problem = error.message.replace(/^error: /, '').replace(/\.?\n.*$/s, '');
    throw new CmtError('REQUEST_INVALID', { problem: `after --: ${problem}` });
  }
}
