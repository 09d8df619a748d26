/** From what was typed to what is asked for: flags and the fleet's registry become a checked MigrationRequest. Pure. */
import {
  CmtError,
  HookName,
  MigrationRequest,
  UNPLACED,
  type Hook,
  type HostName,
  type HostRecord,
  type Place,
} from '@cmt/contracts';
import { closest } from './flags/closest.ts';
import { parseBandwidth } from './flags/bandwidth.ts';
import { parseDuration } from './flags/duration.ts';
import { parseHook } from './flags/hook.ts';
import { invalid } from './flags/invalid.ts';
import { parseLocation, type Location } from './flags/location.ts';
import { parseTarget, type Target } from './flags/place.ts';

/** The flags of `migrate` and `validate` as commander hands them over. */
export interface RequestFlags {
  /** Without it, wherever the container is announced. */
  readonly src?: string;
  readonly dst: string | readonly string[];
  readonly id?: string;
  readonly priority?: string;
  readonly runtime?: string;
  readonly mode?: string;
  readonly maxDowntime?: string;
  readonly maxRounds?: string;
  readonly timeout?: string;
  readonly onNoConvergence?: string;
  readonly restore?: string;
  readonly tcp?: string;
  readonly transport?: string;
  readonly bandwidth?: string;
  readonly compress?: string;
  readonly sshConfig?: string;
  readonly sharedRootfs?: boolean;
  readonly force?: boolean;
  readonly confirmFor?: string;
  readonly stepTimeout?: string;
  readonly hookTimeout?: string;
  readonly hookPreFreeze?: string[];
  readonly hookPreRestore?: string[];
  readonly hookPostRestore?: string[];
  readonly hookFailedRestore?: string[];
  readonly hookRolledBack?: string[];
}

export interface Asked {
  readonly container: string | undefined;
  readonly flags: RequestFlags;
  readonly validateOnly: boolean;
  /** Used unless `--id` names one. */
  readonly newId: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Ends that are worked on over ssh, under the names they are registered by. */
export type AgentlessNames = Readonly<Partial<Record<'source' | 'target', HostName | undefined>>>;

/** What was typed, split but not yet looked up: everything that can be wrong without knowing the fleet. */
export interface ParsedRequest {
  readonly asked: Asked;
  /** Null where none was typed: the fleet knows. */
  readonly source: Location | null;
  readonly target: Target;
  readonly options: Record<string, unknown>;
}

/** The same, once it is known where the container is. */
export interface LocatedRequest extends ParsedRequest {
  readonly source: Location;
}

/** @throws {CmtError} REQUEST_INVALID naming the flag. */
export function parseRequest(asked: Asked): ParsedRequest {
  const { flags, container } = asked;
  if (flags.src === undefined && container === undefined)
    throw invalid('--src', 'name the container, or the bundle of one here');
  const parsed = {
    asked,
    source: flags.src === undefined ? null : parseLocation('--src', flags.src),
    target: parseTarget('--dst', typeof flags.dst === 'string' ? [flags.dst] : flags.dst),
    options: parseOptions(asked),
  };
  // Hosts stand in for themselves here: the schema speaks about everything else before anybody is asked.
  checked(parsed, 'source', 'target');
  return parsed;
}

/**
 * Names the hosts by their registered names.
 * @throws {CmtError} HOST_UNKNOWN with the known names, LABEL_UNKNOWN, or SAME_HOST.
 */
export function resolveRequest(
  parsed: LocatedRequest,
  hosts: readonly HostRecord[],
  agentless: AgentlessNames = {},
): MigrationRequest {
  const source = registeredName(agentless.source ?? parsed.source.host, hosts);
  const { place } = parsed.target;
  if (place !== undefined) {
    refuseUnknownLabels(place, hosts);
    return checked(parsed, source, UNPLACED);
  }
  const target = registeredName(agentless.target ?? parsed.target.host, hosts);
  if (source === target) throw new CmtError('SAME_HOST', { host: source });
  return checked(parsed, source, target);
}

/** A label that nobody carries is a typing error far more often than a wish. @throws {CmtError} LABEL_UNKNOWN */
export function refuseUnknownLabels({ labels }: Pick<Place, 'labels'>, hosts: readonly HostRecord[]): void {
  const pairs = (of: HostRecord['labels']) => Object.entries(of).map((pair) => pair.join('='));
  const known = [...new Set(hosts.flatMap((host) => pairs(host.labels)))].sort();
  const label = pairs(labels).find((pair) => !known.includes(pair));
  if (label === undefined) return;
  const meant = closest(label, known);
  const list = known.join(', ') || 'none';
  throw new CmtError('LABEL_UNKNOWN', { label, known: meant ? `${list}; did you mean ${meant}?` : list });
}

/** @throws {CmtError} HOST_UNKNOWN with the known names */
export function registeredName(typed: string, hosts: readonly HostRecord[]): string {
  const host =
    hosts.find(({ facts }) => facts.name === typed) ??
    hosts.find(({ endpoint }) => endpoint.address === typed);
  if (host) return host.facts.name;
  const names = hosts.map(({ facts }) => facts.name).sort();
  const meant = closest(typed, names);
  const known = names.join(', ') || 'none is registered yet';
  throw new CmtError('HOST_UNKNOWN', {
    host: typed,
    known: meant ? `${known}; did you mean ${meant}?` : known,
  });
}

function checked(
  { asked, options, ...ends }: ParsedRequest,
  source: string,
  target: string,
): MigrationRequest {
  const { flags, container, newId, now } = asked;
  const result = MigrationRequest.safeParse({
    ...{ v: 1, id: flags.id ?? newId, runtime: flags.runtime, container, source, target, options },
    ...{ place: ends.target.place, priority: flags.priority },
    ...{ sourceBundle: ends.source?.bundle, targetBundle: ends.target.bundle, requestedAt: now },
  });
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `${typedName(path)}: ${message}`);
  throw new CmtError('REQUEST_INVALID', { problem: problems.join('; ') });
}

function parseOptions({ flags, validateOnly }: Asked): Record<string, unknown> {
  const { mode, restore, tcp, transport, compress, sharedRootfs, force, onNoConvergence } = flags;
  const time = (flag: string, text: string | undefined) =>
    text === undefined ? undefined : parseDuration(flag, text);
  return {
    ...{ mode, restore, tcp, transport, compress, sharedRootfs, force, onNoConvergence, validateOnly },
    bandwidth: flags.bandwidth === undefined ? undefined : parseBandwidth('--bandwidth', flags.bandwidth),
    maxDowntimeMs: time('--max-downtime', flags.maxDowntime),
    timeoutMs: time('--timeout', flags.timeout),
    confirmForMs: time('--confirm-for', flags.confirmFor),
    stepTimeoutMs: time('--step-timeout', flags.stepTimeout),
    maxRounds: flags.maxRounds === undefined ? undefined : wholeNumber('--max-rounds', flags.maxRounds),
    hooks: HookName.options.flatMap((name) => parseHooks(name, flags)),
  };
}

function parseHooks(name: HookName, flags: RequestFlags): Hook[] {
  const texts = {
    'pre-freeze': flags.hookPreFreeze,
    'pre-restore': flags.hookPreRestore,
    'post-restore': flags.hookPostRestore,
    'failed-restore': flags.hookFailedRestore,
    'rolled-back': flags.hookRolledBack,
  }[name];
  const timeoutMs = parseDuration('--hook-timeout', flags.hookTimeout ?? '30s');
  return (texts ?? []).map((text) => parseHook(name, text, timeoutMs));
}

function wholeNumber(flag: string, text: string): number {
  if (!/^\d+$/.test(text)) throw invalid(flag, `'${text}' is not a whole number`);
  return Number(text);
}

/** A field of the contract under the name it was typed as: `options.maxRounds` is `--max-rounds`. */
function typedName(path: readonly PropertyKey[]): string {
  const field = String(path[0] === 'options' ? path[1] : path[0]);
  if (path.length === 0 || field === 'container') return 'container';
  if (field === 'hooks') return '--hook-*';
  const flag = { sourceBundle: 'src', targetBundle: 'dst' }[field] ?? field.replace(/Ms$/, '');
  return `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
